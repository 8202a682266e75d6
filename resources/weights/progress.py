"""How a pull reports its progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Called whenever there is something to show; it must return at once and not raise."""

    def __call__(self, stage: str, done: int | None = None, total: int | None = None) -> None:
        """Show `stage`, one short line, and how far it is.

        `done` counts bytes, None for a mere message; `total` is None where it is unknown.
        """


def quiet(stage: str, done: int | None = None, total: int | None = None) -> None:
    """Show nothing."""


@contextmanager
def rich_progress() -> Iterator[Progress]:
    """One bar a stage on standard error; plain lines where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress as Bars,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True, emoji=False)
    if not console.is_terminal:
        last = ""

        def line(stage: str, done: int | None = None, total: int | None = None) -> None:
            nonlocal last
            if stage != last:
                console.print(stage, markup=False, highlight=False, soft_wrap=True)
            last = stage

        yield line
        return

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        task = None
        last = ""

        def bar(stage: str, done: int | None = None, total: int | None = None) -> None:
            nonlocal task, last
            if done is None:
                bars.console.print(stage, markup=False, highlight=False, soft_wrap=True)
                return
            if task is None or stage != last:
                if task is not None:
                    bars.stop_task(task)
                task = bars.add_task(stage, total=total)
            last = stage
            # A bar that has no end pulses; one that outgrew its end would claim to be finished.
            whole = None if total is None else max(total, done)
            bars.update(task, completed=done, total=whole)

        yield bar
