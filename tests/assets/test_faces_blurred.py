"""Nobody's face leaves the house: the whole pipeline on photos that show one."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.imaging.photo import codec
from okla_assets.imaging.types import Rgb
from okla_assets.steps.costs import Meter
from okla_assets.steps.frame_plates import find_on_frames
from okla_assets.steps.plate_masking import Masking
from okla_assets.tables import Frame, Mask
from resources.models.base import FaceFound
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.fakes import VEHICLE, FakeFaces, FakePlates, Pipeline, skin

PRIVATE = (f"raw/{VEHICLE}/", f"private/{VEHICLE}/")
PICTURES = (".jpg", ".png", ".webp")


def features(data: bytes) -> int:
    """Pixels of eyes and mouth within skin, whatever the scale."""
    picture = codec.decode_trusted(data)
    ground = skin(picture).astype(np.uint8)
    if ground.sum() < 20:
        return 0
    face = cv2.morphologyEx(ground, cv2.MORPH_CLOSE, np.ones((9, 9)))
    return int(((picture.max(axis=2) < 100) & (face > 0)).sum())


def upload(pipeline: Pipeline) -> None:
    pipeline.upload(
        {
            "1 car.jpg": pictures.jpeg(pictures.with_face(pictures.car(1)), quality=95),
            "2 doubtful.jpg": pictures.jpeg(
                pictures.with_face(pictures.car(2, pictures.DOUBTFUL)), quality=95
            ),
            "3 cabin.jpg": pictures.jpeg(pictures.with_face(pictures.cabin(3)), quality=95),
            "4 paper.jpg": pictures.jpeg(pictures.with_face(pictures.paper(4)), quality=95),
            "5 nobody.jpg": pictures.jpeg(pictures.car(5)),
        }
    )


def outputs(pipeline: Pipeline) -> dict[str, int]:
    """Every picture outside of what is private, and how much of a face it shows."""
    return {
        o.key: features(pipeline.store.get(o.key))
        for o in pipeline.store.list("")
        if o.key.endswith(PICTURES) and not o.key.startswith(PRIVATE)
    }


@pytest.mark.slow
@pytest.mark.parametrize("options", ['"mask_license_plate": true', '"mask_license_plate": false'])
def test_no_output_shows_a_face(pipeline: Pipeline, options: str) -> None:
    upload(pipeline)
    shown = [features(pipeline.store.get(o.key)) for o in pipeline.store.list(PRIVATE[0])]
    assert sum(count > 20 for count in shown) == 4  # the test would see one
    pipeline.store.put(keys.options(VEHICLE), f'{{"auto_enhance": false, {options}}}'.encode())
    outcome = pipeline.run()
    searched = outputs(pipeline)
    assert len(searched) > 15
    assert {key: count for key, count in searched.items() if count} == {}
    assert [photo.faces_blurred for photo in outcome.listing.photos] == [1, 1, 1, 1, 0]
    assert outcome.metadata["license_plates"]["faces"] == 4


@pytest.mark.slow
def test_blurring_can_be_switched_off_and_on(pipeline: Pipeline) -> None:
    upload(pipeline)
    pipeline.store.put(keys.options(VEHICLE), b'{"auto_enhance": false, "blur_faces": false}')
    outcome = pipeline.run()
    faces = pipeline.models["face_detector"]
    assert isinstance(faces, FakeFaces)
    assert faces.asked == 0
    assert [photo.faces_blurred for photo in outcome.listing.photos] == [0] * 5
    key = keys.processed_photo(VEHICLE, "interior", 3, "jpg")
    assert features(pipeline.store.get(key)) > 20
    pipeline.store.put(keys.options(VEHICLE), b'{"auto_enhance": false}')
    assert pipeline.run().computed["license_plates"] == 5
    assert features(pipeline.store.get(key)) == 0


@dataclass
class Blinking(FakeFaces):
    """Does not see the face on one frame."""

    blind_at: int = 2

    def detect(self, photos: Sequence[Rgb]) -> list[list[FaceFound]]:
        found = super().detect(photos)
        return [[]] if self.asked == self.blind_at + 1 else found


def test_a_face_that_is_missed_on_a_frame_is_blurred_from_its_neighbours(
    store: LocalMediaStore,
) -> None:
    frames, masks = [], []
    for number in range(1, 6):
        key = keys.private_file(VEHICLE, "frames", f"{number}" * 64, "jpg")
        store.put(key, pictures.jpeg(pictures.with_face(pictures.car()), quality=95))
        frames.append(
            Frame(
                number=number,
                time=number / 2,
                azimuth_deg=10.0 * number,
                width=360,
                height=270,
                digest="d" * 64,
                work_key=key,
            )
        )
        masks.append(
            Mask(
                number=number,
                status="cropped",
                vehicle_box=(80, 100, 180, 90),
                vehicle_score=0.9,
                matte_key=None,
                agreement=None,
                digest="e" * 64,
            )
        )
    rows, made = find_on_frames(
        VEHICLE, frames, masks, "f" * 64, Masking("fill"), store,
        FakePlates(), FakePlates(), Blinking(), Meter(), lambda what: None,
    )  # fmt: skip
    assert [len(row.faces) for row in rows] == [1] * 5
    assert [features(picture) for picture in made.values()] == [0] * 5
