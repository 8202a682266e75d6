"""Who calls, and what he may."""

import ipaddress
from dataclasses import dataclass
from typing import Literal, Protocol

from starlette.requests import Request

from okla_assets.doors.errors import DoorError

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

    def uncounts(self, caller: Caller, pictures: int) -> None:
        """Takes back what `counts` has noted: nothing new came of it."""
        ...

    def left(self, caller: Caller) -> int | None:
        """Pictures that he may still ask for this month; None: as many as he likes."""
        ...


class Anybody:
    """The callers of a door that only this machine can reach.

    A page of the web that is open in a browser here can reach it too: under a name that it made
    this machine's (DNS rebinding), or by a form that it sends without seeing the answer.
    """

    def of(self, request: Request, scope: Scope) -> Caller:
        """Raises `DoorError` 403 for what came by another name, or from a page elsewhere."""
        if not is_loopback(request.url.hostname or ""):
            raise DoorError(
                403,
                "without keys this door answers as 127.0.0.1 or localhost alone; "
                "`okla keys create NAME` makes a key",
            )
        elsewhere = request.headers.get("sec-fetch-site") == "cross-site"
        if elsewhere and request.method not in ("GET", "HEAD"):
            raise DoorError(403, "without keys this door takes nothing from pages of the web")
        return LOCAL

    def counts(self, caller: Caller, pictures: int) -> None:
        return None

    def uncounts(self, caller: Caller, pictures: int) -> None:
        return None

    def left(self, caller: Caller) -> int | None:
        return None


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own for itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
