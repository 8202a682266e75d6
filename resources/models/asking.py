"""How models are asked about many pictures: in batches as large as they take, or two at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from resources.ahead import mapped
from resources.models.onnx import usable_cores

T = TypeVar("T")
A = TypeVar("A")


def batch_size(models: Iterable[object]) -> int:
    """As many photos as each of the models takes at once."""
    return max(1, min((int(getattr(model, "batch", 1)) for model in models), default=1))


def asked_at_once(models: Sequence[object]) -> int:
    """So many threads may ask the models at a time; 1 where it would win nothing.

    A GPU is kept busy by batches, and a single core by one thread.
    """
    each = [bool(getattr(model, "in_threads", False)) for model in models]
    return 2 if each and all(each) and usable_cores() > 1 else 1


def in_batches(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """The items in order, at most so many at once."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


def asked(items: Iterable[T], models: Sequence[object], ask: Callable[[T], A]) -> list[A]:
    """`ask(item)` of each item, in order; two at a time where each of `models` may be asked so and
    takes no batch.

    While a network answers about one, what is before and after the network is done for the other.
    Items are drawn in the caller's thread.
    """
    at_once = asked_at_once(models) if batch_size(models) == 1 else 1
    return [ask(item) for item in items] if at_once == 1 else mapped(items, ask, "ask", at_once)
