"""Licence plates: from boxes of several networks to one quadrilateral, how it is covered, and what
is left to read.

Photos are RGB uint8 (H, W, 3). Boxes are (x, y, w, h) and quads float32 (4, 2), both in pixels of
the photo, where (0, 0) is the outer corner of the first pixel; a quad starts at the plate's own top
left corner and runs clockwise. Masking is a privacy control: wherever two outlines differ, the
larger one is covered.
"""

from okla_assets.imaging.plates.candidates import (
    LEAST_INTERIOR_CONFIDENCE,
    MOST_TILES,
    SAME_PLACE,
    Candidate,
    RawDetection,
    accept_plate,
    cluster,
    out_of_tile,
    owner,
    plate_quad,
    same_plate,
    tiles,
    worth_a_closer_look,
)
from okla_assets.imaging.plates.leaks import (
    LEAST_READER_CONFIDENCE,
    READABLE,
    is_allowed,
    is_certain,
    lines_of,
    may_be_a_registration,
    readable_characters,
    suspicious,
)
from okla_assets.imaging.plates.masking import mask_plates
from okla_assets.imaging.plates.quads import (
    contains,
    mask_quad,
    padded,
    quad_box,
)

__all__ = [
    "LEAST_INTERIOR_CONFIDENCE",
    "LEAST_READER_CONFIDENCE",
    "MOST_TILES",
    "READABLE",
    "SAME_PLACE",
    "Candidate",
    "RawDetection",
    "accept_plate",
    "cluster",
    "contains",
    "is_allowed",
    "is_certain",
    "lines_of",
    "mask_plates",
    "mask_quad",
    "may_be_a_registration",
    "out_of_tile",
    "owner",
    "padded",
    "plate_quad",
    "quad_box",
    "readable_characters",
    "same_plate",
    "suspicious",
    "tiles",
    "worth_a_closer_look",
]
