"""Steps in batches: the same rows as one by one, and a bad photo costs no other its own."""

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.steps.batches import (
    Done,
    Outputs,
    PhotoWork,
    Pictures,
    blame,
    joined,
    run_batches,
    without_failing,
)
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import PhotoRow
from resources.errors import BrokenSetup
from resources.models import asking
from resources.storage.media_store import LocalMediaStore
from tests.fakes import VEHICLE, Quiet, contents


class Said(PhotoRow):
    text: str


class OutOfMemory(RuntimeError):
    """As torch's."""


@dataclass
class Model:
    """Doubles numbers; `wrong` are those it raises an error on, `most` as many as it can hold."""

    batch: int = 1
    wrong: tuple[int, ...] = ()
    most: int = 99
    error: type[Exception] = ValueError
    asked: list[list[int]] = field(default_factory=list)
    device: str = "cpu"

    def ask(self, numbers: Sequence[int]) -> list[int]:
        self.asked.append(list(numbers))
        if len(numbers) > self.most:
            raise OutOfMemory("CUDA out of memory")
        if bad := [n for n in numbers if n in self.wrong]:
            raise self.error(f"cannot do {bad[0]}\nand a stack of other things")
        return [2 * n for n in numbers]


def finish(number: int, answer: int) -> tuple[Said, Outputs]:
    key = keys.work_file(VEHICLE, "said", digest_of(number), "txt")
    return Said(number=number, text=str(answer)), {key: str(answer).encode()}


@dataclass
class Step:
    """Numbers through the model."""

    store: LocalMediaStore
    model: Model = field(default_factory=Model)
    prepare: Callable[[int], int] = int
    finish: Callable[[int, int], tuple[Said, Outputs]] = finish
    progress: Quiet = field(default_factory=Quiet)

    def run(self, *numbers: int) -> Done[Said]:
        jobs = [
            PhotoWork(
                position,
                f"{n}.jpg",
                digest_of(n),
                partial(self.prepare, n),
                partial(self.finish, n),
            )
            for position, n in enumerate(numbers, 1)
        ]
        cache = StepCache(self.store, VEHICLE, "said", Said)
        return run_batches("Saying", jobs, self.model.ask, [self.model], cache, self.progress)


@pytest.fixture
def step(store: LocalMediaStore) -> Step:
    return Step(store)


def texts(done: Done[Said]) -> dict[int, str]:
    return {row.number: row.text for row in done.rows}


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_every_batch_size_makes_the_same(store: LocalMediaStore, batch: int) -> None:
    step = Step(store, Model(batch))
    done = step.run(*range(10, 17))
    assert [(row.number, row.text) for row in done.rows] == [
        (i, str(2 * n)) for i, n in enumerate(range(10, 17), 1)
    ]
    assert (done.computed, done.failed) == (7, ())
    assert [n for batch in step.model.asked for n in batch] == list(range(10, 17))
    assert max(map(len, step.model.asked)) == min(batch, 7)
    assert {data for data, _ in contents(store, f"work/{VEHICLE}/said/").values()} >= {
        str(2 * n).encode() for n in range(10, 17)
    }


@pytest.mark.parametrize(("in_threads", "at_once"), [(True, 2), (False, 1)])
def test_two_photos_are_asked_about_at_a_time_where_the_model_says_so(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch, in_threads: bool, at_once: int
) -> None:
    class Counting(Model):
        def ask(self, numbers: Sequence[int]) -> list[int]:
            now.append(threading.get_ident())
            most.append(len(now))
            both.wait(0.05 if len(now) < at_once else 0)
            now.remove(threading.get_ident())
            return super().ask(numbers)

    monkeypatch.setattr(asking, "usable_cores", lambda: 2)
    now, most, both = list[int](), list[int](), threading.Event()
    model = Counting()
    setattr(model, "in_threads", in_threads)  # noqa: B010
    done = Step(store, model).run(*range(10, 17))
    assert [row.text for row in done.rows] == [str(2 * n) for n in range(10, 17)]
    assert max(most) == at_once


def test_what_is_known_is_not_asked_again(step: Step) -> None:
    first = step.run(1, 2, 3)
    step.model.asked.clear()
    again = step.run(1, 9, 2, 3)
    assert step.model.asked == [[9]]
    assert (again.computed, len(again.rows)) == (1, 4)
    assert texts(again) == {1: "2", 2: "18", 3: "4", 4: "6"}
    # What is reused counts with the seconds that it took to make.
    assert again.seconds == pytest.approx(first.seconds + again.spent, abs=0.004)


