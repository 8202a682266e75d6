"""Steps on the frames of a walk-around, which are made together or not at all.

A turn that a step cannot do costs the vehicle its turn and nothing else: the photos go on, the
listing names the video, and the next run tries it again.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from okla_assets import keys
from okla_assets.steps.batches import Outputs, photo_errors, short_message
from okla_assets.steps.costs import Meter
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import Mask, PhotoPlates, Row
from resources.storage.media_store import MediaStore

FrameT = TypeVar("FrameT", Mask, PhotoPlates)

log = logging.getLogger(__name__)


class TurnRows(Row, Generic[FrameT]):
    """The rows of one turn's frames, as they are kept."""

    frames: tuple[FrameT, ...]


@dataclass(frozen=True)
class TurnDone(Generic[FrameT]):
    """A row a frame; `computed` of them took `spent` seconds now. The rest is as in `Done`.

    No rows where there is no turn, or none that the step could do: then `problem` says why.
    """

    rows: tuple[FrameT, ...] = ()
    computed: int = 0
    spent: float = 0.0
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    problem: str | None = None


def run_turn(
    title: str,
    kind: type[TurnRows[FrameT]],
    digest: str,
    compute: Callable[[], tuple[Sequence[FrameT], Outputs]],
    store: MediaStore,
    vehicle: keys.VehicleId,
    step: str,
    meter: Meter,
) -> TurnDone[FrameT]:
    """The frames of one turn: all are reused, or all are made again.

    `compute` returns a row a frame, at least one, and tells `meter` when models are at work.
    """
    cache = StepCache(store, vehicle, step, kind)
    entry, computed, spent, problem = cache.get(digest), 0, 0.0, None
    if entry is None:
        began = time.perf_counter()
        try:
            rows, outputs = compute()
        except photo_errors() as error:
            log.warning("%s failed", title, exc_info=error)
            problem = f"{title} failed: {short_message(error)}"
        spent = time.perf_counter() - began
        if problem is None:
            fresh = kind(frames=tuple(rows))
            entry, computed = cache.put(digest, fresh, outputs, spent, meter.gpu), len(rows)
    cache.prune()
    if entry is None:
        return TurnDone(spent=spent, problem=problem)
    return TurnDone(entry.row.frames, computed, spent, entry.seconds, entry.gpu_seconds)


def no_turn(store: MediaStore, vehicle: keys.VehicleId, step: str) -> TurnDone[FrameT]:
    """The rows of a vehicle without frames: none, and nothing is kept of those it had."""
    StepCache(store, vehicle, step, Row).prune()
    return TurnDone()
