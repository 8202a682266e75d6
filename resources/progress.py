"""Where steps tell a watching person what they are doing."""

from typing import Protocol

import dagster as dg


class Progress(Protocol):
    """A listener: `okla process` shows a bar, a Dagster run writes its log."""

    def step(self, title: str, total: int) -> None:
        """A step begins that will handle `total` photos."""
        ...

    def advance(self, what: str) -> None:
        """One photo is done; `what` names it."""
        ...


class LogProgress(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Progress as log lines of the run, one a step."""

    def step(self, title: str, total: int) -> None:
        dg.get_dagster_logger("okla").info(f"{title}: {total} photos")

    def advance(self, what: str) -> None:
        """Says nothing: a line a photo would bury the run's own events."""


class Unwatched:
    """Progress of one vehicle among many: whoever runs them says when each is done."""

    def step(self, title: str, total: int) -> None:
        """Says nothing."""

    def advance(self, what: str) -> None:
        """Says nothing."""
