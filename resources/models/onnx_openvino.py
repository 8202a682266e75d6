"""ONNX files on OpenVINO, which is quicker than ONNX Runtime on some CPUs (`cpu_engines`).

Compiling a network takes longer than reading it compiled, so it is kept below the models folder,
in `compiled/`. OpenVINO's own cache does not notice a byte that changed on the disk and then
answers with other numbers; ours carries a SHA-256. The folder may be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from resources import weights
from resources.errors import BrokenSetup
from resources.models.onnx_torch import FULL, HALF, Port

Precision = Literal["float32", "bfloat16"]
Array = npt.NDArray[Any]

_HINTS: Mapping[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}
_WRITING_TAKES = 600.0  # seconds at most
EDIT = 2  # of what is changed in a network before it is compiled: `_compiled`
_LENGTH_BYTES = 8  # at the end of a kept file: the length of the record before it


@cache
def core() -> Any:
    """OpenVINO itself, once a process. Raises `BrokenSetup` where it cannot be loaded."""
    return _openvino().Core()


def _openvino() -> Any:
    """The package, kept from telling Google Analytics that it was imported, which it does without
    being asked unless its package for that is missing."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise BrokenSetup(
            f"openvino cannot be loaded ({error}): pip install openvino, or set "
            "OKLA_ONNX_RUNTIME=onnxruntime"
        ) from error


class OpenVinoSession:
    """What the models here use of `onnxruntime.InferenceSession`, on OpenVINO. Safe in threads.

    `path` is an .onnx or .ort file of this SHA-256; a network of `any_size` takes one picture of
    any height and width, whatever the file says. Raises `BrokenSetup` where OpenVINO refuses it.
    """

    def __init__(
        self, path: Path, digest: str, threads: int, precision: Precision, *, any_size: bool = False
    ) -> None:
        # What was compiled just now is read back too, so that a second run computes the same.
        self._blob, self._metadata = _kept(digest, precision) or _compiled(
            path, digest, precision, any_size
        )
        tensor = _openvino().Tensor(self._blob, shared_memory=True)
        self._network = core().import_model(tensor, "CPU", _config(precision) | _running(threads))
        self._idle: list[Any] = []

    def get_inputs(self) -> list[Port]:
        return [_port(node) for node in self._network.inputs]

    def get_outputs(self) -> list[Port]:
        return [_port(node) for node in self._network.outputs]

    def get_modelmeta(self) -> Any:
        """The file's own metadata, under `custom_metadata_map`."""
        return SimpleNamespace(custom_metadata_map=self._metadata)

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]:
        """The named outputs, or all, for the inputs by name."""
        try:
            request = self._idle.pop()
        except IndexError:  # the first call, or as many threads as never before
            request = self._network.create_infer_request()
        try:
            found = request.infer({name: np.ascontiguousarray(a) for name, a in feeds.items()})
            # Copies: the request's own memory is written over by its next call.
            return [found[name] for name in names or [port.name for port in self.get_outputs()]]
        finally:
            self._idle.append(request)


def plain_onnx(path: Path, into: Path) -> Path:
    """An .ort file written as .onnx, into a folder: ONNX Runtime reads it and writes its nodes."""
    import onnxruntime

    written = into / f"{path.stem}.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(written)
    options.add_session_config_entry("session.save_model_format", "ONNX")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return written


def _config(precision: Precision) -> dict[str, Any]:
    return {"INFERENCE_PRECISION_HINT": _HINTS[precision], "NUM_STREAMS": 1}


def _running(threads: int) -> dict[str, Any]:
    # Pinned threads of two processes would share the same cores and leave others idle. And a
    # cloud's "two cores" are often two threads of one, of which OpenVINO would use only one.
    return {
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "ENABLE_HYPER_THREADING": True,
    }


