"""ONNX files on PyTorch, so that the gpu profile needs one CUDA library and not two.

`onnxruntime` and `onnxruntime-gpu` cannot be installed beside each other, and the second must match
the CUDA of torch. The networks of the catalogue use some forty operators, which torch has; here
they are. What depends on shapes alone is worked out once an input shape, in numpy; what is left is
a list of torch calls, which on CUDA becomes one graph: launched call by call, these small networks
would spend more time in the launching than on the GPU.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from resources.errors import BrokenSetup
from resources.models.torch_models import need

Array = npt.NDArray[Any]
Call = Callable[..., Any]

MOST_SHAPES = 16
"""Input shapes that are kept prepared; a network with more of them runs unprepared."""


@dataclass(frozen=True)
class Port:
    """An input or output of a network, named as in `onnxruntime`."""

    name: str
    shape: tuple[int | str, ...]


class TorchSession:
    """What the models here use of `onnxruntime.InferenceSession`, on torch. Safe in threads."""

    def __init__(self, path: Path, device: str, graphs: bool = True) -> None:
        onnx = need("onnx")
        self._path, self._device = path, device
        self._graphs = graphs and device.startswith("cuda")
        model = onnx.load(str(path))
        self._network = _Network(path, model, device)
        given = {tensor.name for tensor in model.graph.initializer}
        self._inputs = [_port(i) for i in model.graph.input if i.name not in given]
        self._outputs = [_port(o) for o in model.graph.output]
        self._metadata = {prop.key: prop.value for prop in model.metadata_props}
        self._plans: dict[tuple[tuple[int, ...], ...], _Plan] = {}
        self._one_at_a_time = threading.Lock()

    def get_inputs(self) -> list[Port]:
        """Name and shape of each input."""
        return self._inputs

    def get_outputs(self) -> list[Port]:
        """Name and shape of each output."""
        return self._outputs

    def get_modelmeta(self) -> Any:
        """The file's own metadata, under `custom_metadata_map`."""
        return SimpleNamespace(custom_metadata_map=self._metadata)

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]:
        """The named outputs, or all, for the inputs by name."""
        torch = need("torch")
        arrays = [np.ascontiguousarray(feeds[port.name]) for port in self._inputs]
        shapes = tuple(array.shape for array in arrays)
        wanted = [port.name for port in self._outputs]
        with self._one_at_a_time, torch.inference_mode():
            plan = self._plans.get(shapes)
            if plan is None:
                plan = self._prepared(arrays)
                if len(self._plans) < MOST_SHAPES:
                    self._plans[shapes] = plan
            results = plan.run([torch.from_numpy(array) for array in arrays])
            found = dict(zip(wanted, (r.cpu().numpy() for r in results), strict=True))
        return [found[name] for name in names or wanted]

    def _prepared(self, arrays: Sequence[Array]) -> _Plan:
        torch = need("torch")
        inputs = [torch.from_numpy(array).to(self._device) for array in arrays]
        names = [port.name for port in self._inputs]
        steps = self._network.steps(dict(zip(names, inputs, strict=True)))
        plan = _Plan(steps, names, [port.name for port in self._outputs], inputs)
        # A shape that may not come again is not worth the capture.
        if self._graphs and len(self._plans) < MOST_SHAPES:
            plan.capture()
        return plan


@dataclass(frozen=True)
class _Step:
    """One torch call: names of tensors among `inputs`, everything else as it is."""

    call: Call
    inputs: tuple[Any, ...]
    outputs: tuple[str, ...]
    last_use: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Name:
    name: str


class _Plan:
    """The torch calls for one set of input shapes; on CUDA one graph of them."""

    def __init__(
        self, steps: Sequence[_Step], inputs: Sequence[str], outputs: Sequence[str], first: Any
    ) -> None:
        self._steps, self._inputs, self._outputs = _freed(steps, outputs), inputs, outputs
        self._buffers = list(first)
        self._graph: Any = None
        self._results: list[Any] = []

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        for buffer, given in zip(self._buffers, inputs, strict=True):
            buffer.copy_(given)
        if self._graph is None:
            return self._eager()
        self._graph.replay()
        return self._results

    def capture(self) -> None:
        """Runs once to warm up, then once more into a graph. Other threads may use CUDA."""
        torch = need("torch")
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                self._eager()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._results = self._eager()
        self._graph = graph

    def _eager(self) -> list[Any]:
        values = dict(zip(self._inputs, self._buffers, strict=True))
        for step in self._steps:
            arguments = [values[i.name] if isinstance(i, _Name) else i for i in step.inputs]
            found = step.call(*arguments)
            if len(step.outputs) == 1:
                values[step.outputs[0]] = found
            else:
                values.update(zip(step.outputs, found, strict=False))
            for name in step.last_use:
                values.pop(name, None)
        return [values[name] for name in self._outputs]


