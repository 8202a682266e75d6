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
from okla_assets.steps.costs import Meter
from okla_assets.steps.per_photo import Outputs
from okla_assets.steps.stages import photo_errors, short_message
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import Mask, PhotoPlates, Row
from resources.storage.media_store import MediaStore

TimedT = TypeVar("TimedT", Mask, PhotoPlates)

log = logging.getLogger(__name__)


class TurnRows(Row, Generic[TimedT]):
    """The rows of one turn's frames, as they are kept."""

    frames: tuple[TimedT, ...]
    seconds: float


@dataclass(frozen=True)
class TurnDone(Generic[TimedT]):
    """A row a frame, how many of them were computed and the seconds that took.

    No rows where there is no turn, or none that the step could do: then `problem` says why.
    """

    rows: tuple[TimedT, ...] = ()
    computed: int = 0
    seconds: float = 0.0
    problem: str | None = None


def run_turn(
    title: str,
    kind: type[TurnRows[TimedT]],
    digest: str,
    compute: Callable[[], tuple[Sequence[TimedT], Outputs]],
    store: MediaStore,
    vehicle: keys.VehicleId,
    step: str,
    meter: Meter,
) -> TurnDone[TimedT]:
    """The frames of one turn: all are kept as they are, or all are made again.

    `compute` returns a row a frame, at least one, their seconds left at 0: each gets its share.
    It tells `meter` when models are at work.
    """
    cache = StepCache(store, vehicle, step, kind)
    turn, computed, spent, problem = cache.get(digest), 0, 0.0, None
    if turn is None:
        began = time.perf_counter()
        try:
            rows, outputs = compute()
        except photo_errors() as error:
            log.warning("%s failed", title, exc_info=error)
            problem = f"{title} failed: {short_message(error)}"
        spent = round(time.perf_counter() - began, 3)
        if problem is None:
            share = {
                "seconds": round(spent / len(rows), 3),
                "gpu_seconds": round(meter.gpu / len(rows), 3),
            }
            fresh = kind(frames=tuple(row.model_copy(update=share) for row in rows), seconds=spent)
            turn, computed = cache.put(digest, fresh, outputs), len(rows)
    cache.prune()
    return TurnDone(() if turn is None else turn.frames, computed, spent, problem)


def no_turn(store: MediaStore, vehicle: keys.VehicleId, step: str) -> TurnDone[TimedT]:
    """The rows of a vehicle without frames: none, and nothing is kept of those it had."""
    StepCache(store, vehicle, step, Row).prune()
    return TurnDone()
