"""The ONNX operators that `onnx_torch` runs: in numpy on constants, else as torch calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from resources.errors import BrokenSetup
from resources.models.torch_models import need

Array = npt.NDArray[Any]
Call = Callable[..., Any]


@dataclass(frozen=True)
class Argument:
    """An input of a node: a tensor (its name while it is computed), or a constant."""

    value: Any
    constant: Array | None
    as_tensor: Callable[[Array], Any] | None = None

    @property
    def tensor(self) -> Any:
        """For a torch call."""
        if self.value is None and self.constant is not None and self.as_tensor is not None:
            return self.as_tensor(self.constant)
        return self.value

    @property
    def ints(self) -> list[int]:
        """A constant that holds axes or sizes."""
        if self.constant is None:
            raise BrokenSetup("a size that is known only while the network runs")
        return [int(v) for v in np.ravel(self.constant)]


Inputs = Sequence[Argument]
Attributes = Mapping[str, Any]
TorchCall = tuple[Call, Sequence[Any]]


# --- on shapes and other constants: numpy ---------------------------------------------------------


def _np_slice(inputs: Sequence[Any], attributes: Attributes) -> list[Array]:
    data, starts, ends, axes, steps = (*inputs, None, None)[:5]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut: list[Any] = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[int(axis)] = slice(int(start), int(end), int(step))
    return [data[tuple(cut)]]


def _np_div(inputs: Sequence[Any], attributes: Attributes) -> list[Array]:
    a, b = inputs
    return [a // b if np.asarray(a).dtype.kind in "iu" else a / b]


def _axes(inputs: Sequence[Any], attributes: Attributes) -> tuple[int, ...]:
    axes = attributes.get("axes") if len(inputs) < 2 or inputs[1] is None else inputs[1]
    return tuple(int(a) for a in axes) if axes is not None else ()


def _np_cast(inputs: Sequence[Any], attributes: Attributes) -> list[Array]:
    dtype = need("onnx").helper.tensor_dtype_to_np_dtype(attributes["to"])
    return [np.asarray(inputs[0]).astype(dtype)]


NUMPY_OPERATORS: dict[str, Callable[[Sequence[Any], Attributes], list[Array]]] = {
    "Shape": lambda g, a: [np.array(np.shape(g[0]), np.int64)],
    "Identity": lambda g, a: [g[0]],
    "Gather": lambda g, a: [np.take(g[0], g[1], axis=a.get("axis", 0))],
    "Unsqueeze": lambda g, a: [np.expand_dims(g[0], _axes(g, a))],
    "Squeeze": lambda g, a: [np.squeeze(g[0], _axes(g, a) or None)],
    "Concat": lambda g, a: [np.concatenate(g, axis=a["axis"])],
    "Reshape": lambda g, a: [np.reshape(g[0], [int(v) for v in g[1]])],
    "Slice": _np_slice,
    "Cast": _np_cast,
    "Add": lambda g, a: [np.asarray(g[0] + g[1])],
    "Sub": lambda g, a: [np.asarray(g[0] - g[1])],
    "Mul": lambda g, a: [np.asarray(g[0] * g[1])],
    "Div": lambda g, a: [np.asarray(_np_div(g, a)[0])],
    "Mod": lambda g, a: [np.asarray(np.mod(g[0], g[1]))],
    "Sqrt": lambda g, a: [np.asarray(np.sqrt(g[0]))],
}


# --- on tensors: torch ---------------------------------------------------------------------------


def _plain(function: Callable[[Any], Call]) -> Callable[[Inputs, Attributes, int], TorchCall]:
    """An operator whose inputs are all tensors; `function` picks the call from torch."""

    def make(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
        return function(need("torch")), [g.tensor for g in inputs]

    return make


def _paddings(attributes: Attributes) -> tuple[list[int], list[int]]:
    """Padding for torch's own argument, and the asymmetric padding to apply before."""
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID", b"SAME_UPPER"):
        raise BrokenSetup(f"padding {attributes['auto_pad']!r} is not among what runs on torch")
    top, left, bottom, right = attributes.get("pads") or [0, 0, 0, 0]
    if (top, left) == (bottom, right):
        return [top, left], []
    return [0, 0], [left, right, top, bottom]


