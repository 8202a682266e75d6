"""ONNX Runtime and OpenVINO in turn: each network by itself, and the mattes that they make.

    python -m tests.benchmarks.runtimes PHOTO... [--manifest CSV] [--calls 5]

Prints CPU and wall seconds a call of each network of the local profile, with the largest
difference of their answers; then of a photo's matte as `auto` has it (the other networks on ONNX
Runtime throughout), with its IoU with the one by ONNX Runtime and, where the manifest (columns
`file` and `mask`, paths beside it) knows the photo's true mask, with that. bfloat16 is there where
the CPU has it.
"""

import argparse
import csv
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import mean, median
from typing import Any
from unittest import mock

import numpy as np

from okla_assets.imaging.matte import cutout
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio import studio
from okla_assets.imaging.types import Alpha, Rgb
from okla_assets.steps.pictures import WORKING_SIDE
from resources.decoding.photo_decoder import PhotoDecoder
from resources.models import cpu_engines, onnx
from resources.models.base import Subject, vehicles_of
from resources.models.cpu_engines import CpuEngine
from resources.models.fused_matte import FusedMatte
from resources.models.yolo_onnx import YoloOnnxDetector

SHAPES = {
    "sam2_hiera_tiny_encoder": (1, 3, 1024, 1024),
    "u2net": (1, 3, 320, 320),
    "yolov8s": (1, 3, 640, 640),
    "platedet": (1, 3, 640, 640),
    "plate_fast": (1, 3, 640, 640),
    "tiny_vit_5m_patch": (2, 3, 224, 224),
    "ppocr_rec": (1, 3, 48, 200),
}
DECODER = "sam2_hiera_tiny_decoder"


def engines() -> list[CpuEngine]:
    here = cpu_engines.cpu()
    some: list[CpuEngine] = ["onnxruntime"]
    if here.openvino:
        some.append("openvino-float32")
    if here.bfloat16:
        some.append("openvino-bfloat16")
    return some


def timed(call: Callable[..., Any], *given: Any) -> tuple[Any, float, float]:
    """What it gives, its CPU seconds and its wall seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call(*given)
    return result, time.process_time() - cpu, time.perf_counter() - wall


def networks(calls: int) -> None:
    print(f"seconds a call, the least of {calls} in turn: CPU / wall; largest difference")
    rng = np.random.default_rng(0)
    features: dict[str, Any] = {}
    for weight in [*SHAPES, DECODER]:
        sessions = {e: onnx._new_session(weight, onnx.thread_count(), e) for e in engines()}
        if weight == DECODER:
            feed = features | {
                "point_coords": np.array([[[200, 300], [800, 700]]], np.float32),
                "point_labels": np.array([[2, 3]], np.float32),
                "mask_input": np.zeros((1, 1, 256, 256), np.float32),
                "has_mask_input": np.zeros(1, np.float32),
            }
        else:
            dtype = np.float16 if weight == "platedet" else np.float32
            name = sessions["onnxruntime"].get_inputs()[0].name
            feed = {name: rng.random(SHAPES[weight], np.float32).astype(dtype)}
        first = {engine: session.run(None, feed) for engine, session in sessions.items()}
        if weight == "sam2_hiera_tiny_encoder":
            names = [port.name for port in sessions["onnxruntime"].get_outputs()]
            features = dict(zip(names, first["onnxruntime"], strict=True))
        seconds: dict[CpuEngine, list[tuple[float, float]]] = {engine: [] for engine in sessions}
        for _ in range(calls):
            for engine, session in sessions.items():
                seconds[engine].append(timed(session.run, None, feed)[1:])
        for engine, found in seconds.items():
            cpu, wall = (min(values) for values in zip(*found, strict=True))
            apart = max(
                float(np.abs(a.astype(np.float32) - b.astype(np.float32)).max())
                for a, b in zip(first[engine], first["onnxruntime"], strict=True)
            )
            print(f"{weight:24} {engine:18} {cpu:.3f} / {wall:.3f}  {apart:.1e}", flush=True)


def as_set(runtime: str, precision: str) -> AbstractContextManager[object]:
    """A context with these settings of the runtime."""
    return mock.patch.dict(os.environ, OKLA_ONNX_RUNTIME=runtime, OKLA_ONNX_PRECISION=precision)


VARIANTS = {
    "onnxruntime": ("onnxruntime", "auto"),
    "openvino-float32": ("auto", "float32"),
    "openvino-bfloat16": ("auto", "bfloat16"),
}


def mattes(photos: Sequence[Path], truths: dict[Path, Path]) -> None:
    decoder, detector, matte = PhotoDecoder(), YoloOnnxDetector(), FusedMatte()
    made: dict[str, list[tuple[Alpha, float, float]]] = {engine: [] for engine in engines()}
    true: list[Alpha | None] = []
    for number, path in enumerate(photos):
        photo = decoder.decode(path.read_bytes(), WORKING_SIDE).rgb
        with as_set(*VARIANTS["onnxruntime"]):
            subject = subject_of(photo, detector)
        order = list(made)
        for engine in order[number % len(order) :] + order[: number % len(order)]:
            with as_set(*VARIANTS[engine]):
                for weight in (matte.sam2.encoder, matte.sam2.decoder, matte.saliency.weights):
                    onnx.load_session(weight)
                (cut,), cpu, wall = timed(matte.segment, [photo], [subject])
            made[engine].append((cut.alpha, cpu, wall))
            print(f"{path.name} {engine}: CPU {cpu:.2f} s, wall {wall:.2f} s", flush=True)
        mask = truths.get(path.resolve())
        true.append(None if mask is None else studio.as_alpha(codec.decode_gray(mask.read_bytes())))
    print(f"mattes of {len(photos)} photos, medians")
    for engine, found in made.items():
        with_first = [
            iou(a, b) for (a, *_), (b, *_) in zip(found, made["onnxruntime"], strict=True)
        ]
        with_true = [iou(a, t) for (a, *_), t in zip(found, true, strict=True) if t is not None]
        print(
            f"{engine:18} CPU {median(f[1] for f in found):.2f} s, "
            f"wall {median(f[2] for f in found):.2f} s; IoU with ONNX Runtime's "
            f"{mean(with_first):.4f} (lowest {min(with_first):.4f})"
            + (f"; with {len(with_true)} true masks {mean(with_true):.4f}" if with_true else "")
        )


def subject_of(photo: Rgb, detector: YoloOnnxDetector) -> Subject:
    (found,) = detector.detect([photo])
    vehicles = vehicles_of(found)
    height, width = photo.shape[:2]
    main = cutout.main_vehicle(
        [d.box for d in vehicles], [d.score for d in vehicles], width, height
    )
    if main is None:
        raise SystemExit("no vehicle on a photo: the benchmark needs exteriors")
    return Subject.among(found, main)


def iou(a: Alpha, b: Alpha) -> float:
    one, other = a > 0.5, b > 0.5
    return float((one & other).sum() / max(1, (one | other).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--calls", type=int, default=5, help="0 leaves the single networks out")
    arguments = parser.parse_args()
    truths = {}
    if arguments.manifest:
        folder = arguments.manifest.resolve().parent
        with arguments.manifest.open(encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                if row["mask"]:
                    truths[folder / row["file"]] = folder / row["mask"]
    print(cpu_engines.cpu(), f"{onnx.thread_count()} threads")
    if arguments.calls:
        networks(arguments.calls)
    mattes(arguments.photos, truths)


if __name__ == "__main__":
    main()
