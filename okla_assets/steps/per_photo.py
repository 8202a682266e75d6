"""The loop every per-photo step shares: reuse what is known, compute the rest, report both.

Steps that ask a model use the loop in `stages`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, overload

from pydantic import BaseModel

from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import FailedPhoto
from resources.progress import Progress

RowT = TypeVar("RowT", bound=BaseModel)
Outputs = Mapping[str, bytes]


@dataclass(frozen=True)
class Job(Generic[RowT]):
    """One photo's work: `compute` returns the row, its `seconds` left at 0, and output files."""

    number: int
    name: str
    digest: str
    compute: Callable[[], tuple[RowT, Outputs]]


@dataclass(frozen=True)
class Done(Generic[RowT]):
    """Rows in the order of the jobs; how many were computed, and the seconds that took.

    `failed` are the jobs that have no row.
    """

    rows: tuple[RowT, ...]
    computed: int
    seconds: float
    failed: tuple[FailedPhoto, ...] = ()

    @property
    def reused(self) -> int:
        """Rows that were already there."""
        return len(self.rows) - self.computed


def run_jobs(
    title: str, jobs: Sequence[Job[RowT]], cache: StepCache[RowT], progress: Progress
) -> Done[RowT]:
    """Runs the jobs in order; each row gets its own photo's number and its seconds."""
    rows, computed, spent = [], 0, 0.0
    progress.step(title, len(jobs))
    for job in jobs:
        row = cache.get(job.digest)
        if row is None:
            began = time.perf_counter()
            fresh, outputs = job.compute()
            seconds = time.perf_counter() - began
            row = cache.put(
                job.digest, fresh.model_copy(update={"seconds": round(seconds, 3)}), outputs
            )
            computed, spent = computed + 1, spent + seconds
        # Two uploads of the same bytes share a result but not a number.
        rows.append(row.model_copy(update={"number": job.number}))
        progress.advance(job.name)
    cache.prune()
    return Done(tuple(rows), computed, spent)


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
    """What several tables say of each photo that all of them know, in the order of the first.

    A photo on which a step failed is missing from that step's table and from all after it.
    """
    tables = [{row.number: row for row in table} for table in others]
    for row in rows:
        if all(row.number in table for table in tables):
            yield (row, *(table[row.number] for table in tables))
