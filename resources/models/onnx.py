"""Warm sessions of ONNX files, shared by everything in the process, on whichever runtime suits.

A Dagster resource is set up once a run, but loading SAM 2 takes longer than using it, so sessions
live in a module-level cache keyed by weights digest, threads and engine. `InferenceSession.run` may
be called from several threads at once, and those of other runtimes too; only loading is locked.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import re
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from resources import weights
from resources.errors import BrokenSetup
from resources.models.base import ModelInfo
from resources.models.cpu_engines import CpuEngine, engine_on_cpu
from resources.models.onnx_openvino import OpenVinoSession, Precision
from resources.models.onnx_torch import TorchSession
from resources.models.torch_models import file_digest
from resources.weights import WeightsMissing

if TYPE_CHECKING:
    import onnxruntime

RunsOn = Literal["cpu", "gpu", "auto"]
GpuEngine = Literal["onnxruntime-cuda", "torch-cuda"]
Engine = CpuEngine | GpuEngine
Network = tuple[str, int, RunsOn]
"""The first three arguments of `load_session`."""
_Key = tuple[str, int, Engine]
"""A weight's digest, threads and engine."""

_MARKS = {*get_args(CpuEngine), *get_args(GpuEngine)} - {"onnxruntime"}  # see engine_mark

_sessions: dict[_Key, tuple[str, onnxruntime.InferenceSession]] = {}
"""Weight and session."""
_ahead: set[_Key] = set()
"""Which of them `load_ahead` has loaded and nobody has asked since."""
_loading = threading.Lock()

# Past this the small networks here spend their time waiting for each other.
MOST_THREADS = 8
# Bytes of a file of weights from which a network's memory is worth loading it anew.
LARGE = 100e6


def catalogue_model(weight: str, role: str = "") -> ModelInfo:
    """A weight as the listing names it; `role` for a file that the catalogue does not know."""
    if _is_file(weight):
        return ModelInfo(role, Path(weight).name, weight_digest(weight), "see where it came from")
    entry = weights.find(weight)
    return ModelInfo(entry.role, weight, weights.digest(weight), entry.upstream_licence)


def weight_digest(weight: str) -> str:
    """SHA-256 of a weight of the catalogue, or of the .onnx file at a path."""
    if not _is_file(weight):
        return weights.digest(weight)
    path = Path(weight).expanduser()
    if not path.is_file():
        raise WeightsMissing(f"{path}: there is no such file of weights")
    return file_digest(path)


def weight_file(weight: str) -> Path:
    """The file of a weight of the catalogue, or the one at a path."""
    return Path(weight).expanduser() if _is_file(weight) else weights.weight_path(weight)


def _is_file(weight: str) -> bool:
    return weight.lower().endswith((".onnx", ".ort", ".tflite"))


def engine_for(weight: str, runs_on: RunsOn) -> Engine:
    """What runs a network: ONNX Runtime's CUDA build where it is installed, else torch's CUDA.

    `auto` falls back to the CPU; for `gpu` that is a `BrokenSetup`.
    """
    if runs_on == "cpu":
        return engine_on_cpu(weight)
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return "onnxruntime-cuda"
    if _torch_sees_a_gpu():
        return "torch-cuda"
    if runs_on == "auto":
        return engine_on_cpu(weight)
    raise BrokenSetup(
        'runs_on = "gpu": neither onnxruntime nor torch sees a GPU here. Install a CUDA build of '
        'torch and NVIDIA\'s driver, or write runs_on = "auto"'
    )


@cache
def _torch_sees_a_gpu() -> bool:
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return bool(torch.cuda.is_available())


def engine_mark(weight: str, runs_on: RunsOn) -> str:
    """What an engine adds to a fingerprint: its runtime and precision, or nothing for ONNX Runtime
    in float32 on the CPU."""
    engine = engine_for(weight, runs_on)
    return "" if engine == "onnxruntime" else f":{engine}"


def without_engines(fingerprint: str) -> str:
    """A fingerprint without what ran the networks.

    Caches keep the two apart; but a listing is not outdated because the next machine has another
    CPU, for then two that share a store would make each other's listings anew each night.
    """
    return re.sub("|".join(f":{engine}" for engine in sorted(_MARKS)), "", fingerprint)