def _freed(steps: Sequence[_Step], outputs: Sequence[str]) -> list[_Step]:
    """The steps, each with the tensors that nobody needs after it."""
    needed, freed = set(outputs), []
    for step in reversed(steps):
        used = {i.name for i in step.inputs if isinstance(i, _Name)}
        freed.append(_Step(step.call, step.inputs, step.outputs, tuple(used - needed)))
        needed |= used
    return freed[::-1]


def _port(value: Any) -> Port:
    dims = value.type.tensor_type.shape.dim
    return Port(value.name, tuple(d.dim_param or d.dim_value for d in dims))


class _Network:
    """An ONNX graph: its nodes, and its constants as numpy arrays and, where float, as tensors."""

    def __init__(self, path: Path, model: Any, device: str) -> None:
        onnx, torch = need("onnx"), need("torch")
        self._path, self._device = path, device
        self._opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        numbers = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        self._nodes = []
        for node in model.graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                numbers[node.output[0]] = onnx.numpy_helper.to_array(attributes["value"])
            elif node.op_type == "Identity" and node.input[0] in numbers:
                numbers[node.output[0]] = numbers[node.input[0]]
            else:
                known = node.op_type in _TORCH or node.op_type in _NUMPY
                if not known or node.domain not in ("", "ai.onnx"):
                    raise BrokenSetup(
                        f"{path}: uses the operator {node.op_type}, which is not among those that "
                        'run on torch; run it on ONNX Runtime (runs_on = "cpu")'
                    )
                self._nodes.append(
                    (node.op_type, tuple(node.input), tuple(node.output), attributes)
                )
        self._numbers = numbers
        self._tensors = {
            name: torch.from_numpy(np.array(array)).to(device)
            for name, array in numbers.items()
            if array.dtype.kind == "f"
        }

    def steps(self, inputs: Mapping[str, Any]) -> list[_Step]:
        """The torch calls for inputs of these shapes; runs them once to know all shapes."""
        numbers, tensors = dict(self._numbers), {**self._tensors, **inputs}
        computed = set(inputs)
        steps: list[_Step] = []
        for op, names, outputs, attributes in self._nodes:
            attributes = attributes | {"opset": self._opset}
            if op == "Shape":
                numbers[outputs[0]] = np.array(tuple(tensors[names[0]].shape), np.int64)
                continue
            if op in _NUMPY and all(n in numbers for n in names if n):
                made = _NUMPY[op]([numbers[n] if n else None for n in names], attributes)
                for name, array in zip(outputs, made, strict=False):
                    numbers[name] = array
                    if array.dtype.kind == "f":
                        tensors[name] = self._tensor(array)
                continue
            if op not in _TORCH:
                raise BrokenSetup(f"{self._path}: {op} of values that are not known beforehand")
            given = [self._argument(n, numbers, tensors, computed) for n in names]
            call = _TORCH[op](given, attributes, len(outputs))
            ready = [tensors[i.name] if isinstance(i, _Name) else i for i in call[1]]
            found = call[0](*ready)
            steps.append(_Step(call[0], tuple(call[1]), outputs))
            for name, tensor in zip(outputs, found if len(outputs) > 1 else [found], strict=False):
                tensors[name] = tensor
                computed.add(name)
        return steps

    def _argument(
        self,
        name: str,
        numbers: Mapping[str, Array],
        tensors: Mapping[str, Any],
        computed: set[str],
    ) -> _Argument:
        if not name:
            return _Argument(None, None)
        if name in computed:
            return _Argument(_Name(name), None)
        return _Argument(tensors.get(name), numbers.get(name), self._tensor)

    def _tensor(self, array: Array) -> Any:
        return need("torch").from_numpy(np.array(array)).to(self._device)


@dataclass(frozen=True)
class _Argument:
    """An input of a node: a tensor (its name while it is computed), or numbers known beforehand."""

    value: Any
    numbers: Array | None
    as_tensor: Callable[[Array], Any] | None = None

    @property
    def tensor(self) -> Any:
        """For a torch call."""
        if self.value is None and self.numbers is not None and self.as_tensor is not None:
            return self.as_tensor(self.numbers)
        return self.value

    @property
    def ints(self) -> list[int]:
        """Numbers such as axes or sizes."""
        if self.numbers is None:
            raise BrokenSetup("a size that is not known before the network runs")
        return [int(v) for v in np.ravel(self.numbers)]


Given = Sequence[_Argument]
Attributes = Mapping[str, Any]
Made = tuple[Call, Sequence[Any]]


# --- on shapes and other numbers known beforehand: numpy ------------------------------------------


def _np_slice(given: Sequence[Any], attributes: Attributes) -> list[Array]:
    data, starts, ends, axes, steps = (*given, None, None)[:5]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut: list[Any] = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[int(axis)] = slice(int(start), int(end), int(step))
    return [data[tuple(cut)]]


