"""YOLOv8's exports, changed for pictures of any shape."""

from typing import Any

import numpy as np
import pytest

from okla_assets import sample
from okla_assets.imaging.geometry import box_iou
from okla_assets.imaging.photo import codec
from resources.errors import BrokenSetup
from resources.models import yolo_size
from resources.models.onnx import load_session, weight_file
from resources.models.yolo_onnx import boxed_for, fed, letterbox, squared

PICTURE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def as_in_its_file(weight: str) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(
        str(weight_file(weight)), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [
        (1200, 1600, (480, 640)),
        (1600, 1200, (640, 480)),
        (1080, 1920, (384, 640)),  # 360 rows, and 24 of grey
        (500, 500, (640, 640)),
        (10, 1000, (32, 640)),
    ],
)
def test_a_photo_fills_whole_strides(height: int, width: int, shape: tuple[int, int]) -> None:
    photo = np.zeros((height, width, 3), np.uint8)
    boxed = pixels, scale, left, top = letterbox(photo, 640)
    assert pixels.shape == (1, 3, *shape)
    inside = pixels[0, 0] == 0
    assert inside.sum() == round(height * scale) * round(width * scale)
    assert inside[int(top), int(left)]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    assert rows[0] == top
    assert columns[0] == left
    square, same_scale, before, above = squared(boxed, 640)
    assert square.shape == (1, 3, 640, 640)
    assert same_scale == scale
    assert before == (640 - columns.size) // 2
    assert above == (640 - rows.size) // 2
    assert (square == 0).sum() == (pixels == 0).sum()


@pytest.mark.weights
@pytest.mark.parametrize("weight", yolo_size.WEIGHTS)
def test_a_square_gives_what_the_file_gives(weights: object, weight: str) -> None:
    import onnxruntime

    plain, session = as_in_its_file(weight), load_session(weight)
    changed = onnxruntime.InferenceSession(
        yolo_size.any_shape(weight_file(weight)), providers=["CPUExecutionProvider"]
    )
    pixels = squared(letterbox(PICTURE, 640), 640)[0]
    for theirs, same, ours in zip(
        *(one.run(None, fed(one, pixels)) for one in (plain, changed, session)), strict=True
    ):
        assert np.array_equal(theirs, same)
        apart = np.abs(ours.astype(np.float32) - theirs.astype(np.float32))
        assert apart.max() <= 0.01 * np.abs(theirs).max()


@pytest.mark.weights
@pytest.mark.parametrize(("weight", "kind", "least"), [("yolov8s", 2, 0.5), ("platedet", 0, 0.3)])
def test_a_photo_without_its_grey_rows_shows_the_same(
    weights: object, weight: str, kind: int, least: float
) -> None:
    """The sample's car and its plate."""
    photo = codec.decode_trusted((sample.FOLDER / "media/photos/IMG_0101.jpg").read_bytes())
    boxes = []
    for session in (as_in_its_file(weight), load_session(weight)):
        pixels, scale, left, top = boxed_for(session, letterbox(photo, 640))
        rows = np.asarray(session.run(None, fed(session, pixels))[0], np.float32)[0]
        surest = rows[:, rows[4 + kind].argmax()]
        assert surest[4 + kind] > least
        cx, cy, w, h = surest[:4]
        boxes.append(np.array([cx - w / 2 - left, cy - h / 2 - top, w, h]) / scale)
    assert box_iou(boxes[0], boxes[1][None])[0] > 0.9


@pytest.mark.weights
def test_another_network_is_refused(weights: object) -> None:
    with pytest.raises(BrokenSetup, match=r"centerface\.onnx.*okla models pull"):
        yolo_size.any_shape(weight_file("centerface"))
