"""How steps report their progress to a person."""

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
    """Progress as log lines of the run, one a step: a line a photo would bury the run's events."""

    def step(self, title: str, total: int) -> None:
        dg.get_dagster_logger("okla").info(f"{title}: {total} photo{'s' * (total != 1)}")

    def advance(self, what: str) -> None:
        pass


class Unwatched:
    """No progress of one vehicle among many: whoever runs them reports each when it is done."""

    def step(self, title: str, total: int) -> None:
        pass

    def advance(self, what: str) -> None:
        pass
