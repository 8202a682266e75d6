"""The loop of steps that ask a model about photos: it never waits for the CPU.

Threads prepare the next photos (decode) and finish the last ones (matte, encode, store) while the
model has a batch. Results are those of one photo after the other, in the same order.
"""

import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from okla_assets.steps.costs import Laps, Meter
from okla_assets.steps.per_photo import Done, Outputs
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import FailedPhoto, PhotoRow
from resources.ahead import work_ahead
from resources.models.onnx import usable_cores
from resources.progress import Progress
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.types import Rgb

PreparedT = TypeVar("PreparedT")
AnswerT = TypeVar("AnswerT")
RowT = TypeVar("RowT", bound=PhotoRow)
T = TypeVar("T")

MOST_THREADS = 8
LONGEST_MESSAGE = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Staged(Generic[PreparedT, AnswerT, RowT]):
    """One photo's work around a model; `prepare` and `finish` run in threads.

    `finish` gets the model's answer and returns the row, its seconds left at 0, and output files.
    """

    number: int
    name: str
    digest: str
    prepare: Callable[[], PreparedT]
    finish: Callable[[AnswerT], tuple[RowT, Outputs]]


def run_staged(
    title: str,
    jobs: Sequence[Staged[PreparedT, AnswerT, RowT]],
    ask: Callable[[Sequence[PreparedT]], Sequence[AnswerT]],
    models: Sequence[object],
    cache: StepCache[RowT],
    progress: Progress,
) -> Done[RowT]:
    """The rows of the jobs. `ask` asks the models about prepared photos, and answers each.

    It gets as many at once as each of `models` takes (its `batch`; 1 where it says nothing), in
    the caller's thread and in the order of the jobs. Where it fails on several, each is asked
    about alone.

    A photo on which its own work fails has no row and is among the failed: it never costs the
    others theirs, and the next run tries it again. The step fails where it is not the photos that
    are at fault: no photo has a row, or a photo that has one cannot be answered any more.
    """
    progress.step(title, len(jobs))
    alike: dict[str, list[Staged[PreparedT, AnswerT, RowT]]] = {}
    for job in jobs:
        alike.setdefault(job.digest, []).append(job)
    line = _Line(ask, models, cache)
    rows: dict[str, RowT] = {}
    errors: dict[str, Exception] = {}
    with closing(line.run([same[0] for same in alike.values()])) as results:
        for job, result in results:
            if isinstance(result, Exception):
                log.warning("%s: %s failed", title, job.name, exc_info=result)
                # Its traceback holds the picture: only the first, which may be raised, keeps it.
                errors[job.digest] = result.with_traceback(None) if errors else result
            else:
                rows[job.digest] = result
            for twin in alike[job.digest]:
                progress.advance(twin.name)
    if errors:
        good = next((job for job in jobs if job.digest in rows), None)
        if good is None:
            raise next(iter(errors.values()))
        ask([good.prepare()])
    cache.prune()
    return Done(
        # Two uploads of the same bytes share a result but not a number.
        rows=tuple(
            rows[job.digest].model_copy(update={"number": job.number})
            for job in jobs
            if job.digest in rows
        ),
        computed=line.computed,
        seconds=line.seconds,
        failed=tuple(
            FailedPhoto(number=job.number, step=title, detail=short_message(errors[job.digest]))
            for job in jobs
            if job.digest in errors
        ),
    )


def batch_of(models: Iterable[object]) -> int:
    """As many photos as each of the models takes at once."""
    return max(1, min((int(getattr(model, "batch", 1)) for model in models), default=1))