def test_two_uploads_of_the_same_bytes_are_asked_about_once(step: Step) -> None:
    done = step.run(5, 6, 5)
    assert step.model.asked == [[5], [6]]
    assert texts(done) == {1: "10", 2: "12", 3: "10"}


def test_results_of_withdrawn_photos_go(step: Step) -> None:
    step.run(1, 2)
    step.run(2)
    assert len(contents(step.store, f"work/{VEHICLE}/said/")) == 2  # a record and a file


def test_a_photo_the_model_cannot_do_is_singled_out(store: LocalMediaStore) -> None:
    step = Step(store, Model(batch=4, wrong=(2,)))
    done = step.run(1, 2, 3, 4, 5)
    assert texts(done) == {1: "2", 3: "6", 4: "8", 5: "10"}
    (failed,) = done.failed
    assert (failed.number, failed.step) == (2, "Saying")
    assert failed.detail == "ValueError: cannot do 2"
    assert done.computed == 4


def test_what_failed_is_tried_again_by_the_next_run(step: Step) -> None:
    step.model.wrong = (2,)
    step.run(1, 2)
    step.model.wrong = ()
    done = step.run(1, 2)
    assert (texts(done), done.failed, done.computed) == ({1: "2", 2: "4"}, (), 1)


def test_a_batch_there_is_no_memory_for_is_done_one_by_one(store: LocalMediaStore) -> None:
    step = Step(store, Model(batch=4, most=1))
    done = step.run(1, 2, 3, 4)
    assert texts(done) == {1: "2", 2: "4", 3: "6", 4: "8"}
    assert step.model.asked == [[1, 2, 3, 4], [1], [2], [3], [4]]


@pytest.mark.parametrize("error", [ValueError, MemoryError, ZeroDivisionError, OutOfMemory])
@pytest.mark.parametrize("stage", ["prepare", "finish"])
def test_a_photo_that_cannot_be_prepared_or_finished_costs_only_itself(
    step: Step, stage: str, error: type[Exception]
) -> None:
    def bad_prepare(n: int) -> int:
        if n == 2:
            raise error("odd")
        return n

    def bad_finish(n: int, answer: int) -> tuple[Said, Outputs]:
        return finish(bad_prepare(n), answer)

    if stage == "prepare":
        step.prepare = bad_prepare
    else:
        step.finish = bad_finish
    done = step.run(1, 2, 3)
    assert texts(done) == {1: "2", 3: "6"}
    assert [f.detail for f in done.failed] == [f"{error.__name__}: odd"]


def test_opencvs_own_errors_are_a_photos(step: Step) -> None:
    import cv2
    import numpy as np

    def empty(n: int, answer: int) -> tuple[Said, Outputs]:
        if n == 2:
            cv2.resize(np.zeros((0, 0, 3), np.uint8), (4, 4))
        return finish(n, answer)

    step.finish = empty
    done = step.run(1, 2)
    assert [f.number for f in done.failed] == [2]


@pytest.mark.parametrize("error", [BrokenSetup, OSError, TypeError, KeyError])
def test_what_is_no_photos_fault_stops_the_step(step: Step, error: type[Exception]) -> None:
    step.model.wrong, step.model.error = (2,), error
    with pytest.raises(error, match="cannot do 2"):
        step.run(1, 2, 3)
    step.model.wrong = ()
    assert step.run(1, 2, 3).computed == 2  # the first had been kept


@pytest.mark.parametrize("stage", ["prepare", "finish"])
def test_a_broken_setup_passes_through_the_threads(step: Step, stage: str) -> None:
    def broken(*_: int) -> int:
        raise BrokenSetup("no disk")

    setattr(step, stage, broken)
    with pytest.raises(BrokenSetup, match="no disk"):
        step.run(1, 2, 3)
    assert not [t for t in threading.enumerate() if t.name.startswith(("prepare", "finish"))]


def test_a_person_who_interrupts_leaves_no_thread_that_still_writes(step: Step) -> None:
    class Interrupted(Quiet):
        def advance(self, what: str) -> None:
            raise KeyboardInterrupt

    step.progress = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        step.run(*range(20))
    assert not [t for t in threading.enumerate() if t.name.startswith(("prepare", "finish"))]


