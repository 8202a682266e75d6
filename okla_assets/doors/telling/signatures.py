"""How callbacks are signed, and how their receivers check that; only the standard library.

The signature is of the time and the body together, so that neither can be exchanged; while secrets
are changed there is one of each, and one that fits is enough.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

TIMESTAMP = "X-OKLA-Timestamp"
SIGNATURE = "X-OKLA-Signature"
DELIVERY = "X-OKLA-Delivery"
TOLERANCE = 300
"""Seconds by which the two clocks may differ, the way included."""
_VERSION = "v1="


class BadSignature(ValueError):
    """A callback that is not ours, or was sent long ago."""


def signed(secrets: Sequence[str], body: bytes, now: float | None = None) -> dict[str, str]:
    """The headers of a body; without secrets the time alone."""
    timestamp = str(int(time.time() if now is None else now))
    signatures = ",".join(_VERSION + _digest(secret, timestamp, body) for secret in secrets)
    return {TIMESTAMP: timestamp} | ({SIGNATURE: signatures} if signatures else {})


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: float | None = None,
    tolerance: float = TOLERANCE,
) -> None:
    """Checks a received callback: `body` are its bytes as they came, `secrets` those that are good.

    Raises `BadSignature` saying why it is not to be trusted.
    """
    named = {name.lower(): value for name, value in headers.items()}
    timestamp = named.get(TIMESTAMP.lower(), "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadSignature(f"{TIMESTAMP} is missing or no time")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise BadSignature("the callback was signed too long ago, or the clocks differ")
    given = [one.strip() for one in named.get(SIGNATURE.lower(), "").split(",")]
    right = [(_VERSION + _digest(secret, timestamp, body)).encode() for secret in secrets]
    if not any(
        hmac.compare_digest(one.encode(errors="replace"), good) for one in given for good in right
    ):
        raise BadSignature("the signature is of none of these secrets")


def _digest(secret: str, timestamp: str, body: bytes) -> str:
    message = timestamp.encode() + b"." + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
