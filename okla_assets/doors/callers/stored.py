"""The callers of a door that others can reach: by API key, or by token."""

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.requests import Request

from okla_assets.doors.callers import records as caller_records
from okla_assets.doors.callers.caller import Anybody, Caller, Callers, Scope, is_loopback
from okla_assets.doors.callers.limits import Limits, Taken
from okla_assets.doors.callers.records import REQUESTS_A_MINUTE, CallerRecord
from okla_assets.doors.callers.tokens import Tokens
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.record import Jobs
from resources.errors import BrokenSetup
from resources.settings import Settings
from resources.storage.media_store import MediaStore

KNOWN_SECONDS = 5.0
"""How long a record is believed before it is read again: a revoked key works so long."""
MOST_KNOWN = 10_000
FAILURES_A_MINUTE = 60
"""Requests without a good key, an address; of IPv6 a network of 64 bits."""


@dataclass
class StoredCallers:
    """Those whose records lie in the store, and those with tokens by the settings."""

    store: MediaStore
    settings: Settings
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self._tokens = Tokens(self.settings)
        self._limits = Limits()
        self._records: dict[str, tuple[float, CallerRecord | None]] = {}
        self._quotas = _Quotas(self.store)

    def of(self, request: Request, scope: Scope) -> Caller:
        """The caller; `request.state.rate` tells how often he may still ask.

        Raises `DoorError`: 401 without a good key or token, 403 where it does not allow this, 429
        too often.
        """
        address = f"ip {_place(request.client.host) if request.client else '-'}"
        try:
            caller, a_minute = self._known(request, address)
        except DoorError as error:
            if error.status == 401:
                failed = self._limits.take(address, FAILURES_A_MINUTE)
                if not failed.allowed:
                    raise _too_often(failed, "requests without a good key") from None
            raise
        request.state.caller = caller.name
        if a_minute is not None:
            taken = self._limits.take(caller.name, a_minute)
            request.state.rate = taken
            if not taken.allowed:
                raise _too_often(taken, "requests")
        if not caller.scopes & {scope, "admin"}:
            raise DoorError(
                403, f"this key may not do that: it lacks the scope {scope}; ask for one that has"
            )
        return caller

    def counts(self, caller: Caller, pictures: int) -> None:
        """Notes pictures that the caller asks for. Raises `DoorError` 402 where none are left."""
        record = self._record(caller.name)
        if record is not None and record.pictures_a_month is not None:
            self._quotas.count(caller.name, pictures, record.pictures_a_month, self.now())

    def uncounts(self, caller: Caller, pictures: int) -> None:
        """Takes back what `counts` has noted: nothing new came of it."""
        self._quotas.uncount(caller.name, pictures, self.now())

    def left(self, caller: Caller) -> int | None:
        """Pictures that he may still ask for this month; None: as many as he likes."""
        record = self._record(caller.name)
        if record is None or record.pictures_a_month is None:
            return None
        used = self._quotas.used(caller.name, self.now())
        return max(0, record.pictures_a_month - used)

    def _known(self, request: Request, address: str) -> tuple[Caller, int | None]:
        text = _credentials(request)
        if text is None:
            raise _unknown("send your key as X-Api-Key, or as Authorization: Bearer")
        if not text.startswith(caller_records.BEGINNING) and self._tokens.configured:
            # Whoever makes up tokens has no keys fetched; tokens of known keys are checked.
            fetch = not self._limits.is_empty(address, FAILURES_A_MINUTE)
            return self._tokens.caller(text, fetch), REQUESTS_A_MINUTE
        found = caller_records.KEY.fullmatch(text)
        if found is None:
            raise _unknown("this is no key of ours")
        name, secret = found[1], found[2]
        if name not in self._records and self._limits.is_empty(address, FAILURES_A_MINUTE):
            raise _unknown("this is no key of ours")  # whoever guesses names reads no store
        record, now = self._record(name), self.now()
        if record is None or not record.opens(secret, now):
            raise _unknown("this is no key of ours")
        if (state := record.state(now)) != "good":
            raise _unknown(f"this key is {state}; ask for another")
        return Caller(record.name, frozenset(record.scopes)), record.requests_a_minute

    def _record(self, name: str) -> CallerRecord | None:
        until, record = self._records.get(name, (0.0, None))
        if time.monotonic() >= until:
            record = caller_records.find(self.store, name)
            if len(self._records) >= MOST_KNOWN:
                self._records.clear()
            self._records[name] = (time.monotonic() + KNOWN_SECONDS, record)
        return record