def _np_div(given: Sequence[Any], attributes: Attributes) -> list[Array]:
    a, b = given
    return [a // b if np.asarray(a).dtype.kind in "iu" else a / b]


def _axes(given: Sequence[Any], attributes: Attributes) -> tuple[int, ...]:
    axes = attributes.get("axes") if len(given) < 2 or given[1] is None else given[1]
    return tuple(int(a) for a in axes) if axes is not None else ()


def _np_cast(given: Sequence[Any], attributes: Attributes) -> list[Array]:
    dtype = need("onnx").helper.tensor_dtype_to_np_dtype(attributes["to"])
    return [np.asarray(given[0]).astype(dtype)]


_NUMPY: dict[str, Callable[[Sequence[Any], Attributes], list[Array]]] = {
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


# --- on pictures: torch ---------------------------------------------------------------------------


def _plain(function: Callable[[Any], Call]) -> Callable[[Given, Attributes, int], Made]:
    """An operator whose inputs are all tensors; `function` picks the call from torch."""

    def make(given: Given, attributes: Attributes, outputs: int) -> Made:
        return function(need("torch")), [g.tensor for g in given]

    return make


def _paddings(attributes: Attributes) -> tuple[list[int], list[int]]:
    """Padding for torch's own argument, and what must be padded before because it is lopsided."""
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


def _conv(given: Given, attributes: Attributes, outputs: int) -> Made:
    torch = need("torch")
    inside, before = _paddings(attributes)
    stride = list(attributes.get("strides") or [1, 1])
    dilation = list(attributes.get("dilations") or [1, 1])
    groups = attributes.get("group", 1)

    def call(x: Any, weight: Any, bias: Any = None) -> Any:
        x = torch.nn.functional.pad(x, before) if before else x
        x = _same(x, attributes, weight.shape[2:], stride)
        return torch.conv2d(x, weight, bias, stride, inside, dilation, groups)

    return call, [g.tensor for g in given]


def _conv_transpose(given: Given, attributes: Attributes, outputs: int) -> Made:
    torch = need("torch")
    inside, before = _paddings(attributes)
    if before:
        raise BrokenSetup("a lopsided ConvTranspose is not among what runs on torch")
    stride = list(attributes.get("strides") or [1, 1])
    extra = list(attributes.get("output_padding") or [0, 0])
    groups = attributes.get("group", 1)
    dilation = list(attributes.get("dilations") or [1, 1])

    def call(x: Any, weight: Any, bias: Any = None) -> Any:
        return torch.conv_transpose2d(x, weight, bias, stride, inside, extra, groups, dilation)

    return call, [g.tensor for g in given]


def _pool(kind: str) -> Callable[[Given, Attributes, int], Made]:
    def make(given: Given, attributes: Attributes, outputs: int) -> Made:
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
                raise BrokenSetup("a lopsided AveragePool is not among what runs on torch")
            counted = bool(attributes.get("count_include_pad", 0))
            x = functional.pad(x, before) if before else x
            return functional.avg_pool2d(x, kernel, stride, inside, ceil, counted)

        return call, [given[0].tensor]

    return make


def _softmax(given: Given, attributes: Attributes, outputs: int) -> Made:
    axis = attributes.get("axis", -1 if attributes["opset"] >= 13 else 1)

    def call(x: Any) -> Any:
        if attributes["opset"] < 13 and axis not in (-1, x.ndim - 1):
            raise BrokenSetup("a softmax over several axes is not among what runs on torch")
        return x.softmax(axis)

    return call, [given[0].tensor]


def _slice(given: Given, attributes: Attributes, outputs: int) -> Made:
    if len(given) > 1:
        starts, ends = given[1].ints, given[2].ints
        axes = given[3].ints if len(given) > 3 else list(range(len(starts)))
        steps = given[4].ints if len(given) > 4 else [1] * len(starts)
    else:
        starts, ends = list(attributes["starts"]), list(attributes["ends"])
        axes, steps = list(attributes.get("axes") or range(len(starts))), [1] * len(starts)

    def call(x: Any) -> Any:
        cut: list[Any] = [slice(None)] * x.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            cut[axis] = slice(start, end, step)
        return x[tuple(cut)]

    return call, [given[0].tensor]


def _reshape(given: Given, attributes: Attributes, outputs: int) -> Made:
    shape = given[1].ints

    def call(x: Any) -> Any:
        return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])

    return call, [given[0].tensor]


def _node_axes(given: Given, attributes: Attributes) -> list[int]:
    return given[1].ints if len(given) > 1 else list(attributes.get("axes") or [])


