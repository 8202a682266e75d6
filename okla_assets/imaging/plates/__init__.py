"""Licence plates: from boxes of several networks to one quadrilateral, how it is covered, and what
is left to read.

Photos are RGB uint8 (H, W, 3). Boxes are (x, y, w, h) and quads float32 (4, 2), both in pixels of
the photo, where (0, 0) is the outer corner of the first pixel; a quad starts at the plate's own top
left corner and runs clockwise. Masking is a privacy control: wherever two outlines differ, the
larger one is covered.
"""

from okla_assets.imaging.plates.candidates import (
    LEAST_INTERIOR_CONFIDENCE as LEAST_INTERIOR_CONFIDENCE,
    MOST_TILES as MOST_TILES,
    SAME_PLACE as SAME_PLACE,
    Candidate as Candidate,
    RawDetection as RawDetection,
    accept_plate as accept_plate,
    cluster as cluster,
    out_of_tile as out_of_tile,
    owner as owner,
    plate_quad as plate_quad,
    same_plate as same_plate,
    tiles as tiles,
    worth_a_closer_look as worth_a_closer_look,
)
from okla_assets.imaging.plates.leaks import (
    LEAST_READER_CONFIDENCE as LEAST_READER_CONFIDENCE,
    READABLE as READABLE,
    across_a_window as across_a_window,
    is_allowed as is_allowed,
    is_badge as is_badge,
    is_certain as is_certain,
    may_be_a_registration as may_be_a_registration,
    most_characters as most_characters,
    readable_characters as readable_characters,
    readings_of as readings_of,
    suspicious as suspicious,
)
from okla_assets.imaging.plates.masking import mask_plates as mask_plates
from okla_assets.imaging.plates.quads import (
    box_quad as box_quad,
    contains as contains,
    lies_on as lies_on,
    mask_quad as mask_quad,
    padded as padded,
    quad_box as quad_box,
)
