"""Who may use the doors: keys over real HTTP, their limits and their ends."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import requests
from starlette.requests import Request

from okla_assets import keys
from okla_assets.doors.callers import records as caller_records, stored as stored_callers
from okla_assets.doors.callers.caller import Anybody, Caller
from okla_assets.doors.callers.stored import StoredCallers, caller_named, callers_for, check_host
from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.record import Job, Jobs
from resources.errors import BadInput, BrokenSetup
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.doors.callers.conftest import SECRET, Who, probe
from tests.doors.conftest import Serve


def test_a_key_is_taken_from_every_header_that_clients_send(
    who: Callable[..., Who], store: LocalMediaStore
) -> None:
    key = caller_records.create(store, "dealer-1", ["jobs"])
    ask = who()
    for headers in (
        {"X_Api_Key": key},
        {"x_api_key": key},
        {"X_API_KEY": f"{key} "},
        {"Authorization": f"Bearer {key}"},
        {"authorization": f"bearer  {key}"},
    ):
        answer = ask(**headers)
        assert answer.json() == {"name": "dealer-1", "sees": "dealer-1"}, headers
    assert key not in store.get(keys.caller("dealer-1")).decode()
    assert key.rpartition("_")[2] not in store.get(keys.caller("dealer-1")).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Api_Key": ""},
        {"X_Api_Key": "okla_dealer_"},
        {"X_Api_Key": "okla_dealer_" + "0" * 64},
        {"X_Api_Key": "okla_nobody_" + "0" * 64},
        {"X_Api_Key": "okla_../../x_" + "0" * 64},
        {"X_Api_Key": "dealer"},
        {"X_Api_Key": "a.b.c"},
        {"Authorization": "Basic ZGVhbGVyOng="},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer " + "x" * 9000},
    ],
)
def test_without_a_good_key_the_answer_is_401_and_how_to_send_one(
    who: Callable[..., Who], store: LocalMediaStore, headers: dict[str, str]
) -> None:
    caller_records.create(store, "dealer", ["jobs"])
    answer = who()(**headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["errorCode"] == "UNAUTHORIZED"


def test_a_key_does_what_its_scopes_say(who: Callable[..., Who], store: LocalMediaStore) -> None:
    jobs = caller_records.create(store, "jobs-only", ["jobs"])
    admin = caller_records.create(store, "boss", ["admin"])
    ask = who()
    assert ask("jobs", X_Api_Key=jobs).status_code == 200
    assert ask("vehicles", X_Api_Key=jobs).status_code == 403
    assert ask("admin", X_Api_Key=jobs).status_code == 403
    assert ask("vehicles", X_Api_Key=admin).json() == {"name": "boss", "sees": None}


def test_a_key_ends_when_it_expires_or_is_revoked(
    who: Callable[..., Who], store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_callers, "KNOWN_SECONDS", 0.0)
    long = caller_records.create(store, "long", ["jobs"], days=1)
    ask = who()
    assert ask(X_Api_Key=long).status_code == 200
    short = caller_records.create(store, "short", ["jobs"], days=1)
    assert ask(X_Api_Key=short).status_code == 200
    caller_records.revoke(store, "long")
    record = json.loads(store.get(keys.caller("short")))
    yesterday = datetime.fromisoformat(record["expires_at"]) - timedelta(days=1)
    store.put(keys.caller("short"), json.dumps(record | {"expires_at": str(yesterday)}).encode())
    assert "expired" in ask(X_Api_Key=short).json()["detail"]
    assert "revoked" in ask(X_Api_Key=long).json()["detail"]
    assert [record.state(datetime.now(UTC)) for record in caller_records.every(store)] == [
        "revoked",
        "expired",
    ]


def test_a_new_key_overlaps_with_the_one_before(
    who: Callable[..., Who], store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_callers, "KNOWN_SECONDS", 0.0)
    first = caller_records.create(store, "dealer", ["jobs"])
    ask = who()
    second = caller_records.renew(store, "dealer", overlap_hours=1)
    assert ask(X_Api_Key=first).status_code == ask(X_Api_Key=second).status_code == 200
    third = caller_records.renew(store, "dealer", overlap_hours=0)
    codes = [ask(X_Api_Key=key).status_code for key in (first, second, third)]
    assert codes == [401, 401, 200]
    caller_records.revoke(store, "dealer")
    fourth = caller_records.renew(store, "dealer")
    assert [ask(X_Api_Key=key).status_code for key in (third, fourth)] == [401, 200]


def test_a_caller_who_asks_too_often_is_told_when_to_come_back(
    who: Callable[..., Who], store: LocalMediaStore
) -> None:
    key = caller_records.create(store, "busy", ["jobs"], requests_a_minute=3)
    other = caller_records.create(store, "other", ["jobs"])
    ask = who()
    assert [ask(X_Api_Key=key).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    answer = ask(X_Api_Key=key)
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    assert answer.headers["x-ratelimit-limit"] == "3"
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert answer.json()["errorCode"] == "RATE_LIMIT_EXCEEDED"
    assert answer.json()["extensions"]["retryAfter"] == int(answer.headers["retry-after"])
    assert ask(X_Api_Key=other).status_code == 200


def test_whoever_guesses_keys_is_stopped_and_others_at_the_address_are_not(
    who: Callable[..., Who], store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_callers, "FAILURES_A_MINUTE", 5)
    key = caller_records.create(store, "dealer", ["jobs"])
    ask = who()
    assert ask(X_Api_Key=key).status_code == 200
    codes = [ask(X_Api_Key=f"okla_guess-{i}_{i:064}").status_code for i in range(8)]
    assert codes == [401] * 5 + [429] * 3
    assert ask().status_code == 429
    assert ask(X_Api_Key=key).status_code == 200


def test_a_months_pictures_are_counted_from_its_jobs_and_on(
    door: Door, store: LocalMediaStore
) -> None:
    """Also by 20 requests at once, and after a restart."""
    caller_records.create(store, "dealer", ["jobs"], pictures_a_month=50)
    dealer, urls = Caller("dealer"), [{"url": "https://example.org/1.jpg"}] * 3

    def asked(started: Door, count: int) -> list[int]:
        def one(_: int) -> int:
            try:
                started._accept(dealer, (), None, {"operation": "classify-image", "sources": urls})
            except DoorError as error:
                return error.status
            return 202

        with ThreadPoolExecutor(8) as senders:
            return sorted(senders.map(one, range(count)))

    callers = StoredCallers(store, Settings())
    assert asked(replace(door, callers=callers), 10) == [202] * 10
    assert callers.left(dealer) == 20
    again = StoredCallers(store, Settings())  # a door that was started anew
    assert again.left(dealer) == 20
    assert asked(replace(door, callers=again), 10) == [202] * 6 + [402] * 4
    assert again.left(dealer) == 2
    later = StoredCallers(store, Settings(), now=lambda: datetime.now(UTC) + timedelta(days=31))
    assert later.left(dealer) == 50


def test_a_request_that_comes_twice_at_once_counts_once(door: Door, store: LocalMediaStore) -> None:
    caller_records.create(store, "dealer", ["jobs"], pictures_a_month=50)
    dealer, callers = Caller("dealer"), StoredCallers(store, Settings())
    both = Barrier(2)

    class Together(Jobs):
        def find(self, job_id: keys.JobId) -> Job | None:
            found = super().find(job_id)
            if found is None:
                both.wait(10)
            return found

    asked = replace(door, callers=callers, jobs=Together(store))
    urls = [{"url": "https://example.org/1.jpg"}] * 3

    def send(_: int) -> str:
        fields = {"operation": "classify-image", "sources": urls, "idempotency": "once"}
        return asked._accept(dealer, (), None, fields).id

    with ThreadPoolExecutor(2) as senders:
        assert len(set(senders.map(send, range(2)))) == 1
    assert callers.left(dealer) == 47 == StoredCallers(store, Settings()).left(dealer)


def test_a_request_that_could_not_be_stored_does_not_count(
    door: Door, store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller_records.create(store, "dealer", ["jobs"], pictures_a_month=50)
    dealer, callers = Caller("dealer"), StoredCallers(store, Settings())
    assert callers.left(dealer) == 50
    full = replace(door, callers=callers)

    def no_room(*_: object, **__: object) -> bool:
        raise BrokenSetup("no space is left")

    monkeypatch.setattr(LocalMediaStore, "put_new", no_room)
    with pytest.raises(BrokenSetup):
        fields = {"operation": "classify-image", "sources": [{"url": "https://example.org/1.jpg"}]}
        full._accept(dealer, (), None, fields)
    assert callers.left(dealer) == 50


def test_without_keys_the_door_is_for_this_machine_alone(store: LocalMediaStore) -> None:
    callers = callers_for(store, Settings())
    assert isinstance(callers, Anybody)
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        check_host(host, callers)
    for host in ("0.0.0.0", "::", "", "192.168.1.5", "media.example.org", "127.0.0.1.example.org"):
        with pytest.raises(BrokenSetup, match="okla keys create"):
            check_host(host, callers)
    caller_records.create(store, "dealer", ["jobs"])
    check_host("0.0.0.0", callers_for(store, Settings()))
    caller_records.revoke(store, "dealer")  # no way back to a door that is open to all
    assert isinstance(callers_for(store, Settings()), StoredCallers)
    check_host("0.0.0.0", callers_for(store, Settings(jwt_secret=SECRET)))


def test_without_keys_pages_of_the_web_get_nothing(door: Door, serve: Serve) -> None:
    url = serve(probe(door))

    def code(method: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, f"{url}/who/jobs", headers=named, timeout=5).status_code

    port = url.rpartition(":")[2]
    assert code("GET") == code("GET", Host=f"localhost:{port}") == 200
    assert code("GET", Host=f"rebound.example.org:{port}") == 403
    assert code("POST", Sec_Fetch_Site="cross-site") == 403
    assert code("POST", Sec_Fetch_Site="same-origin") == code("POST") == 200


@pytest.mark.parametrize(
    "name",
    ["", "A", "a_b", "a/b", "..", "-a", "a-", "a b", "x" * 41, "local", "jwt-7", "ñ", "a\n"],
)
def test_a_name_that_no_caller_can_have_is_refused(store: LocalMediaStore, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be a caller's name"):
        caller_records.create(store, name, ["jobs"])


def test_a_wrong_scope_or_a_taken_name_is_refused(store: LocalMediaStore) -> None:
    with pytest.raises(BadInput, match="there is no scope 'all'"):
        caller_records.create(store, "a", ["jobs", "all"])
    caller_records.create(store, "a", ["jobs"])
    with pytest.raises(BadInput, match="okla keys renew a"):
        caller_records.create(store, "a", ["jobs"])
    with pytest.raises(BadInput, match="there is no caller b"):
        caller_records.revoke(store, "b")


def test_who_comes_by_the_queue_may_what_the_key_of_his_name_allows(store: LocalMediaStore) -> None:
    def sees(name: str, **settings: str) -> str | None:
        return caller_named(name, store, Settings(**settings)).sees  # type: ignore[arg-type]

    assert sees("amqp") is None  # nobody needs a key
    assert sees("amqp", jwt_secret=SECRET) == "amqp"
    caller_records.create(store, "boss", ["jobs", "admin"])
    caller_records.create(store, "okla", ["jobs"])
    assert [sees(name) for name in ("amqp", "okla", "boss")] == ["amqp", "okla", None]
    caller_records.revoke(store, "boss")
    assert sees("boss") == "boss"


@pytest.mark.parametrize(
    ("addresses", "statuses"),
    [
        (["2001:db8::1", "2001:db8::ffff:2"], [401, 429]),
        (["2001:db8::1", "2001:db8:0:1::1"], [401, 401]),
        (["::ffff:192.0.2.1", "192.0.2.1"], [401, 429]),
        (["192.0.2.1", "192.0.2.2"], [401, 401]),
        (["fe80::1%eth0", "testclient"], [401, 401]),
    ],
)
def test_who_has_a_network_of_addresses_guesses_no_more_than_another(
    store: LocalMediaStore,
    addresses: list[str],
    statuses: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored_callers, "FAILURES_A_MINUTE", 1)
    callers, found = StoredCallers(store, Settings()), []
    for address in addresses:
        with pytest.raises(DoorError) as refused:
            callers.of(Request({"type": "http", "headers": [], "client": (address, 1)}), "jobs")
        found.append(refused.value.status)
    assert found == statuses