def _same(
    x: Any, attributes: Attributes, kernel: Sequence[int], stride: Sequence[int], fill: float = 0.0
) -> Any:
    """Padded so that only the stride makes it smaller, where the node asks for that."""
    if attributes.get("auto_pad") != b"SAME_UPPER":
        return x
    pads: list[int] = []
    spans = zip(x.shape[2:], kernel, stride, attributes.get("dilations") or [1, 1], strict=True)
    for size, width, step, spread in spans:
        missing = max(0, (-(-size // step) - 1) * step + (width - 1) * spread + 1 - size)
        pads = [missing // 2, missing - missing // 2, *pads]
    return need("torch").nn.functional.pad(x, pads, value=fill)


def _conv(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    torch = need("torch")
    inside, before = _paddings(attributes)
    stride = list(attributes.get("strides") or [1, 1])
    dilation = list(attributes.get("dilations") or [1, 1])
    groups = attributes.get("group", 1)

    def call(x: Any, weight: Any, bias: Any = None) -> Any:
        x = torch.nn.functional.pad(x, before) if before else x
        x = _same(x, attributes, weight.shape[2:], stride)
        return torch.conv2d(x, weight, bias, stride, inside, dilation, groups)

    return call, [g.tensor for g in inputs]


def _conv_transpose(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    torch = need("torch")
    inside, before = _paddings(attributes)
    if before:
        raise BrokenSetup("a asymmetric ConvTranspose is not among what runs on torch")
    stride = list(attributes.get("strides") or [1, 1])
    extra = list(attributes.get("output_padding") or [0, 0])
    groups = attributes.get("group", 1)
    dilation = list(attributes.get("dilations") or [1, 1])

    def call(x: Any, weight: Any, bias: Any = None) -> Any:
        return torch.conv_transpose2d(x, weight, bias, stride, inside, extra, groups, dilation)

    return call, [g.tensor for g in inputs]


def _pool(kind: str) -> Callable[[Inputs, Attributes, int], TorchCall]:
    def make(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
        functional = need("torch").nn.functional
        inside, before = _paddings(attributes)
        kernel = list(attributes["kernel_shape"])
        stride = list(attributes.get("strides") or [1, 1])
        ceil = bool(attributes.get("ceil_mode", 0))

        def call(x: Any) -> Any:
            if kind == "max":
                x = functional.pad(x, before, value=float("-inf")) if before else x
                x = _same(x, attributes, kernel, stride, float("-inf"))
                return functional.max_pool2d(x, kernel, stride, inside, ceil_mode=ceil)
            if attributes.get("auto_pad") == b"SAME_UPPER":
                raise BrokenSetup("a asymmetric AveragePool is not among what runs on torch")
            counted = bool(attributes.get("count_include_pad", 0))
            x = functional.pad(x, before) if before else x
            return functional.avg_pool2d(x, kernel, stride, inside, ceil, counted)

        return call, [inputs[0].tensor]

    return make


def _softmax(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    axis = attributes.get("axis", -1 if attributes["opset"] >= 13 else 1)

    def call(x: Any) -> Any:
        if attributes["opset"] < 13 and axis not in (-1, x.ndim - 1):
            raise BrokenSetup("a softmax over several axes is not among what runs on torch")
        return x.softmax(axis)

    return call, [inputs[0].tensor]


def _slice(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    if len(inputs) > 1:
        starts, ends = inputs[1].ints, inputs[2].ints
        axes = inputs[3].ints if len(inputs) > 3 else list(range(len(starts)))
        steps = inputs[4].ints if len(inputs) > 4 else [1] * len(starts)
    else:
        starts, ends = list(attributes["starts"]), list(attributes["ends"])
        axes, steps = list(attributes.get("axes") or range(len(starts))), [1] * len(starts)

    def call(x: Any) -> Any:
        cut: list[Any] = [slice(None)] * x.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            cut[axis] = slice(start, end, step)
        return x[tuple(cut)]

    return call, [inputs[0].tensor]


def _reshape(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    shape = inputs[1].ints

    def call(x: Any) -> Any:
        return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])

    return call, [inputs[0].tensor]


def _node_axes(inputs: Inputs, attributes: Attributes) -> list[int]:
    return inputs[1].ints if len(inputs) > 1 else list(attributes.get("axes") or [])


def _squeeze(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    axes = _node_axes(inputs, attributes)
    return (lambda x: x.squeeze(tuple(axes)) if axes else x.squeeze()), [inputs[0].tensor]


def _unsqueeze(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    axes = sorted(_node_axes(inputs, attributes))

    def call(x: Any) -> Any:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return call, [inputs[0].tensor]


def _gather(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    torch, axis = need("torch"), attributes.get("axis", 0)
    indices = inputs[1].constant
    if indices is None or inputs[1].as_tensor is None:
        raise BrokenSetup("a gather of computed indices is not among what runs on torch")
    if indices.ndim == 0:
        return (lambda x: x.select(axis, int(indices))), [inputs[0].tensor]
    flat = inputs[1].as_tensor(indices.ravel())

    def call(x: Any) -> Any:
        first, last = x.shape[:axis], x.shape[axis:][1:]
        counted = torch.remainder(flat, x.shape[axis])  # -1 is the last
        return torch.index_select(x, axis, counted).reshape((*first, *indices.shape, *last))

    return call, [inputs[0].tensor]


def _split(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    axis = attributes.get("axis", 0)
    sizes = inputs[1].ints if len(inputs) > 1 else list(attributes.get("split") or [])

    def call(x: Any) -> Any:
        return x.split(sizes or -(-x.shape[axis] // outputs), axis)

    return call, [inputs[0].tensor]


def _resize(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    functional = need("torch").nn.functional
    mode = attributes.get("mode", b"nearest").decode()
    grid = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    if (mode, grid) not in _RESIZES:
        raise BrokenSetup(f"a resize {mode} {grid} is not among what runs on torch")
    how = _RESIZES[mode, grid]
    sizes = inputs[3].ints[2:] if len(inputs) > 3 and inputs[3].constant is not None else None
    scales = (
        None if sizes or inputs[2].constant is None else [float(v) for v in inputs[2].constant[2:]]
    )

    def call(x: Any) -> Any:
        size = sizes or [int(n * s) for n, s in zip(x.shape[2:], scales or [], strict=True)]
        return functional.interpolate(x, size=size, **how)

    return call, [inputs[0].tensor]


_RESIZES: dict[tuple[str, str], dict[str, Any]] = {
    ("nearest", "asymmetric"): {"mode": "nearest"},
    ("linear", "half_pixel"): {"mode": "bilinear", "align_corners": False},
    ("linear", "pytorch_half_pixel"): {"mode": "bilinear", "align_corners": False},
    ("linear", "align_corners"): {"mode": "bilinear", "align_corners": True},
}


def _reduce_mean(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    axes, keep = _node_axes(inputs, attributes), bool(attributes.get("keepdims", 1))
    return (lambda x: x.mean(axes or None, keepdim=keep)), [inputs[0].tensor]


def _cast(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    torch = need("torch")
    name = need("onnx").helper.tensor_dtype_to_np_dtype(attributes["to"]).name
    dtype = getattr(torch, name)
    return (lambda x: x.to(dtype)), [inputs[0].tensor]


def _batch_norm(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    functional, eps = need("torch").nn.functional, attributes.get("epsilon", 1e-5)
    return (
        lambda x, weight, bias, mean, variance: functional.batch_norm(
            x, mean, variance, weight, bias, eps=eps
        )
    ), [g.tensor for g in inputs]


def _hard_sigmoid(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    slope, offset = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return (lambda x: (x * slope + offset).clamp(0, 1)), [inputs[0].tensor]


def _gemm(inputs: Inputs, attributes: Attributes, outputs: int) -> TorchCall:
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    flip_a, flip_b = attributes.get("transA", 0), attributes.get("transB", 0)

    def call(a: Any, b: Any, c: Any = None) -> Any:
        product = alpha * ((a.T if flip_a else a) @ (b.T if flip_b else b))
        return product if c is None else product + beta * c

    return call, [g.tensor for g in inputs]


TORCH_OPERATORS: dict[str, Callable[[Inputs, Attributes, int], TorchCall]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _pool("max"),
    "AveragePool": _pool("mean"),
    "BatchNormalization": _batch_norm,
    "Gemm": _gemm,
    "MatMul": _plain(lambda torch: torch.matmul),
    "Relu": _plain(lambda torch: torch.relu),
    "Sigmoid": _plain(lambda torch: torch.sigmoid),
    "HardSigmoid": _hard_sigmoid,
    "Erf": _plain(lambda torch: torch.erf),
    "Sqrt": _plain(lambda torch: torch.sqrt),
    "Add": _plain(lambda torch: torch.add),
    "Sub": _plain(lambda torch: torch.sub),
    "Mul": _plain(lambda torch: torch.mul),
    "Div": _plain(lambda torch: torch.div),
    "Pow": _plain(lambda torch: torch.pow),
    "Softmax": _softmax,
    "ReduceMean": _reduce_mean,
    "Concat": lambda inputs, attributes, outputs: (
        (lambda *parts: need("torch").cat(parts, attributes["axis"])),
        [g.tensor for g in inputs],
    ),
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Reshape": _reshape,
    "Transpose": lambda inputs, attributes, outputs: (
        (lambda x: x.permute(list(attributes["perm"]))),
        [inputs[0].tensor],
    ),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Identity": lambda inputs, attributes, outputs: ((lambda x: x), [inputs[0].tensor]),
    "Cast": _cast,
    "Resize": _resize,
}
