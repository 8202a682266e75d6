"""The loop of every step that works photo by photo: reuse, prepare, ask the models, finish.

Threads prepare the next photos (decode) and finish the last ones (matte, encode, store) while the
model has a batch, so that it never waits for the CPU. Networks on the CPU are asked about two
photos at a time: what is computed between their calls, on one core, hides behind them. Results are
those of one photo after the other, in the same order.
"""

import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar, overload

from okla_assets.steps.costs import Laps, Meter
from okla_assets.steps.step_cache import Entry, StepCache
from okla_assets.tables import FailedPhoto, PhotoRow, Table
from resources.ahead import work_ahead
from resources.models.asking import asked_at_once, batch_size
from resources.models.onnx import usable_cores
from resources.progress import Progress

PreparedT = TypeVar("PreparedT")
AnswerT = TypeVar("AnswerT")
RowT = TypeVar("RowT", bound=PhotoRow)
T = TypeVar("T")

Outputs = Mapping[str, bytes]
"""Files that a step writes, by key."""

MOST_THREADS = 8
LONGEST_MESSAGE = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhotoWork(Generic[PreparedT, AnswerT, RowT]):
    """One photo's work around a model; `prepare` and `finish` run in threads.

    `digest` names all that the result is made from. `finish` gets the model's answer and returns
    the row and the output files.
    """

    number: int
    name: str
    digest: str
    prepare: Callable[[], PreparedT]
    finish: Callable[[AnswerT], tuple[RowT, Outputs]]


@dataclass(frozen=True)
class Done(Generic[RowT]):
    """Rows in the order of the photos, and the photos that have none.

    `computed` rows took `spent` seconds now; the rest was reused. `seconds` went into all rows,
    whenever they were computed; in `gpu_seconds` of them a model was at work on a GPU.
    """

    rows: tuple[RowT, ...]
    failed: tuple[FailedPhoto, ...]
    computed: int
    spent: float
    seconds: float
    gpu_seconds: float


def run_batches(
    title: str,
    photos: Sequence[PhotoWork[PreparedT, AnswerT, RowT]],
    ask: Callable[[Sequence[PreparedT]], Sequence[AnswerT]],
    models: Sequence[object],
    cache: StepCache[RowT],
    progress: Progress,
    *,
    also: Sequence[object] = (),
) -> Done[RowT]:
    """The rows of the photos. `ask` asks the models about prepared photos, and answers each.

    It gets as many at once as each of `models` takes (its `batch`; 1 where it says nothing), in
    the order of the photos. Where it fails on several, each is asked about alone. Photos that come
    one by one are asked about two at a time where each model may be, those that are asked `also`
    included: it says so by `in_threads`.

    A photo on which its own work fails has no row and is among the failed: it never costs the
    others theirs, and the next run tries it again. The step fails where it is not the photos that
    are at fault: no photo has a row, or a photo that has one cannot be answered any more.
    """
    progress.step(title, len(photos))
    # Two uploads of the same bytes share a result but not a number.
    twins: dict[str, list[PhotoWork[PreparedT, AnswerT, RowT]]] = {}
    for photo in photos:
        twins.setdefault(photo.digest, []).append(photo)
    loop = _Loop[RowT](ask, models, cache, also)
    entries: dict[str, Entry[RowT]] = {}
    errors: dict[str, Exception] = {}
    with closing(loop.run([same[0] for same in twins.values()])) as results:
        for photo, result in results:
            if isinstance(result, _Failed):
                log.warning("%s: %s failed", title, photo.name, exc_info=result.error)
                # Its traceback holds the picture: only the first, which may be raised, keeps it.
                errors[photo.digest] = result.error.with_traceback(None) if errors else result.error
            else:
                entries[photo.digest] = result
            for twin in twins[photo.digest]:
                progress.advance(twin.name)
    if errors:
        good = next((photo for photo in photos if photo.digest in entries), None)
        if good is None:
            raise next(iter(errors.values()))
        ask([good.prepare()])
    cache.prune()
    return Done(
        rows=tuple(
            entries[photo.digest].row.model_copy(update={"number": photo.number})
            for photo in photos
            if photo.digest in entries
        ),
        failed=tuple(
            failed_photo(photo.number, title, errors[photo.digest])
            for photo in photos
            if photo.digest in errors
        ),
        computed=loop.computed,
        spent=loop.spent,
        seconds=sum(entry.seconds for entry in entries.values()),
        gpu_seconds=sum(entry.gpu_seconds for entry in entries.values()),
    )


@dataclass(frozen=True)
class _Prepared:
    """A photo that the model has to be asked about."""

    value: Any