def _squeeze(given: Given, attributes: Attributes, outputs: int) -> Made:
    axes = _node_axes(given, attributes)
    return (lambda x: x.squeeze(tuple(axes)) if axes else x.squeeze()), [given[0].tensor]


def _unsqueeze(given: Given, attributes: Attributes, outputs: int) -> Made:
    axes = sorted(_node_axes(given, attributes))

    def call(x: Any) -> Any:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return call, [given[0].tensor]


def _gather(given: Given, attributes: Attributes, outputs: int) -> Made:
    torch, axis = need("torch"), attributes.get("axis", 0)
    indices = given[1].numbers
    if indices is None or given[1].as_tensor is None:
        raise BrokenSetup("a gather of computed places is not among what runs on torch")
    if indices.ndim == 0:
        return (lambda x: x.select(axis, int(indices))), [given[0].tensor]
    places = given[1].as_tensor(indices.ravel())

    def call(x: Any) -> Any:
        first, last = x.shape[:axis], x.shape[axis:][1:]
        counted = torch.remainder(places, x.shape[axis])  # -1 is the last
        return torch.index_select(x, axis, counted).reshape((*first, *indices.shape, *last))

    return call, [given[0].tensor]


def _split(given: Given, attributes: Attributes, outputs: int) -> Made:
    axis = attributes.get("axis", 0)
    sizes = given[1].ints if len(given) > 1 else list(attributes.get("split") or [])

    def call(x: Any) -> Any:
        return x.split(sizes or -(-x.shape[axis] // outputs), axis)

    return call, [given[0].tensor]


def _resize(given: Given, attributes: Attributes, outputs: int) -> Made:
    functional = need("torch").nn.functional
    mode = attributes.get("mode", b"nearest").decode()
    places = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    if (mode, places) not in _RESIZES:
        raise BrokenSetup(f"a resize {mode} {places} is not among what runs on torch")
    how = _RESIZES[mode, places]
    sizes = given[3].ints[2:] if len(given) > 3 and given[3].numbers is not None else None
    scales = None if sizes or given[2].numbers is None else [float(v) for v in given[2].numbers[2:]]

    def call(x: Any) -> Any:
        size = sizes or [int(n * s) for n, s in zip(x.shape[2:], scales or [], strict=True)]
        return functional.interpolate(x, size=size, **how)

    return call, [given[0].tensor]


_RESIZES: dict[tuple[str, str], dict[str, Any]] = {
    ("nearest", "asymmetric"): {"mode": "nearest"},
    ("linear", "half_pixel"): {"mode": "bilinear", "align_corners": False},
    ("linear", "pytorch_half_pixel"): {"mode": "bilinear", "align_corners": False},
    ("linear", "align_corners"): {"mode": "bilinear", "align_corners": True},
}


def _reduce_mean(given: Given, attributes: Attributes, outputs: int) -> Made:
    axes, keep = _node_axes(given, attributes), bool(attributes.get("keepdims", 1))
    return (lambda x: x.mean(axes or None, keepdim=keep)), [given[0].tensor]


def _cast(given: Given, attributes: Attributes, outputs: int) -> Made:
    torch = need("torch")
    name = need("onnx").helper.tensor_dtype_to_np_dtype(attributes["to"]).name
    dtype = getattr(torch, name)
    return (lambda x: x.to(dtype)), [given[0].tensor]


def _batch_norm(given: Given, attributes: Attributes, outputs: int) -> Made:
    functional, eps = need("torch").nn.functional, attributes.get("epsilon", 1e-5)
    return (
        lambda x, weight, bias, mean, variance: functional.batch_norm(
            x, mean, variance, weight, bias, eps=eps
        )
    ), [g.tensor for g in given]


def _hard_sigmoid(given: Given, attributes: Attributes, outputs: int) -> Made:
    slope, offset = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return (lambda x: (x * slope + offset).clamp(0, 1)), [given[0].tensor]


def _gemm(given: Given, attributes: Attributes, outputs: int) -> Made:
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    flip_a, flip_b = attributes.get("transA", 0), attributes.get("transB", 0)

    def call(a: Any, b: Any, c: Any = None) -> Any:
        product = alpha * ((a.T if flip_a else a) @ (b.T if flip_b else b))
        return product if c is None else product + beta * c

    return call, [g.tensor for g in given]


_TORCH: dict[str, Callable[[Given, Attributes, int], Made]] = {
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
    "Concat": lambda given, attributes, outputs: (
        (lambda *parts: need("torch").cat(parts, attributes["axis"])),
        [g.tensor for g in given],
    ),
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Reshape": _reshape,
    "Transpose": lambda given, attributes, outputs: (
        (lambda x: x.permute(list(attributes["perm"]))),
        [given[0].tensor],
    ),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Identity": lambda given, attributes, outputs: ((lambda x: x), [given[0].tensor]),
    "Cast": _cast,
    "Resize": _resize,
}
