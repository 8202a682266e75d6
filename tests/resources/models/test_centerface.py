"""Faces on photos of cars: people are found, parts of cars are not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from okla_assets.imaging import geometry
from okla_assets.imaging.faces import blur_faces
from okla_assets.imaging.photo import codec
from okla_assets.imaging.types import Box, Rgb
from okla_assets.sample import MEDIA
from resources.models.centerface import CenterFace
from tests.plates import labelled

pytestmark = [pytest.mark.weights, pytest.mark.slow]

FACE: Box = (170, 62, 106, 120)
"""Of the astronaut, in pixels of the picture."""
SAMPLE = ("IMG_0101.jpg", "IMG_0104.jpg", "IMG_0108.jpg", "IMG_0113.jpg")


@pytest.fixture(scope="module")
def astronaut() -> Rgb:
    """A portrait that may be passed on."""
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def yard() -> Rgb:
    """A photo of the sample car at the working copies' size."""
    photo = codec.decode_trusted((MEDIA / "photos" / SAMPLE[0]).read_bytes())
    return np.asarray(cv2.resize(photo, (2016, 1512), interpolation=cv2.INTER_CUBIC), np.uint8)


def with_person(yard: Rgb, astronaut: Rgb, rows: int, degrees: float) -> tuple[Rgb, Box]:
    """The yard with the astronaut beside the car, her face so high; and where it is."""
    x, y, w, h = FACE
    scale = rows / h
    matrix = cv2.getRotationMatrix2D((x + w / 2, y + h / 2), degrees, scale)
    matrix[:, 2] += np.array([1500, 500]) - [x + w / 2, y + h / 2]
    small = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    back = round(astronaut.shape[1] / small.shape[1], 6)
    matrix[:, :2] *= back
    picture = cv2.warpAffine(
        small, matrix, (2016, 1512), dst=yard.copy(), borderMode=cv2.BORDER_TRANSPARENT
    )
    picture = codec.decode_trusted(codec.encode_jpeg(np.asarray(picture, np.uint8), 88))
    return picture, (1500 - w * scale / 2, 500 - h * scale / 2, w * scale, h * scale)


@pytest.mark.parametrize("rows", [24, 40, 90, 250, 500])
@pytest.mark.parametrize("degrees", [-20, 0, 20])
def test_a_person_beside_the_car_is_found_and_not_found_when_blurred(
    weights: object, yard: Rgb, astronaut: Rgb, rows: int, degrees: float
) -> None:
    picture, face = with_person(yard, astronaut, rows, degrees)
    (found,) = CenterFace().detect([picture])
    assert len(found) == 1
    assert float(geometry.box_iou(face, found[0].box)) > 0.4
    assert CenterFace().detect([blur_faces(picture, [found[0].box])]) == [[]]


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_faces_are_found_on_either_runtime(
    weights: object, yard: Rgb, astronaut: Rgb, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKLA_ONNX_RUNTIME", runtime)
    monkeypatch.setenv("OKLA_ONNX_PRECISION", "")
    picture, face = with_person(yard, astronaut, 60, 0)
    ((found,),) = CenterFace().detect([picture])
    assert float(geometry.box_iou(face, found.box)) > 0.4


def test_no_part_of_the_sample_car_is_a_face(weights: object) -> None:
    photos = [codec.decode_trusted((MEDIA / "photos" / name).read_bytes()) for name in SAMPLE]
    assert CenterFace().detect(photos) == [[]] * len(photos)


@pytest.mark.testdata
def test_no_part_of_a_dealers_car_is_a_face(weights: object, testdata: Path) -> None:
    detector = CenterFace()
    for photo in list(labelled(testdata, "dealer", "", boxed=False))[::2]:
        picture = codec.decode_trusted(photo.file.read_bytes())
        assert detector.detect([picture]) == [[]], photo.file.name