@dataclass(frozen=True)
class _Answered:
    """The model's answer, and the photo's share of the seconds up to it."""

    value: Any
    seconds: float
    gpu_seconds: float


@dataclass(frozen=True)
class _Failed:
    """A photo on which its own work failed."""

    error: Exception


Photo = PhotoWork[Any, Any, RowT]


@dataclass
class _Loop(Generic[RowT]):
    """The stages of one step, and the time they take: each second is some photo's, just once."""

    ask: Callable[[Sequence[Any]], Sequence[Any]]
    models: Sequence[object]
    cache: StepCache[RowT]
    also: Sequence[object] = ()
    computed: int = 0
    spent: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _laps: Laps = field(default_factory=Laps)

    def __post_init__(self) -> None:
        self.batch = batch_size(self.models)
        self.threads = min(MOST_THREADS, usable_cores())
        self.askers = asked_at_once([*self.models, *self.also]) if self.batch == 1 else 1

    def run(self, photos: Sequence[Photo[RowT]]) -> "Results[RowT, Entry[RowT] | _Failed]":
        """Each photo with its row, known or new, or with the error that is its own."""
        with closing(self._answers(photos)) as answers:
            at_once = max(self.batch, self.threads)
            finished = work_ahead(answers, self._finish, self.threads, at_once, "finish")
            with closing(finished):
                for (photo, _), future in finished:
                    yield photo, _result(future)

    def _answers(
        self, photos: Sequence[Photo[RowT]]
    ) -> "Results[RowT, Entry[RowT] | _Answered | _Failed]":
        """What is known of each photo by now; the model is asked whenever a batch is full."""
        # One batch is ready when the model has done the one before, and not much more: a photo
        # and its matte are 20 MB.
        most = self.batch + self.threads
        with closing(work_ahead(photos, self._prepare, self.threads, most, "prepare")) as ahead:
            batches = self._batches(ahead)
            if self.askers == 1:  # in this thread, which a run that is terminated interrupts
                for batch in batches:
                    yield from self._asked(batch)
                return
            at_work = work_ahead(batches, self._asked, self.askers, self.askers, "ask")
            with closing(at_work) as asked:
                for _, future in asked:
                    yield from future.result()

    def _batches(
        self, ahead: "Iterable[tuple[Photo[RowT], Future[Entry[RowT] | _Prepared]]]"
    ) -> "Iterator[list[tuple[Photo[RowT], Entry[RowT] | _Prepared | _Failed]]]":
        """The photos in batches for the model; what it is not asked about, by itself."""
        waiting: list[tuple[Photo[RowT], Entry[RowT] | _Prepared | _Failed]] = []
        for photo, future in ahead:
            result = _result(future)
            if not isinstance(result, _Prepared):
                yield [(photo, result)]
                continue
            waiting.append((photo, result))
            if len(waiting) == self.batch:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _asked(
        self, batch: "Sequence[tuple[Photo[RowT], Entry[RowT] | _Prepared | _Failed]]"
    ) -> "list[tuple[Photo[RowT], Entry[RowT] | _Answered | _Failed]]":
        prepared = [(photo, known) for photo, known in batch if isinstance(known, _Prepared)]
        if prepared:
            return [*self._ask_batch(prepared)]
        return [(photo, known) for photo, known in batch if not isinstance(known, _Prepared)]

    def _prepare(self, photo: Photo[RowT]) -> Entry[RowT] | _Prepared:
        return self.cache.get(photo.digest) or _Prepared(photo.prepare())

    def _ask_batch(
        self, batch: Sequence[tuple[Photo[RowT], _Prepared]]
    ) -> list[tuple[Photo[RowT], _Answered | _Failed]]:
        """Answers of one batch; where it fails, of its photos one by one."""
        meter, failed = Meter(), None
        try:
            with meter.at_work(*self.models):
                answers = self.ask([prepared.value for _, prepared in batch])
        except photo_errors() as error:
            failed = _Failed(error)
        if failed is None:
            count = len(batch)
            seconds, gpu = self._laps.lap() / count, meter.gpu / count
            return [
                (photo, _Answered(answer, seconds, gpu))
                for (photo, _), answer in zip(batch, answers, strict=True)
            ]
        if len(batch) == 1:
            return [(batch[0][0], failed)]
        # Its traceback holds the batch, and that may be what there is no memory for.
        failed = None
        return [answer for one in batch for answer in self._ask_batch([one])]

    def _finish(
        self, item: tuple[Photo[RowT], Entry[RowT] | _Answered | _Failed]
    ) -> Entry[RowT] | _Failed:
        photo, result = item
        if not isinstance(result, _Answered):
            return result
        row, outputs = photo.finish(result.value)
        seconds = result.seconds + self._laps.lap()
        entry = self.cache.put(photo.digest, row, outputs, seconds, result.gpu_seconds)
        with self._lock:
            self.computed += 1
            self.spent += seconds
        return entry


