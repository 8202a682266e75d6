"""How often somebody may ask, and what that costs whoever counts."""

import time

import pytest

from okla_assets.doors.callers.limits import Limits

MANY = 12_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which limits count, to be set."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_bucket_fills_evenly(clock: list[float]) -> None:
    some = Limits()
    assert [some.take("ann", 3).allowed for _ in range(4)] == [True, True, True, False]
    assert some.is_empty("ann", 3) and not some.is_empty("bob", 3)
    refused = some.take("ann", 3)
    assert (refused.retry_seconds, refused.headers["Retry-After"]) == (20, "20")
    clock[0] += 20
    assert some.take("ann", 3).allowed and some.is_empty("ann", 3)
    clock[0] += 60
    assert [some.take("ann", 3).allowed for _ in range(4)] == [True, True, True, False]


def test_a_request_costs_the_same_however_many_others_ask(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has many addresses has none of their buckets full, and all are remembered."""
    some, looked = Limits(), 0
    for number in range(MANY):
        some.take(f"ip {number}", 60)
    left = Limits._left

    def counted(self: Limits, name: str, a_minute: int, now: float) -> float:
        nonlocal looked
        looked += 1
        return left(self, name, a_minute, now)

    monkeypatch.setattr(Limits, "_left", counted)
    clock[0] += 0.5
    some.take("one more", 60)
    assert looked == 1


def test_who_has_not_asked_for_a_minute_is_forgotten_and_nobody_before(clock: list[float]) -> None:
    some = Limits()
    for number in range(MANY):
        some.take(f"ip {number}", 1)
    clock[0] += 59
    some.take("ip 7", 1)
    assert some.is_empty("ip 8", 1)
    clock[0] += 2
    some.take("one more", 1)
    assert [*some._buckets] == ["ip 7", "one more"]
