"""ONNX files on PyTorch, so that the gpu profile needs one CUDA library and not two.

`onnxruntime` and `onnxruntime-gpu` cannot be installed beside each other, and the second must match
the CUDA of torch. The networks of the catalogue use some forty operators (`onnx_operators`), all of
which torch has. What depends on shapes alone is computed once for each input shape, in numpy; what
is left is a list of torch calls, which on CUDA becomes one graph: launched call by call, these
small networks would spend more time in the launching than on the GPU.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from resources.errors import BrokenSetup
from resources.models.onnx_operators import (
    NUMPY_OPERATORS,
    TORCH_OPERATORS,
    Argument,
    Array,
    Call,
)
from resources.models.torch_models import need

MOST_SHAPES = 16
"""Input shapes that stay prepared; a network with more of them runs unprepared."""


FULL, HALF = "tensor(float)", "tensor(float16)"


@dataclass(frozen=True)
class Port:
    """An input or output of a network, as in `onnxruntime`."""

    name: str
    shape: tuple[int | str, ...]
    type: str


class TorchSession:
    """What the models here use of `onnxruntime.InferenceSession`, on torch. Safe in threads."""

    def __init__(self, path: Path, device: str, graphs: bool = True) -> None:
        onnx = need("onnx")
        self._path, self._device = path, device
        self._graphs = graphs and device.startswith("cuda")
        model = onnx.load(str(path))
        self._network = _Network(path, model, device)
        weights = {tensor.name for tensor in model.graph.initializer}
        self._inputs = [_port(i) for i in model.graph.input if i.name not in weights]
        self._outputs = [_port(o) for o in model.graph.output]
        self._metadata = {prop.key: prop.value for prop in model.metadata_props}
        self._plans: dict[tuple[tuple[int, ...], ...], _Plan] = {}
        self._one_at_a_time = threading.Lock()

    def get_inputs(self) -> list[Port]:
        return self._inputs

    def get_outputs(self) -> list[Port]:
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
        for buffer, tensor in zip(self._buffers, inputs, strict=True):
            buffer.copy_(tensor)
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
    """The steps, each with the tensors that are not needed after it."""
    needed, freed = set(outputs), []
    for step in reversed(steps):
        used = {i.name for i in step.inputs if isinstance(i, _Name)}
        freed.append(_Step(step.call, step.inputs, step.outputs, tuple(used - needed)))
        needed |= used
    return freed[::-1]


def _port(value: Any) -> Port:
    tensor = value.type.tensor_type
    dims = tensor.shape.dim
    half = tensor.elem_type == need("onnx").TensorProto.FLOAT16
    return Port(value.name, tuple(d.dim_param or d.dim_value for d in dims), HALF if half else FULL)


class _Network:
    """An ONNX graph: its nodes, and its constants as numpy arrays and, where float, as tensors."""

    def __init__(self, path: Path, model: Any, device: str) -> None:
        onnx, torch = need("onnx"), need("torch")
        self._path, self._device = path, device
        self._opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        self._nodes = []
        for node in model.graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                constants[node.output[0]] = onnx.numpy_helper.to_array(attributes["value"])
            elif node.op_type == "Identity" and node.input[0] in constants:
                constants[node.output[0]] = constants[node.input[0]]
            else:
                known = node.op_type in TORCH_OPERATORS or node.op_type in NUMPY_OPERATORS
                if not known or node.domain not in ("", "ai.onnx"):
                    raise BrokenSetup(
                        f"{path}: uses the operator {node.op_type}, which is not among those that "
                        'run on torch; run it on ONNX Runtime (runs_on = "cpu")'
                    )
                self._nodes.append(
                    (node.op_type, tuple(node.input), tuple(node.output), attributes)
                )
        self._constants = constants
        self._tensors = {
            name: torch.from_numpy(np.array(array)).to(device)
            for name, array in constants.items()
            if array.dtype.kind == "f"
        }

    def steps(self, inputs: Mapping[str, Any]) -> list[_Step]:
        """The torch calls for inputs of these shapes; runs them once to know all shapes."""
        constants, tensors = dict(self._constants), {**self._tensors, **inputs}
        computed = set(inputs)
        steps: list[_Step] = []
        for op, names, outputs, attributes in self._nodes:
            attributes = attributes | {"opset": self._opset}
            if op == "Shape":
                constants[outputs[0]] = np.array(tuple(tensors[names[0]].shape), np.int64)
                continue
            if op in NUMPY_OPERATORS and all(n in constants for n in names if n):
                made = NUMPY_OPERATORS[op]([constants[n] if n else None for n in names], attributes)
                for name, array in zip(outputs, made, strict=False):
                    constants[name] = array
                    if array.dtype.kind == "f":
                        tensors[name] = self._tensor(array)
                continue
            if op not in TORCH_OPERATORS:
                raise BrokenSetup(
                    f"{self._path}: {op} of values that are known only while the network runs"
                )
            node = [self._argument(n, constants, tensors, computed) for n in names]
            call, arguments = TORCH_OPERATORS[op](node, attributes, len(outputs))
            found = call(*(tensors[i.name] if isinstance(i, _Name) else i for i in arguments))
            steps.append(_Step(call, tuple(arguments), outputs))
            for name, tensor in zip(outputs, found if len(outputs) > 1 else [found], strict=False):
                tensors[name] = tensor
                computed.add(name)
        return steps

    def _argument(
        self,
        name: str,
        constants: Mapping[str, Array],
        tensors: Mapping[str, Any],
        computed: set[str],
    ) -> Argument:
        if not name:
            return Argument(None, None)
        if name in computed:
            return Argument(_Name(name), None)
        return Argument(tensors.get(name), constants.get(name), self._tensor)

    def _tensor(self, array: Array) -> Any:
        return need("torch").from_numpy(np.array(array)).to(self._device)
