"""What of a draft is still to be searched for plates."""

from pathlib import Path

import numpy as np
import pytest

from okla_assets.imaging.photo import codec
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.imaging.studio.shadow import Casting
from okla_assets.imaging.studio.studio import Look
from okla_assets.imaging.types import Category
from okla_assets.options import StudioOptions
from okla_assets.steps.drafts import Draft, compose
from okla_assets.steps.standpoints import Standpoint
from okla_assets.tables import Classification, FoundPlate, Mask, PhotoPlates, Quality
from resources.storage.media_store import LocalMediaStore

PLACE = ((40.0, 30.0), (80.0, 30.0), (80.0, 45.0), (40.0, 45.0))
SUSPECT = FoundPlate(quad=PLACE, confidence=0.2, vehicle="none")


def draft(folder: Path, category: Category, gain: float) -> Draft:
    """That of a photo that shows no whole vehicle, with a suspect, brightened by a gain."""
    store = LocalMediaStore(root=str(folder))
    picture = np.full((120, 160, 3), 90, np.uint8)
    store.put("work/photo.jpg", codec.encode_jpeg(picture, 90))
    mask = Mask(
        number=1, status="no_vehicle", vehicle_box=None, vehicle_score=None, matte_key=None,
        agreement=None, obstructed=None, digest="mask",
    )  # fmt: skip
    view = Classification(
        number=1, category=category, category_confidence=1.0, angle=None, angle_confidence=None,
        side=None, azimuth_deg=None, quality=Quality(score=90, issues=()),
    )  # fmt: skip
    plates = PhotoPlates(
        number=1, plates=(), suspects=(SUSPECT,), masked_key="work/photo.jpg", digest="plates"
    )
    correction = Correction((gain, 1.0, 1.0), 1.0, (0.0, 1.0, 2.0))
    look = Look(SCENES["white_studio"], Casting())
    return compose(
        mask, view, plates, StudioOptions(), store, correction, Standpoint(), look, "s", None
    )


@pytest.mark.parametrize("category", ["exterior", "misc", "interior"])
def test_what_the_detector_has_seen_is_read_and_not_searched(
    tmp_path: Path, category: Category
) -> None:
    shown = draft(tmp_path, category, 1.2).shown
    assert shown.suspects is not None
    assert [(s.quad, s.out_of_place) for s in shown.suspects] == [(PLACE, True)]


def test_a_photo_that_was_brightened_is_searched_again(tmp_path: Path) -> None:
    shown = draft(tmp_path, "exterior", 1.5).shown
    assert shown.suspects is None
    assert len(shown.views) == 7  # as no vehicle tells which way up it is