class _Quotas:
    """Pictures that callers have asked for in the month that it is, in UTC.

    They are counted from the month's jobs when a caller is first asked about, and then in memory:
    one process accepts the requests of all.
    """

    def __init__(self, store: MediaStore) -> None:
        self._store = store
        self._used: dict[str, tuple[str, int]] = {}
        self._locks: dict[str, threading.Lock] = {}

    def used(self, caller: str, now: datetime) -> int:
        """How many so far."""
        with self._lock(caller):
            return self._count(caller, f"{now:%Y-%m}")

    def count(self, caller: str, pictures: int, most: int, now: datetime) -> None:
        """Adds so many. Raises `DoorError` 402 where that were more than `most`."""
        month = f"{now:%Y-%m}"
        with self._lock(caller):
            used = self._count(caller, month)
            if used + pictures > most:
                raise DoorError(
                    402,
                    f"{used} of this month's {most} pictures are used, and this asks for "
                    f"{pictures}; the count begins anew on the first, in UTC",
                )
            self._used[caller] = (month, used + pictures)

    def uncount(self, caller: str, pictures: int, now: datetime) -> None:
        """Takes so many off again; of a month that has ended meanwhile there is nothing to take."""
        month = f"{now:%Y-%m}"
        with self._lock(caller):
            counted, used = self._used.get(caller, ("", 0))
            if counted == month:
                self._used[caller] = (month, max(0, used - pictures))

    def _lock(self, caller: str) -> threading.Lock:
        """Counting a month's jobs takes seconds, in which others go on."""
        return self._locks.setdefault(caller, threading.Lock())

    def _count(self, caller: str, month: str) -> int:
        counted, used = self._used.get(caller, ("", 0))
        if counted != month:
            used = _pictures_of(self._store, caller, month)
            self._used[caller] = (month, used)
        return used


def _pictures_of(store: MediaStore, caller: str, month: str) -> int:
    """As lists name the caller's jobs of a month."""
    return sum(one.pictures for one in Jobs(store).of_caller(caller, month))


def _place(host: str) -> str:
    """Whom requests of an address are counted for: of IPv6 a network, as everybody has one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _credentials(request: Request) -> str | None:
    """The key or token of a request; header names have no case."""
    if given := request.headers.get("x-api-key", "").strip():
        return given
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _unknown(detail: str) -> DoorError:
    return DoorError(401, detail, headers={"WWW-Authenticate": "Bearer"})


def _too_often(taken: Taken, what: str) -> DoorError:
    return DoorError(
        429,
        f"more than {taken.limit} {what} a minute; wait {taken.retry_seconds} seconds",
        headers=taken.headers,
    )


def callers_for(store: MediaStore, settings: Settings) -> Callers:
    """Those who may call: anybody where there is neither a key nor a way to check tokens.

    A key that was revoked is a key. Raises BrokenSetup where the settings cannot be used.
    """
    stored = StoredCallers(store, settings)
    if Tokens(settings).configured or next(caller_records.every(store), None) is not None:
        return stored
    return Anybody()


def caller_named(name: str, store: MediaStore, settings: Settings) -> Caller:
    """Who comes by the queue, in the name of a caller: he may what the key of that name allows.

    Where nobody needs a key he sees all, and where the name has none that is good, only what is
    his. Raises BrokenSetup where the settings cannot be used.
    """
    if isinstance(callers_for(store, settings), Anybody):
        return Caller(name)
    record = caller_records.find(store, name)
    if record is None or record.state(datetime.now(UTC)) != "good":
        return Caller(name, frozenset({"jobs", "vehicles"}))
    return Caller(name, frozenset(record.scopes))


def check_host(host: str, callers: Callers) -> None:
    """Raises BrokenSetup where others could call a door that asks nobody for a key."""
    if isinstance(callers, Anybody) and not is_loopback(host):
        raise BrokenSetup(
            f"{host or 'every address'} can be reached by others, and there is no key: make one by "
            "`okla keys create NAME`, or set OKLA_JWT_SECRET or OKLA_JWT_JWKS_URL; without one "
            "the door listens on 127.0.0.1 only"
        )
