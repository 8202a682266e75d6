"""Tokens over real HTTP: what they have to say, and where the keys come from that check them."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from okla_assets.doors.callers import public_keys, stored as stored_callers
from okla_assets.doors.callers.stored import callers_for
from resources.errors import BrokenSetup
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.doors.callers.conftest import SECRET, Who
from tests.doors.web import Answer, Handler, Web, gives, status


def token(key: Any = SECRET, algorithm: str = "HS256", kid: str = "", **claims: Any) -> str:
    """A token that is good for a minute, but for what is given."""
    body = {"sub": "7d1f", "exp": datetime.now(UTC) + timedelta(minutes=1)} | claims
    kept = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid} if kid else None)


def test_tokens_say_who_calls_and_whether_he_sees_all(who: Callable[..., Who]) -> None:
    ask = who(jwt_secret=SECRET, jwt_audience="okla", jwt_issuer="https://login")
    good = {"aud": "okla", "iss": "https://login"}
    answer = ask(Authorization=f"Bearer {token(**good)}")
    assert answer.json() == {"name": "jwt-7d1f", "sees": "jwt-7d1f"}
    role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
    for claims in ({"role": "Admin"}, {"roles": ["Seller", "Admin"]}, {role: "Admin"}):
        answer = ask("admin", Authorization=f"Bearer {token(**good, **claims)}")
        assert answer.json()["sees"] is None, claims
    name = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
    answer = ask(Authorization=f"Bearer {token(sub=None, **good, **{name: 'ab'})}")
    assert answer.json()["name"] == "jwt-ab"
    names = {
        ask(Authorization=f"Bearer {token(sub=sub, **good)}").json()["name"]
        for sub in ("A/../B", "a/../b", "a b", "../x")
    }
    assert len(names) == 4
    assert all(name.startswith("jwt--") and "/" not in name for name in names)


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "no claim exp"),
        ({"aud": "another"}, "another audience"),
        ({"aud": None}, "no claim aud"),
        ({"iss": "https://evil"}, "another issuer"),
        ({"iss": None}, "no claim iss"),
        ({"sub": None}, "no subject"),
        ({"nbf": 2**33}, "wrong"),
    ],
)
def test_a_token_that_lacks_a_claim_is_refused_with_the_reason(
    who: Callable[..., Who], claims: dict[str, Any], sentence: str
) -> None:
    ask = who(jwt_secret=SECRET, jwt_audience="okla", jwt_issuer="https://login")
    made = token(**({"aud": "okla", "iss": "https://login"} | claims))
    answer = ask(Authorization=f"Bearer {made}")
    assert answer.status_code == 401
    assert sentence in answer.json()["detail"]


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str) -> dict[str, Any]:
    """A key as such a server tells it."""
    kind: Any = jwt.algorithms.RSAAlgorithm
    if isinstance(key, ec.EllipticCurvePrivateKey):
        kind = jwt.algorithms.ECAlgorithm
    told: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    return told | {"kid": kid, "use": "sig"}


def test_tokens_of_public_keys_are_pinned_to_their_algorithms(
    who: Callable[..., Who], server: Web
) -> None:
    first = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    second = ec.generate_private_key(ec.SECP256R1())
    told = {"keys": [public(first, "one"), public(second, "two")]}
    server.answers["/jwks.json"] = gives(json.dumps(told).encode())
    ask = who(jwt_jwks_url=f"{server.url}/jwks.json")

    def code(made: str) -> int:
        return ask(Authorization=f"Bearer {made}").status_code

    assert code(token(first, "RS256", "one")) == 200
    assert code(token(second, "ES256", "two")) == 200
    assert len(server.received) == 1
    assert code(token(second, "ES256", "one")) == 401
    assert code(token(first, "RS512", "one")) == 401
    assert code(token(first, "RS256", "three")) == 401
    assert code(token(SECRET, "HS256", "one")) == 401
    head, body, _ = token(SECRET, "HS256").split(".")
    none = jwt.utils.base64url_encode(b'{"alg":"none","typ":"JWT"}').decode()
    assert code(f"{none}.{body}.") == 401
    assert code(f"{head}.{body}.") == 401
    pem = first.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = jwt.api_jws.PyJWS()
    signed.get_algorithm_by_name("HS256").prepare_key = lambda key: key  # type: ignore[method-assign]
    assert code(signed.encode(b'{"sub":"x","exp":9999999999}', pem, "HS256", {"kid": "one"})) == 401
    assert len(server.received) <= 2  # a kid that nobody knows does not ask for the keys each time


def test_public_keys_that_cannot_be_had_are_not_the_callers_fault(who: Callable[..., Who]) -> None:
    ask = who(jwt_jwks_url="http://127.0.0.1:9/jwks.json")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    answer = ask(Authorization=f"Bearer {token(key, 'RS256', 'one')}")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


@pytest.fixture(scope="module")
def signer() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    "broken",
    [status(500), gives(b"<html>"), gives(b'{"keys": []}'), gives(b"[]")],
    ids=["status 500", "no JSON", "no keys", "no object"],
)
def test_an_address_of_keys_that_is_down_is_not_asked_by_each_token(
    who: Callable[..., Who], server: Web, signer: rsa.RSAPrivateKey, broken: Answer
) -> None:
    server.answers["/jwks.json"] = broken
    ask = who(jwt_jwks_url=f"{server.url}/jwks.json")
    for kid in range(8):
        answer = ask(Authorization=f"Bearer {token(signer, 'RS256', str(kid))}")
        assert answer.status_code == 503
    assert len(server.received) == 1


def test_an_address_of_keys_that_was_down_is_asked_again(
    who: Callable[..., Who],
    server: Web,
    signer: rsa.RSAPrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(public_keys, "FAILED_SECONDS", 0.0)
    server.answers["/jwks.json"] = status(500)
    ask = who(jwt_jwks_url=f"{server.url}/jwks.json")
    bearer = f"Bearer {token(signer, 'RS256', 'one')}"
    assert ask(Authorization=bearer).status_code == 503
    told = {"keys": [public(signer, "one")]}
    server.answers["/jwks.json"] = gives(json.dumps(told).encode())
    assert ask(Authorization=bearer).status_code == 200


def falls_silent(server: Web) -> tuple[Event, Event]:
    """From now on nobody is told the keys: what is set when they are asked for, and what has the
    server fail instead of keeping silent."""
    asked, go_on = Event(), Event()

    def silent(handler: Handler) -> None:
        asked.set()
        go_on.wait(10)
        handler.reply(500)

    server.answers["/jwks.json"] = silent
    return asked, go_on


def test_tokens_of_known_keys_are_checked_while_the_address_of_keys_is_silent(
    who: Callable[..., Who],
    server: Web,
    signer: rsa.RSAPrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(public_keys, "REFRESH_SECONDS", 0.0)
    told = {"keys": [public(signer, "one")]}
    server.answers["/jwks.json"] = gives(json.dumps(told).encode())
    ask = who(jwt_jwks_url=f"{server.url}/jwks.json")
    good = f"Bearer {token(signer, 'RS256', 'one')}"
    assert ask(Authorization=good).status_code == 200
    asked, go_on = falls_silent(server)
    made_up = f"Bearer {token(signer, 'RS256', 'two')}"
    with ThreadPoolExecutor(2) as senders:
        first = senders.submit(ask, Authorization=made_up)
        assert asked.wait(5)
        assert ask(Authorization=good).status_code == 200
        assert ask(Authorization=made_up).status_code == 503  # it does not wait for the first
        assert not first.done()
        go_on.set()
        assert first.result().status_code == 503


def test_whoever_makes_tokens_up_has_no_keys_fetched(
    who: Callable[..., Who],
    server: Web,
    signer: rsa.RSAPrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored_callers, "FAILURES_A_MINUTE", 3)
    monkeypatch.setattr(public_keys, "REFRESH_SECONDS", 0.0)
    told = {"keys": [public(signer, "one")]}
    server.answers["/jwks.json"] = gives(json.dumps(told).encode())
    ask = who(jwt_jwks_url=f"{server.url}/jwks.json")

    def code(kid: str) -> int:
        return ask(Authorization=f"Bearer {token(signer, 'RS256', kid)}").status_code

    assert [code(f"made-up-{number}") for number in range(7)] == [401] * 3 + [429] * 4
    assert len(server.received) == 3
    assert code("one") == 200


def test_keys_are_asked_for_ahead_and_no_token_waits_for_that(
    who: Callable[..., Who],
    server: Web,
    signer: rsa.RSAPrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(public_keys, "RENEW_SECONDS", 0.0)
    monkeypatch.setattr(public_keys, "REFRESH_SECONDS", 0.0)
    told = {"keys": [public(signer, "one")]}
    server.answers["/jwks.json"] = gives(json.dumps(told).encode())
    ask = who(jwt_jwks_url=f"{server.url}/jwks.json")
    good = f"Bearer {token(signer, 'RS256', 'one')}"
    assert ask(Authorization=good).status_code == 200
    asked, go_on = falls_silent(server)
    with ThreadPoolExecutor(1) as senders:
        first = senders.submit(ask, Authorization=good)
        assert asked.wait(5)
        assert ask(Authorization=good).status_code == 200
        assert not first.done()
        go_on.set()
        assert first.result().status_code == 200  # what was known is good until it is old
    assert len(server.received) == 2


def test_a_key_that_was_known_is_asked_for_whoever_makes_tokens_up_beside(
    who: Callable[..., Who],
    server: Web,
    signer: rsa.RSAPrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both come through the same proxy, say."""
    monkeypatch.setattr(stored_callers, "FAILURES_A_MINUTE", 1)
    monkeypatch.setattr(public_keys, "GOOD_SECONDS", 0.5)
    monkeypatch.setattr(public_keys, "REFRESH_SECONDS", 0.0)
    told = {"keys": [public(signer, "one")]}
    server.answers["/jwks.json"] = gives(json.dumps(told).encode())
    ask = who(jwt_jwks_url=f"{server.url}/jwks.json")
    good = f"Bearer {token(signer, 'RS256', 'one')}"
    assert ask(Authorization=good).status_code == 200
    for _ in range(2):
        assert ask(Authorization="Bearer a.b.c").status_code in (401, 429)
    time.sleep(0.6)  # until it is old
    assert ask(Authorization=good).status_code == 200


def test_a_secret_that_can_be_guessed_is_no_setup(store: LocalMediaStore) -> None:
    with pytest.raises(BrokenSetup, match="OKLA_JWT_SECRET is shorter than 32 bytes"):
        callers_for(store, Settings(jwt_secret="short"))