def test_where_every_photo_fails_it_is_not_the_photos(store: LocalMediaStore) -> None:
    step = Step(store, Model(batch=2, wrong=(1, 2, 3)))
    with pytest.raises(ValueError, match="cannot do 1"):
        step.run(1, 2, 3)


def test_a_model_that_breaks_on_the_way_stops_the_step(step: Step) -> None:
    asked = []

    def breaks(numbers: Sequence[int]) -> list[int]:
        asked.append(numbers)
        if len(asked) > 2:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return [2 * n for n in numbers]

    step.model.ask = breaks  # type: ignore[method-assign]
    # Two photos have a row, but the first cannot be done any more: the rest are not to blame.
    with pytest.raises(RuntimeError, match="illegal memory access"):
        step.run(1, 2, 3, 4)


def test_seconds_are_counted_once_and_those_on_a_gpu_apart(store: LocalMediaStore) -> None:
    slow = threading.Event()

    def waiting(numbers: Sequence[int]) -> list[int]:
        slow.wait(0.05)
        return [2 * n for n in numbers]

    step = Step(store, Model(batch=2, device="cuda"))
    step.model.ask = waiting  # type: ignore[method-assign]
    done = step.run(1, 2, 3, 4)
    assert 0.1 <= done.gpu_seconds <= done.seconds + 0.004  # two batches; rounded a photo
    assert done.spent == pytest.approx(done.seconds, abs=0.004)
    step.model.device = "cpu"
    assert step.run(7).gpu_seconds == 0


def test_the_next_photo_is_prepared_while_the_model_has_this_one(step: Step) -> None:
    prepared = threading.Event()

    def prepare(n: int) -> int:
        if n == 2:
            prepared.set()
        return n

    def ask(numbers: Sequence[int]) -> list[int]:
        assert numbers != [1] or prepared.wait(5)
        return [2 * n for n in numbers]

    step.prepare, step.model.ask = prepare, ask  # type: ignore[method-assign]
    assert len(step.run(1, 2).rows) == 2


def test_the_model_goes_on_while_the_last_photo_is_finished(step: Step) -> None:
    asked = threading.Event()

    def ask(numbers: Sequence[int]) -> list[int]:
        if numbers == [2]:
            asked.set()
        return [2 * n for n in numbers]

    def wait(n: int, answer: int) -> tuple[Said, Outputs]:
        assert n != 1 or asked.wait(5)
        return finish(n, answer)

    step.model.ask, step.finish = ask, wait  # type: ignore[method-assign]
    assert len(step.run(1, 2).rows) == 2


def test_no_more_photos_are_in_memory_than_a_few(store: LocalMediaStore) -> None:
    lock, alive, most = threading.Lock(), 0, 0

    def prepare(n: int) -> int:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return n

    def done_with(n: int, answer: int) -> tuple[Said, Outputs]:
        nonlocal alive
        with lock:
            alive -= 1
        return finish(n, answer)

    batch = 3
    Step(store, Model(batch), prepare, done_with).run(*range(60))
    threads = 8  # at most
    assert most <= 3 * batch + 2 * threads


def test_pictures_of_failed_photos_leave_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okla_assets.steps.batches.log.disabled", True)  # pytest keeps records
    pictures: list[weakref.ref[object]] = []

    def attempt(left_out: Pictures) -> int:
        for number in (1, 2, 3):
            if ("photo", number) not in left_out:
                with blame("photo", number):
                    picture = np.zeros((4, 4))
                    pictures.append(weakref.ref(picture))
                    try:
                        raise RuntimeError("no contour")
                    except RuntimeError as error:
                        raise ValueError("bad pixels") from error
        return sum(picture() is not None for picture in pictures)

    alive, failures = without_failing("Turning", attempt)
    assert (alive, [failure.picture[1] for failure in failures]) == (0, [1, 2, 3])


# --- helpers --------------------------------------------------------------------------------------


def test_only_photos_that_every_table_knows_are_joined() -> None:
    def rows(*numbers: int) -> list[Said]:
        return [Said(number=n, text=f"{n}") for n in numbers]

    assert [a.number for a, _, _ in joined(rows(1, 2, 3), rows(3, 1, 2), rows(3, 1))] == [1, 3]
    assert all(a.number == b.number for a, b in joined(rows(1, 2, 3), rows(3, 1, 2)))