def _compiled(
    path: Path, digest: str, precision: Precision, any_size: bool
) -> tuple[Array, dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="okla-openvino-") as folder:
        readable = path if path.suffix.lower() == ".onnx" else plain_onnx(path, Path(folder))
        try:
            model = core().read_model(readable)
            metadata = _metadata(model)
            if any_size:
                model.reshape([1, 3, -1, -1])
            if precision == "bfloat16":
                _boxes_in_float32(model)
            exported: BytesIO = (
                core().compile_model(model, "CPU", _config(precision)).export_model()
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise BrokenSetup(
                f"{path}: OpenVINO cannot run it ({reason}); set OKLA_ONNX_RUNTIME=onnxruntime"
            ) from error
    blob = np.frombuffer(exported.getbuffer(), np.uint8)
    record = {
        "openvino": _version(),
        "sha256": hashlib.sha256(blob.data).hexdigest(),
        "metadata": metadata,
    }
    with contextlib.suppress(OSError):  # a folder that cannot be written: compiled at each start
        _keep(_kept_at(digest, precision), blob, json.dumps(record).encode())
    return blob, metadata


def _boxes_in_float32(model: Any) -> None:
    """Leaves the boxes of a YOLOv8 out of what bfloat16 computes, which above 256 knows only every
    second pixel.

    OpenVINO keeps all that follows the last convolution in float32. The last one of a YOLOv8 is no
    layer: it weighs the 16 distances of a side by their probabilities (distribution focal loss,
    Li et al. 2020), and becomes a sum here.
    """
    operations = importlib.import_module("openvino.opset13")
    for node in model.get_ordered_ops():
        if not node.get_friendly_name().endswith("/dfl/conv/Conv"):
            continue
        probabilities, weights_of_bins = node.input_value(0), node.input_value(1)
        expected = operations.reduce_sum(
            operations.multiply(probabilities, weights_of_bins),
            operations.constant(np.array([1])),
            keep_dims=True,
        )
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(expected.output(0))


def _metadata(model: Any) -> dict[str, str]:
    """The metadata of an ONNX file, which OpenVINO calls the framework's."""
    if not model.has_rt_info(["framework"]):
        return {}
    names = model.get_rt_info(["framework"]).value
    return {name: str(model.get_rt_info(["framework", name]).value) for name in names}


def _kept(digest: str, precision: Precision) -> tuple[Array, dict[str, str]] | None:
    """A network as it was compiled for this CPU, None where it is not there, whole and of this
    release."""
    try:
        # Copy on write: OpenVINO takes no read-only memory.
        content = np.memmap(_kept_at(digest, precision), np.uint8, "c")
        end = len(content) - _LENGTH_BYTES
        begin = end - int.from_bytes(content[end:].tobytes(), "little")
        record = json.loads(content[begin:end].tobytes())
    except (OSError, ValueError):
        return None
    blob = content[:begin]
    sound = (_version(), hashlib.sha256(blob.data).hexdigest())
    return (blob, record["metadata"]) if (record["openvino"], record["sha256"]) == sound else None


def _keep(path: Path, blob: Array, record: bytes) -> None:
    """Appears whole or not. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for unfinished in path.parent.glob("*.part"):  # of processes that were killed
        if time.time() - unfinished.stat().st_mtime > _WRITING_TAKES:
            unfinished.unlink(missing_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as stream:
            stream.write(blob.data)
            stream.write(record + len(record).to_bytes(_LENGTH_BYTES, "little"))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _kept_at(digest: str, precision: Precision) -> Path:
    cpu = [core().get_property("CPU", n) for n in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    mark = hashlib.sha256(repr(cpu).encode()).hexdigest()[:8]
    return weights.models_dir() / "compiled" / f"{digest[:16]}-{precision}-{mark}.openvino"


def _version() -> str:
    """What a kept network has to be of: OpenVINO's release and ours of what is edited before."""
    return f"{_openvino().__version__}, edit {EDIT}"


def _port(node: Any) -> Port:
    shape = (dim.get_length() if dim.is_static else "?" for dim in node.partial_shape)
    half = node.element_type.get_type_name() == "f16"
    return Port(node.any_name, tuple(shape), HALF if half else FULL)
