"""Looking ahead: in order, bounded, errors where they belong, and nothing left behind."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from resources.ahead import mapped, work_ahead


def test_results_come_in_order_however_long_each_takes() -> None:
    def work(n: int) -> int:
        time.sleep(0.02 if n % 2 else 0)
        return n * n

    done = [(n, future.result()) for n, future in work_ahead(range(8), work, 4, 4, "test")]
    assert done == [(n, n * n) for n in range(8)]


def test_work_goes_on_while_the_caller_does() -> None:
    begun = threading.Event()

    def work(n: int) -> None:
        if n == 1:
            begun.set()

    with closing(work_ahead(range(3), work, 1, 2, "test")) as ahead:
        next(ahead)
        assert begun.wait(5)  # without being asked for


def test_no_more_than_most_are_begun_and_not_handed_over() -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for n in range(50):
            drawn = n + 1
            yield n

    for handed_over, (_, future) in enumerate(work_ahead(items(), lambda n: n, 8, 3, "test"), 1):
        future.result()
        # Three in flight, one in our hands, and the next one drawn before it was handed over.
        assert drawn <= handed_over + 3


def test_an_error_is_raised_at_its_own_item() -> None:
    def work(n: int) -> int:
        if n == 1:
            raise ValueError(f"item {n}")
        return n

    futures = [future for _, future in work_ahead(range(3), work, 2, 2, "test")]
    assert (futures[0].result(), futures[2].result()) == (0, 2)
    with pytest.raises(ValueError, match="item 1"):
        futures[1].result()


def test_an_error_of_the_source_is_raised_after_what_was_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the store is gone")

    with pytest.raises(OSError, match="the store is gone"):
        list(work_ahead(items(), lambda n: n, 2, 2, "test"))


def test_a_caller_that_stops_leaves_no_thread_and_no_work() -> None:
    done: list[int] = []

    def work(n: int) -> None:
        time.sleep(0.02)
        done.append(n)

    before = threading.active_count()
    with closing(work_ahead(range(100), work, 2, 6, "test")) as ahead:
        next(ahead)
    assert threading.active_count() == before
    count = len(done)
    assert count <= 6
    time.sleep(0.06)
    assert len(done) == count


def test_results_of_a_whole_list_come_in_order_and_its_first_error_is_raised() -> None:
    def work(n: int) -> int:
        time.sleep(0.02 if n % 2 else 0)
        if n < 0:
            raise ValueError(f"item {n}")
        return n * n

    before = threading.active_count()
    assert mapped(range(30), work, "test") == [n * n for n in range(30)]
    assert mapped([], work, "test") == []
    with pytest.raises(ValueError, match="item -3"):
        mapped([1, 2, -3, 4, -5], work, "test", threads=2)
    assert threading.active_count() == before
