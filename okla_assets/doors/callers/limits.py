"""How often somebody may ask: a bucket of requests that fills evenly, in this process's memory."""

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

FULL_SECONDS = 60.0
"""After which any bucket is full again, and may be forgotten."""


@dataclass(frozen=True)
class Taken:
    """A request that was counted, or `allowed` is False: `retry_seconds` are until the next one.

    `limit` requests a minute, of which `remaining` may follow at once; after `reset_seconds` all.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    retry_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """The same as HTTP headers, as remove.bg names them."""
        told = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(time.time()) + self.reset_seconds),
        }
        return told if self.allowed else {"Retry-After": str(self.retry_seconds), **told}


@dataclass
class Limits:
    """Token buckets by name: each holds a minute's requests and fills in a minute.

    Those that nobody has taken from for so long are forgotten, so that there are never more than
    names of the last minute, however many there are in all.
    """

    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict, init=False)
    """What was left and when, the longest ago first."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def take(self, name: str, a_minute: int) -> Taken:
        """Counts one request of `name`, if one is left."""
        with self._lock:
            now = time.monotonic()
            left = self._left(name, a_minute, now)
            allowed = left >= 1
            if allowed:
                left -= 1
            self._forget_full(now)
            self._buckets[name] = (left, now)
            self._buckets.move_to_end(name)
        rate = a_minute / 60
        return Taken(
            allowed,
            a_minute,
            int(left),
            math.ceil((a_minute - left) / rate),
            0 if allowed else max(1, math.ceil((1 - left) / rate)),
        )

    def is_empty(self, name: str, a_minute: int) -> bool:
        """Whether no request of `name` is left; counts none."""
        with self._lock:
            return self._left(name, a_minute, time.monotonic()) < 1

    def _left(self, name: str, a_minute: int, now: float) -> float:
        left, at = self._buckets.get(name, (float(a_minute), now))
        return min(float(a_minute), left + (now - at) * a_minute / 60)

    def _forget_full(self, now: float) -> None:
        while self._buckets:
            _, at = next(iter(self._buckets.values()))
            if now - at < FULL_SECONDS:
                return
            self._buckets.popitem(last=False)
