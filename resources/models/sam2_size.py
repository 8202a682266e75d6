"""SAM 2's networks for a wide picture, instead of the square that their files fix.

Vehicles are wider than high: squashed to 1024x1024 pixels, the crop of one is stretched upwards,
and half of the encoder's work goes into rows that show nothing new. The network itself takes other
sizes (Hiera, Ryali et al. 2023: windows of 8, 4, 14 and 7 tokens at strides of 4, 8, 16 and 32
pixels); what fixes the size in the files are shapes, and tables of positions. 672x1120 fills whole
windows at every stride, where the square is padded with a fifth more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from resources.errors import BrokenSetup

if TYPE_CHECKING:
    from onnx import ModelProto

ROWS, COLUMNS = 672, 1120
SQUARE = 1024  # pixels a side in the files; the decoder counts its points' coordinates in them

_COARSE, _WINDOW = 7, 8  # sides of the two tables that positions are told by
_EXACT = 1e-5
_DECODER_INPUTS = {"image_embed": 1, "high_res_feats_0": 4, "high_res_feats_1": 2, "mask_input": 4}
"""Their sides in tokens of the embedding, which has one for 16 pixels."""

Sides = Mapping[int, tuple[int, int]]
"""What takes the place of a side of the square: rows and columns."""


def wide_encoder(model: ModelProto, rows: int = ROWS, columns: int = COLUMNS) -> None:
    """Changes the encoder for pictures 1x3x`rows`x`columns`, multiples of 32.

    Raises `BrokenSetup` where it is not Hiera tiny as the catalogue has it.
    """
    from onnx import numpy_helper

    graph, constants = model.graph, _constants(model)
    sides = _sides(rows, columns)
    # What the square's grids of 64 and 32 tokens are padded by to whole windows.
    padding = {n - m: _less(sides[n], sides[m]) for n, m in ((70, 64), (35, 32))}
    for node in graph.node:
        which = {"Add": 1, "Reshape": 1, "Pad": 1, "Slice": 2}.get(node.op_type)
        if which is None or (value := constants.get(node.input[which])) is None:
            continue
        if node.op_type == "Add":
            if value.shape[-2:] != (SQUARE // 4, SQUARE // 4):
                continue
            value = _positions(value[0], rows // 4, columns // 4)[None]
        elif node.op_type == "Reshape":
            value = _shape(value.tolist(), sides)
        elif node.op_type == "Pad":
            value = _shape(value.tolist(), padding)
        elif (axis := int(constants[node.input[3]][0])) in (1, 2) and int(value[0]) in sides:
            value = np.array([sides[int(value[0])][axis - 1]])
        name = f"{node.name}/wide"
        graph.initializer.append(
            numpy_helper.from_array(value.astype(constants[node.input[which]].dtype), name)
        )
        node.input[which] = name
    _resize(graph.input[0], rows, columns)
    for port in graph.output:
        _resize(port, *sides[port.type.tensor_type.shape.dim[2].dim_value])
    del graph.value_info[:]


def wide_decoder(model: ModelProto, rows: int = ROWS, columns: int = COLUMNS) -> None:
    """Changes the decoder for what `wide_encoder` finds: its masks have `rows` / 4 x `columns` / 4
    pixels. Points stay as on the square, each coordinate in its own scale.

    Raises `BrokenSetup` where it is not the one that the catalogue has.
    """
    from onnx import numpy_helper

    high, wide, square = rows // 16, columns // 16, SQUARE // 16
    grids = [
        attribute.t
        for node in model.graph.node
        for attribute in node.attribute
        if node.op_type == "Constant" and [*attribute.t.dims] == [square, square, 2]
    ]
    if len(grids) != 1:
        raise _unknown("decoder")
    y, x = np.mgrid[:high, :wide].astype(np.float32)
    grid = np.stack([(x + 0.5) / wide * 2 - 1, (y + 0.5) / high * 2 - 1], -1)
    grids[0].CopyFrom(numpy_helper.from_array(grid))
    for port in model.graph.input:
        if times := _DECODER_INPUTS.get(port.name):
            _resize(port, high * times, wide * times)
    del model.graph.value_info[:]


WIDE = {"sam2_hiera_tiny_encoder": wide_encoder, "sam2_hiera_tiny_decoder": wide_decoder}
"""The weights of the catalogue that are changed before they are loaded."""


def _constants(model: ModelProto) -> dict[str, npt.NDArray[Any]]:
    from onnx import numpy_helper

    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return found | {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in model.graph.node
        if node.op_type == "Constant"
    }


def _sides(rows: int, columns: int) -> Sides:
    """Grids at the four strides, windows along a side, and the grids padded to whole windows."""

    def both(stride: int, window: int = 1) -> tuple[int, int]:
        return -(-rows // (stride * window)), -(-columns // (stride * window))

    windows = both(16, 14)  # as many as of 7 at stride 32
    return {
        256: both(4),
        128: both(8),
        64: both(16),
        32: both(32),  # and the windows of 8 and 4 tokens at strides of 4 and 8
        5: windows,
        70: (14 * windows[0], 14 * windows[1]),
        35: (7 * windows[0], 7 * windows[1]),
    }


def _less(padded: tuple[int, int], plain: tuple[int, int]) -> tuple[int, int]:
    return padded[0] - plain[0], padded[1] - plain[1]


def _shape(square: Sequence[int], sides: Sides) -> npt.NDArray[np.int64]:
    """Where a side stands twice it is rows, then columns; squared, it is a number of tokens or of
    windows."""
    shape = list(square)
    for side, (rows, columns) in sides.items():
        at = [i for i, value in enumerate(square) if value == side]
        if len(at) == 2:
            shape[at[0]], shape[at[1]] = rows, columns
        for i, value in enumerate(square):
            if value == side * side:
                shape[i] = rows * columns
    return np.array(shape, np.int64)


def _positions(square: npt.NDArray[Any], rows: int, columns: int) -> npt.NDArray[Any]:
    """The table of positions (C, N, N) at another size, (C, `rows`, `columns`).

    It is a coarse table interpolated, plus one of a window's size repeated (Bolya et al. 2023,
    "Window Attention is Bugged"); both are solved for.
    """
    channels, side = square.shape[:2]
    ways = _ways(side, side)
    known = square.reshape(channels, -1).astype(np.float64)
    # A constant may stand in either table: the least squares are of rank one less than unknowns.
    tables = np.linalg.lstsq(ways.T @ ways, ways.T @ known.T, rcond=1e-12)[0]
    if np.abs(ways @ tables - known.T).max() > _EXACT:
        raise _unknown("encoder")
    return (_ways(rows, columns) @ tables).T.reshape(channels, rows, columns)


def _ways(rows: int, columns: int) -> npt.NDArray[np.float64]:
    """How each token (rows * columns) is made of both tables' values (7 * 7 + 8 * 8)."""
    import cv2

    def cubic(size: int) -> npt.NDArray[Any]:
        return cv2.resize(np.eye(_COARSE), (_COARSE, size), interpolation=cv2.INTER_CUBIC)

    coarse = np.einsum("ia,jb->ijab", cubic(rows), cubic(columns)).reshape(rows, columns, -1)
    y, x = np.mgrid[:rows, :columns] % _WINDOW
    return np.concatenate([coarse, np.eye(_WINDOW**2)[y * _WINDOW + x]], -1).reshape(
        rows * columns, -1
    )


def _resize(port: Any, rows: int, columns: int) -> None:
    dims = port.type.tensor_type.shape.dim
    dims[2].dim_value, dims[3].dim_value = rows, columns


def _unknown(part: str) -> BrokenSetup:
    return BrokenSetup(
        f"SAM 2's {part} is not the one that this release knows how to make wide; "
        "fetch it again with okla models pull"
    )
