"""A receiver tells our callbacks from others'."""

import hashlib
import hmac
from collections.abc import Mapping

import pytest

from okla_assets.doors.telling.signatures import BadSignature, signed, verify

BODY = '{"job_id":"1","metadata":{"año":2026}}'.encode()
NOW = 1_800_000_000.0
HEADERS = signed(["new", "old"], BODY, NOW)


def test_the_signature_is_of_the_time_and_the_body() -> None:
    message = b"1800000000." + BODY
    right = [hmac.new(key, message, hashlib.sha256).hexdigest() for key in (b"new", b"old")]
    assert {
        "X-OKLA-Timestamp": "1800000000",
        "X-OKLA-Signature": f"v1={right[0]},v1={right[1]}",
    } == HEADERS


@pytest.mark.parametrize("secrets", [["new"], ["old"], ["newer", "new"], ["new", "old"]])
def test_one_secret_of_several_is_enough(secrets: list[str]) -> None:
    verify(secrets, HEADERS, BODY, NOW + 299)
    verify(secrets, {name.lower(): value for name, value in HEADERS.items()}, BODY, NOW - 299)


@pytest.mark.parametrize(
    ("secrets", "changes", "body", "now"),
    [
        (["other"], {}, BODY, NOW),
        ([], {}, BODY, NOW),
        (["new"], {}, BODY + b" ", NOW),
        (["new"], {}, BODY, NOW + 301),
        (["new"], {}, BODY, NOW - 301),
        (["new"], {"X-OKLA-Timestamp": "1800000001"}, BODY, NOW),
        (["new"], {"X-OKLA-Timestamp": ""}, BODY, NOW),
        (["new"], {"X-OKLA-Timestamp": "-1"}, BODY, NOW),
        (["new"], {"X-OKLA-Timestamp": "١٨٠٠٠٠٠٠٠٠"}, BODY, NOW),
        (["new"], {"X-OKLA-Timestamp": "9" * 5000}, BODY, NOW),
        (["new"], {"X-OKLA-Signature": ""}, BODY, NOW),
        (["new"], {"X-OKLA-Signature": "v1="}, BODY, NOW),
        (["new"], {"X-OKLA-Signature": "v1=ü"}, BODY, NOW),
        (["new"], {"X-OKLA-Signature": HEADERS["X-OKLA-Signature"].replace("v1", "v0")}, BODY, NOW),
    ],
)
def test_what_is_not_ours_is_not_trusted(
    secrets: list[str], changes: Mapping[str, str], body: bytes, now: float
) -> None:
    with pytest.raises(BadSignature):
        verify(secrets, {**HEADERS, **changes}, body, now)


def test_without_secrets_there_is_no_signature() -> None:
    assert signed([], BODY, NOW) == {"X-OKLA-Timestamp": "1800000000"}
