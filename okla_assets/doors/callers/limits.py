"""How often somebody may ask: a bucket of requests that fills evenly, in this process's memory."""

import math
import threading
import time
from dataclasses import dataclass, field

MOST_BUCKETS = 10_000
"""Buckets that are remembered; beyond, full ones are forgotten, which changes nothing."""


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
    """Token buckets by name: each holds a minute's requests and fills in a minute."""

    _buckets: dict[str, tuple[float, float, int]] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def take(self, name: str, a_minute: int) -> Taken:
        """Counts one request of `name`, if one is left."""
        with self._lock:
            now = time.monotonic()
            left = self._left(name, a_minute, now)
            allowed = left >= 1
            if allowed:
                left -= 1
            if len(self._buckets) >= MOST_BUCKETS:
                self._forget_full(now)
            self._buckets[name] = (left, now, a_minute)
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
        left, at, _ = self._buckets.get(name, (float(a_minute), now, a_minute))
        return min(float(a_minute), left + (now - at) * a_minute / 60)

    def _forget_full(self, now: float) -> None:
        self._buckets = {
            name: bucket
            for name, bucket in self._buckets.items()
            if self._left(name, bucket[2], now) < bucket[2]
        }
