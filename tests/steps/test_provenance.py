"""The edits of a photo, in order, and how much of its picture no camera took."""

import numpy as np
import pytest

from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.options import StudioOptions
from okla_assets.steps.provenance import photographed, provenance_of
from tests.viewer import made

PLATE = {"quad": ((100, 100), (180, 100), (180, 160), (100, 160)), "confidence": 0.9}


def test_the_edits_stand_in_the_order_in_which_they_are_made() -> None:
    photo = made.photo(
        1,
        turned=90,
        plates=(PLATE,),
        faces_blurred=2,
        covered_late=1,
        photographed=0.3,
        processed_size=(1600, 1200),
        correction=Correction((1.1, 1.0, 0.9), 1.0, (0.0, 1.0, 2.0)),
        levelled=Levelled(-2.5, 0.5, 0.6),
    )
    told = provenance_of(photo, StudioOptions())
    assert [edit.action for edit in told.edits] == [
        *(
            "turned",
            "plate_masked",
            "face_blurred",
            "colour",
            "levelled",
            "scene",
            "shadow",
            "resized",
            "plate_masked",
        ),
    ]
    assert told.edits[1].regions == (PLATE["quad"],)
    assert (told.original_key, told.source_sha256) == (photo.source_key, photo.source_sha256)
    # 4800 of 480000 pixels are a plate, on .8 x 1.1 of the picture.
    assert told.generated == pytest.approx(0.7 + 0.01 * 0.8 * 1.1)
    assert told.source_type.endswith("/composite")


def test_what_was_not_done_is_not_told() -> None:
    options = StudioOptions(auto_enhance=False, generate_shadow=False)
    plain = made.photo(4, "misc", treatment="original", photographed=1.0)
    told = provenance_of(plain, options)
    assert (told.edits, told.generated) == ((), 0)
    assert told.source_type.endswith("/digitalCapture")
    studio = provenance_of(made.photo(1), options)
    assert [edit.action for edit in studio.edits] == ["scene"]


@pytest.mark.parametrize(
    "bare",
    [StudioOptions(mask_license_plate=False), StudioOptions(license_plate_mask_type="none")],
)
def test_a_plate_that_is_not_covered_is_photographed(bare: StudioOptions) -> None:
    told = provenance_of(made.photo(1, plates=(PLATE,), photographed=0.3), bare)
    assert "plate_masked" not in {edit.action for edit in told.edits}
    assert told.generated == 0.7


def test_only_the_matte_is_photographed() -> None:
    grey = np.zeros((60, 80), np.uint8)
    grey[:30] = 255
    assert photographed("studio", grey, (0.1, 0.1, 0.8, 0.5)) == pytest.approx(0.2)
    assert photographed("enhanced", grey, (0, 0, 1, 1)) == 1
