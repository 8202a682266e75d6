import numpy as np
import pytest

from okla_assets.imaging.geometry import box_iou


def test_one_box_against_many_and_against_one() -> None:
    boxes = [(0, 0, 10, 10), (5, 0, 10, 10), (20, 20, 5, 5), (2, 2, 0, 0)]
    assert box_iou(boxes[0], boxes).tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert box_iou(boxes[0], boxes[1]) == pytest.approx(1 / 3)
    assert box_iou(boxes[3], boxes[3]) == 0
    assert box_iou(np.array(boxes[0], "f4"), np.array(boxes, "f4")).dtype == np.float32
