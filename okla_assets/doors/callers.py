"""Who calls, and what he may."""

from dataclasses import dataclass
from typing import Literal, Protocol

from starlette.requests import Request

Scope = Literal["jobs", "vehicles", "admin"]
SCOPES: tuple[Scope, ...] = ("jobs", "vehicles", "admin")


@dataclass(frozen=True)
class Caller:
    """One who may use the doors: `name` is unique and part of storage keys.

    `admin` sees the jobs and vehicles of all.
    """

    name: str
    scopes: frozenset[Scope] = frozenset(SCOPES)

    @property
    def sees(self) -> str | None:
        """Whose jobs he sees; None for all."""
        return None if "admin" in self.scopes else self.name


LOCAL = Caller("local")
"""Everybody, where no keys are configured and only this machine can call."""


class Callers(Protocol):
    """Tells who sent a request."""

    def of(self, request: Request, scope: Scope) -> Caller:
        """The caller. Raises `DoorError`: 401 unknown, 403 not allowed, 429 too often."""
        ...

    def counts(self, caller: Caller, pictures: int) -> None:
        """Notes pictures that the caller asks for. Raises `DoorError` 402 where none are left."""
        ...


class Anybody:
    """The callers of a door that only this machine can reach."""

    def of(self, request: Request, scope: Scope) -> Caller:
        return LOCAL

    def counts(self, caller: Caller, pictures: int) -> None:
        return None
