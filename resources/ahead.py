"""Work done ahead by threads, so that whoever needs its results next does not wait for them."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
"""Requests to a store at a time: whoever waits for one takes no core."""


def work_ahead(
    items: Iterable[T], work: Callable[[T], R], threads: int, most: int, name: str
) -> Generator[tuple[T, Future[R]], None, None]:
    """Each item, in order, with the future of `work(item)`.

    At most `most` items are begun and not yet handed over, which bounds memory. What `work` raises
    is raised by that item's own future; the others go on. `items` are drawn in the caller's
    thread. Once the caller stops (close the generator), nothing new is begun, and what has begun
    is waited for: no thread is left that could still write.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        for item in items:
            if len(waiting) == most:
                yield waiting.popleft()
            waiting.append((item, executor.submit(work, item)))
        while waiting:
            yield waiting.popleft()
    finally:
        executor.shutdown(cancel_futures=True)


def mapped(
    items: Iterable[T], work: Callable[[T], R], name: str, threads: int = AT_ONCE
) -> list[R]:
    """`work(item)` of each item, in order, by so many threads; raises what it raises."""
    with closing(work_ahead(items, work, threads, threads, name)) as ahead:
        return [future.result() for _, future in ahead]