Results = Generator[tuple[Photo[RowT], T], None, None]


def _result(future: Future[T]) -> T | _Failed:
    """What the future returns, or the error that is the photo's own; other errors are raised."""
    try:
        return future.result()
    except photo_errors() as error:
        return _Failed(error)


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


class PictureFailed(Exception):
    """A photo, or a frame of the turn, on which a step failed that makes one thing of many."""

    def __init__(self, kind: Literal["photo", "frame"], number: int, error: Exception) -> None:
        super().__init__(f"{kind} {number}: {error}")
        self.picture = kind, number
        self.error = error


@contextmanager
def blame(kind: Literal["photo", "frame"], number: int) -> Iterator[None]:
    """Names the picture whose pixels are worked on inside; raises PictureFailed."""
    try:
        yield
    except photo_errors() as error:
        raise PictureFailed(kind, number, error) from error


Pictures = frozenset[tuple[str, int]]
"""Kind and number of pictures."""


def without_failing(title: str, attempt: Callable[[Pictures], T]) -> tuple[T, list[PictureFailed]]:
    """What `attempt` makes without the pictures on which it failed before; and those.

    It gets the pictures to leave out, and raises PictureFailed for the next one.
    """
    failures: list[PictureFailed] = []
    while True:
        try:
            return attempt(frozenset(f.picture for f in failures)), failures
        except PictureFailed as failure:
            if failure.picture in {f.picture for f in failures}:
                raise  # it was left out, and is not at fault
            log.warning("%s: %s", title, failure, exc_info=failure)
            _drop_tracebacks(failure)
            failures.append(failure)


def _drop_tracebacks(error: BaseException) -> None:
    """Of the error and of all that led to it: their frames hold the pictures of the photo."""
    error.__traceback__ = None
    for earlier in (error.__cause__, error.__context__):
        if earlier is not None and earlier.__traceback__ is not None:
            _drop_tracebacks(earlier)


TableT = TypeVar("TableT", bound=Table)


def with_failures(table: TableT, title: str, failures: Iterable[PictureFailed]) -> TableT:
    """The table, which names these pictures in `failed` and `turn_problem`."""
    photos, frames = [*table.failed], []
    for failure in failures:
        kind, number = failure.picture
        if kind == "photo":
            photos.append(failed_photo(number, title, failure.error))
        else:
            frames.append(f"moment {number}: {short_message(failure.error)}")
    problem = f"{title} failed on {'; '.join(frames)}" if frames else None
    return table.model_copy(update={"failed": tuple(photos), "turn_problem": problem})


def failed_photo(number: int, step: str, error: Exception) -> FailedPhoto:
    """The photo on which this step failed."""
    return FailedPhoto(number=number, step=step, detail=short_message(error))


def short_message(error: Exception) -> str:
    """The error's kind and first line, for the person who reviews the vehicle."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:LONGEST_MESSAGE]


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...


P = TypeVar("P", bound=_Numbered)
A = TypeVar("A", bound=_Numbered)
B = TypeVar("B", bound=_Numbered)
C = TypeVar("C", bound=_Numbered)
D = TypeVar("D", bound=_Numbered)


@overload
def joined(rows: Iterable[P], a: Iterable[A], /) -> Iterator[tuple[P, A]]: ...
@overload
def joined(rows: Iterable[P], a: Iterable[A], b: Iterable[B], /) -> Iterator[tuple[P, A, B]]: ...
@overload
def joined(
    rows: Iterable[P], a: Iterable[A], b: Iterable[B], c: Iterable[C], /
) -> Iterator[tuple[P, A, B, C]]: ...
@overload
def joined(
    rows: Iterable[P], a: Iterable[A], b: Iterable[B], c: Iterable[C], d: Iterable[D], /
) -> Iterator[tuple[P, A, B, C, D]]: ...
def joined(
    rows: Iterable[_Numbered], /, *others: Iterable[_Numbered]
) -> Iterator[tuple[_Numbered, ...]]:
    """The rows of several tables about each photo that all of them have, in the order of the first.

    A photo on which a step failed is missing from that step's table and from all after it; the
    listing accounts for each photo (`listing.Tables`).
    """
    tables = [{row.number: row for row in table} for table in others]
    for row in rows:
        if all(row.number in table for table in tables):
            yield (row, *(table[row.number] for table in tables))