def usable_cores() -> int:
    """Cores this process may run on, at least 1; a container's quota counts on Linux."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as quota_file:  # noqa: PTH123
            quota, period = quota_file.read().split()
    except (OSError, ValueError):
        return max(1, cores)
    if quota == "max":
        return max(1, cores)
    return max(1, min(cores, round(int(quota) / int(period))))


def thread_count() -> int:
    """The threads of a network that is told no number."""
    return min(usable_cores(), MOST_THREADS)


def loaded() -> dict[Engine, list[str]]:
    """The weights that are warm in this process, by what runs them; files by their names."""
    by_engine: dict[Engine, list[str]] = {}
    warm = {(weight, engine) for (_, _, engine), (weight, _) in _sessions.items()}
    for weight, engine in sorted(warm):
        name = Path(weight).name if _is_file(weight) else weight
        by_engine.setdefault(engine, []).append(name)
    return by_engine


def load_session(
    weight: str, threads: int = 0, runs_on: RunsOn = "cpu", *, any_size: bool = False
) -> onnxruntime.InferenceSession:
    """The warm session of a weight; `threads` 0 suits it to the machine.

    `weight` is a name of the catalogue or the path of an .onnx file. On OpenVINO a network of
    `any_size` takes one picture of any height and width, whatever its file says. Raises
    `WeightsMissing` where the file is not there.
    """
    key = _key(weight, threads, runs_on)
    _ahead.discard(key)
    if warm := _sessions.get(key):
        return warm[1]
    with _loading:
        _ahead.discard(key)
        return _loaded(key, weight, any_size)


def load_ahead(networks: Sequence[Network]) -> threading.Thread:
    """Has networks loaded in a thread, which it returns, while what comes before them is done.

    Until they are asked `let_go` leaves them alone, those too that were warm. What fails here
    fails again where the network is asked, and is told there.
    """

    def load() -> None:
        with contextlib.suppress(Exception):
            for network in networks:
                key = _key(*network)
                with _loading:
                    _loaded(key, network[0])
                    _ahead.add(key)

    thread = threading.Thread(target=load, name="load ahead")
    thread.start()
    return thread


def _key(weight: str, threads: int, runs_on: RunsOn) -> _Key:
    return weight_digest(weight), threads or thread_count(), engine_for(weight, runs_on)


def _loaded(key: _Key, weight: str, any_size: bool = False) -> onnxruntime.InferenceSession:
    """The session of the key, loaded if it is not warm; the caller holds `_loading`."""
    if key not in _sessions:
        _, threads, engine = key
        _sessions[key] = weight, _new_session(weight, threads, engine, any_size)
    return _sessions[key][1]


def let_go() -> None:
    """Forgets the warm sessions of large networks, and gives the memory that they took back to the
    system.

    A call that runs keeps its own until it ends.
    """
    with _loading:
        large = [
            key
            for key, (weight, _) in _sessions.items()
            if key not in _ahead and weight_file(weight).stat().st_size >= LARGE
        ]
        for key in large:
            del _sessions[key]
    if large:
        gc.collect()  # .1 s, for all that Dagster holds is looked at
    if sys.platform == "linux":
        # glibc keeps what is freed in small pieces; other C libraries have no such function.
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _new_session(
    weight: str, threads: int, engine: Engine, any_size: bool = False
) -> onnxruntime.InferenceSession:
    import onnxruntime

    path = weight_file(weight)
    if engine == "torch-cuda":
        return TorchSession(path, "cuda")
    if engine in ("openvino-float32", "openvino-bfloat16"):
        precision: Precision = "bfloat16" if engine == "openvino-bfloat16" else "float32"
        return OpenVinoSession(path, weight_digest(weight), threads, precision, any_size=any_size)
    _share_one_arena()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait win nothing on an idle machine and lose a third on a busy
    # one, where they take the core from the thread they wait for.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if engine == "onnxruntime-cuda":
        providers.insert(0, "CUDAExecutionProvider")
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    if session.get_providers()[0] != providers[0]:
        # ONNX Runtime only warns, and would take the CPU instead.
        raise BrokenSetup(
            f"onnxruntime {onnxruntime.__version__} cannot use CUDA here, though it is built for "
            "it: its CUDA and cuDNN are missing, or of another version"
        )
    return session


@cache
def _share_one_arena() -> None:
    """One memory arena for all sessions, extended by what is requested.

    By default each session keeps an arena of its own and grows it by powers of two: the same
    networks then hold 400 MB more. Without any arena SAM 2 is 15 % slower.
    """
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    same_as_requested = 1  # kSameAsRequested; the default doubles
    arena = onnxruntime.OrtArenaCfg({"arena_extend_strategy": same_as_requested})
    onnxruntime.create_and_register_allocator(memory, arena)
