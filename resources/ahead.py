"""Work done ahead in threads, so that its results are ready when they are needed."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
"""Requests to a store at a time: a thread that waits for one takes no core."""


def work_ahead(
    items: Iterable[T], work: Callable[[T], R], threads: int, most: int, name: str
) -> Generator[tuple[T, Future[R]], None, None]:
    """Each item, in order, with the future of `work(item)`.

    At most `most` items are started and not yet yielded, which bounds memory. What `work` raises
    is raised by that item's own future; the others go on. `items` are drawn in the caller's
    thread. Once the caller closes the generator, nothing new is started, and what has started
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
    """`work(item)` of each item, in order, computed in `threads` threads."""
    with closing(work_ahead(items, work, threads, threads, name)) as ahead:
        return [future.result() for _, future in ahead]
