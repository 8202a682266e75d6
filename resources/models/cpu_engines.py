"""Which runtime runs a network on the CPU, and in which precision.

`auto` takes what was measured to be quicker and to give the same picture
(docs/measured.md#runtimes), and ONNX Runtime for everything else.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal

from resources.errors import BrokenSetup
from resources.models.onnx_openvino import core
from resources.settings import settings

CpuEngine = Literal["onnxruntime", "openvino-float32", "openvino-bfloat16"]

_QUICKER = {"sam2_hiera_tiny_encoder", "u2net"}
"""On OpenVINO, on any x86-64 CPU."""
_QUICKER_BY_AVX512 = _QUICKER | {
    "yolov8s",
    "plate_fast",
    "tiny_vit_5m_patch",
    "centerface",
}
_AS_GOOD_IN_BFLOAT16 = {
    "sam2_hiera_tiny_encoder",
    "u2net",
    "yolov8s",
    "platedet",
    "plate_fast",
    "centerface",
}
"""On OpenVINO two to four times as quick in it, where the CPU computes in it."""

_CV_AVX512 = 256  # CV_CPU_AVX512_SKX, which the Python module has no name for


@dataclass(frozen=True)
class Cpu:
    """What matters about this machine's CPU, and whether OpenVINO is installed."""

    openvino: bool
    avx512: bool
    bfloat16: bool


def engine_on_cpu(weight: str) -> CpuEngine:
    """What runs a weight of the catalogue, or the .onnx file at a path.

    Raises `BrokenSetup` where the settings ask for what is not there.
    """
    chosen = settings()
    if chosen.onnx_runtime == "onnxruntime":
        if chosen.onnx_precision == "bfloat16":
            raise BrokenSetup(
                "OKLA_ONNX_PRECISION=bfloat16 needs OpenVINO, and OKLA_ONNX_RUNTIME is "
                "onnxruntime; leave one of them out"
            )
        return "onnxruntime"
    here = cpu()
    if chosen.onnx_runtime == "auto" and not here.openvino:
        return "onnxruntime"
    if weight in _AS_GOOD_IN_BFLOAT16 and chosen.onnx_precision != "float32":
        if here.bfloat16:
            return "openvino-bfloat16"
        if chosen.onnx_precision == "bfloat16":
            raise BrokenSetup(
                "OKLA_ONNX_PRECISION=bfloat16: this CPU has no bfloat16; give auto or float32"
            )
    quicker = _QUICKER_BY_AVX512 if here.avx512 else _QUICKER
    if chosen.onnx_runtime == "auto" and weight not in quicker:
        return "onnxruntime"
    return "openvino-float32"


@cache
def cpu() -> Cpu:
    """This machine's CPU, looked at once a process."""
    if platform.machine() not in ("x86_64", "AMD64") or find_spec("openvino") is None:
        return Cpu(openvino=False, avx512=False, bfloat16=False)
    import cv2

    capabilities = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return Cpu(True, bool(cv2.checkHardwareSupport(_CV_AVX512)), "BF16" in capabilities)