def in_batches(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """The items in order, at most so many at once."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


def read_picture(store: MediaStore, key: str) -> "Rgb":
    """One of our own pictures."""
    from okla_assets.imaging.photo import codec

    return codec.decode_trusted(store.get(key))


@dataclass(frozen=True)
class _Prepared:
    """A photo that the model has to be asked about."""

    value: Any


@dataclass(frozen=True)
class _Answer:
    """What the model said of a photo, and the photo's share of the seconds that it took."""

    value: Any
    seconds: float
    gpu_seconds: float


Job = Staged[Any, Any, RowT]
Drawn = Generator[tuple[Job[RowT], T], None, None]


@dataclass
class _Line(Generic[RowT]):
    """The stages of one step, and the time they take: each second is some photo's, just once."""

    ask: Callable[[Sequence[Any]], Sequence[Any]]
    models: Sequence[object]
    cache: StepCache[RowT]
    computed: int = 0
    seconds: float = 0.0
    _meter: Meter = field(default_factory=Meter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _laps: Laps = field(default_factory=Laps)

    def run(self, jobs: Sequence[Job[RowT]]) -> Drawn[RowT, RowT | Exception]:
        """Each job with its row, known or new, or with the error that is its own."""
        threads = max(1, min(MOST_THREADS, usable_cores() // 2))
        batch = batch_of(self.models)
        # One batch is ready when the model has done the one before, and not much more: a photo
        # and its matte are 20 MB.
        begun = work_ahead(jobs, self._begin, threads, batch + threads, "prepare")
        with closing(begun), closing(self._answered(begun)) as answered:
            finished = work_ahead(answered, self._finish, threads, max(batch, threads), "finish")
            with closing(finished):
                for (job, _), future in finished:
                    result = result_of(future)
                    yield job, result

    def _begin(self, job: Job[RowT]) -> RowT | _Prepared:
        known = self.cache.get(job.digest)
        return _Prepared(job.prepare()) if known is None else known

    def _answered(
        self, begun: Iterable[tuple[Job[RowT], Future[RowT | _Prepared]]]
    ) -> Drawn[RowT, RowT | _Answer | Exception]:
        """What is known of each job by now; the model is asked whenever a batch is full."""
        batch = batch_of(self.models)
        waiting: list[tuple[Job[RowT], Any]] = []
        for job, future in begun:
            result = result_of(future)
            if not isinstance(result, _Prepared):
                yield job, result
                continue
            waiting.append((job, result.value))
            if len(waiting) == batch:
                yield from self._asked(waiting)
                waiting = []
        if waiting:
            yield from self._asked(waiting)

    def _asked(
        self, batch: Sequence[tuple[Job[RowT], Any]]
    ) -> Drawn[RowT, RowT | _Answer | Exception]:
        """Answers of one batch; where it fails, of its photos one by one."""
        before, failed = self._meter.gpu, None
        try:
            with self._meter.at_work(*self.models):
                answers = self.ask([prepared for _, prepared in batch])
        except photo_errors() as error:
            failed = error
        if failed is None:
            count = len(batch)
            seconds, gpu = self._laps.lap() / count, (self._meter.gpu - before) / count
            for (job, _), answer in zip(batch, answers, strict=True):
                yield job, _Answer(answer, seconds, gpu)
        elif len(batch) == 1:
            yield batch[0][0], failed
        else:
            # Its traceback holds the batch, and that may be what there is no memory for.
            failed = None
            for one in batch:
                yield from self._asked([one])

    def _finish(self, item: tuple[Job[RowT], RowT | _Answer | Exception]) -> RowT:
        job, result = item
        if isinstance(result, Exception):
            raise result
        if not isinstance(result, _Answer):
            return result
        fresh, outputs = job.finish(result.value)
        seconds = result.seconds + self._laps.lap()
        row = self.cache.put(
            job.digest,
            fresh.model_copy(
                update={"seconds": round(seconds, 3), "gpu_seconds": round(result.gpu_seconds, 3)}
            ),
            outputs,
        )
        with self._lock:
            self.computed += 1
            self.seconds += seconds
        return row


def result_of(future: Future[T]) -> T | Exception:
    """What the future returns, or the error that is the photo's own; other errors are raised."""
    try:
        return future.result()
    except photo_errors() as error:
        return error


def photo_errors() -> tuple[type[Exception], ...]:
    """What models and image code raise on a photo's pixels, out of memory included.

    Everything else is not about one photo and stops the step: BrokenSetup, a store that cannot be
    reached, a bug that shows as TypeError or KeyError.
    """
    import cv2

    kinds: list[type[Exception]] = [RuntimeError, ValueError, ArithmeticError, MemoryError]
    kinds.append(cv2.error)
    if ort := sys.modules.get("onnxruntime.capi.onnxruntime_pybind11_state"):
        kinds += [ort.Fail, ort.InvalidArgument, ort.RuntimeException, ort.EPFail]
    return tuple(kinds)


def short_message(error: Exception) -> str:
    """The error's kind and first line, for the person who reviews the vehicle."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:LONGEST_MESSAGE]
