"""YOLOv8's exports for a picture of any shape, instead of the square that their files fix.

A photo of 4:3 leaves a quarter of the square grey. The network is convolutions, which take any
multiple of 32 pixels; what fixes the size in the files is a table of the places that it looks at
(anchors) and of how far apart these lie (strides). They become inputs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from okla_assets.imaging.types import Floats
from resources.errors import BrokenSetup

WEIGHTS = ("yolov8s", "platedet", "plate_fast")
"""The weights of the catalogue that are changed before they are loaded."""

MULTIPLE = 32  # pixels: of the height and width
ANCHORS, STRIDES = "anchors", "strides"
_STEPS = (8, 16, 32)  # pixels from anchor to anchor
_AS_EXPORTED = 8400  # anchors of 640x640 pixels


@lru_cache(16)
def grid(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Anchors (1, 2, N), x and y in strides, and strides (1, N) in pixels, for this size."""
    anchors, strides = [], []
    for step in _STEPS:
        y, x = np.mgrid[: rows // step, : columns // step]
        anchors.append(np.stack([x.ravel(), y.ravel()]) + 0.5)
        strides.append(np.full(x.size, step))
    return (
        np.concatenate(anchors, 1)[None].astype(np.float32),
        np.concatenate(strides)[None].astype(np.float32),
    )


def any_shape(path: Path) -> bytes:
    """The .onnx file, changed for pictures 1x3xHxW, multiples of 32, with their `grid` beside them.

    Raises `BrokenSetup` where it is no YOLOv8 exported for 640x640 pixels.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    constants |= {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in graph.node
        if node.op_type == "Constant"
    }
    found = {}
    for node in graph.node:
        for i, name in enumerate(node.input):
            if (value := constants.get(name)) is None:
                continue
            if node.op_type == "Reshape" and _AS_EXPORTED in value:
                any_count = np.where(value == _AS_EXPORTED, -1, value)
                node.input[i] = f"{node.name}/any"
                graph.initializer.append(numpy_helper.from_array(any_count, node.input[i]))
            for new, rows in ((ANCHORS, 2), (STRIDES, 1)):
                if value.shape in ((1, rows, _AS_EXPORTED), (rows, _AS_EXPORTED)):
                    node.input[i] = new
                    found[new] = value
    if set(found) != {ANCHORS, STRIDES}:
        raise BrokenSetup(
            f"{path}: is not the YOLOv8 that this release knows how to feed with any picture; "
            "fetch it again with okla models pull"
        )
    for name, value in found.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        graph.input.append(
            helper.make_tensor_value_info(name, kind, [*value.shape[:-1], "anchors"])
        )
    for port in (graph.input[0], *graph.output):
        for i, dim in enumerate(port.type.tensor_type.shape.dim):
            if i > 1:
                dim.dim_param = f"{port.name}_{i}"
    del graph.value_info[:]
    return bytes(model.SerializeToString())
