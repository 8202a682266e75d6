"""Warm ONNX Runtime sessions, shared by everything in the process.

A Dagster resource is set up once a run, but loading SAM 2 takes longer than using it, so sessions
live in a module-level cache keyed by weights digest and threads. `InferenceSession.run` may be
called from several threads at once; only loading is locked.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import TYPE_CHECKING

from resources import weights
from resources.models.base import ModelInfo

if TYPE_CHECKING:
    import onnxruntime

_sessions: dict[tuple[str, int], onnxruntime.InferenceSession] = {}
_loading = threading.Lock()

# Past this the small networks here spend their time waiting for each other.
MOST_THREADS = 8


def catalogue_model(weight: str) -> ModelInfo:
    """A catalogue weight as the listing names it."""
    entry = weights.find(weight)
    return ModelInfo(entry.role, weight, weights.digest(weight), entry.upstream_licence)


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


def load_session(weight: str, threads: int = 0) -> onnxruntime.InferenceSession:
    """The warm session of a catalogue weight; `threads` 0 suits it to the machine.

    Raises `WeightsMissing` where the file has not been pulled.
    """
    count = threads or min(usable_cores(), MOST_THREADS)
    key = (weights.digest(weight), count)
    if session := _sessions.get(key):
        return session
    with _loading:
        if key not in _sessions:
            _sessions[key] = _new_session(weight, count)
        return _sessions[key]


def _new_session(weight: str, threads: int) -> onnxruntime.InferenceSession:
    import onnxruntime

    path = weights.weight_path(weight)
    _share_one_arena()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait win nothing on an idle machine and lose a third on a busy
    # one, where they take the core from the thread they wait for.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@cache
def _share_one_arena() -> None:
    """One memory arena for all sessions, grown by what is asked for.

    By default each session keeps an arena of its own and grows it by powers of two: the same
    networks then hold 400 MB more. Without any arena SAM 2 is 15 % slower.
    """
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    exactly_what_is_asked_for = 1  # kSameAsRequested; the default doubles
    arena = onnxruntime.OrtArenaCfg({"arena_extend_strategy": exactly_what_is_asked_for})
    onnxruntime.create_and_register_allocator(memory, arena)
