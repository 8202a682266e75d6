"""What is known of those who have an API key: who they are, what they may, and until when.

A key is `okla_NAME_SECRET`. The secret has 256 random bits, so that one SHA-256 of it is all that
has to be stored; whoever reads the store cannot call.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import Field, ValidationError

from okla_assets import keys
from okla_assets.doors.callers.caller import LOCAL, SCOPES, Scope
from okla_assets.tables import Row
from resources.errors import BadInput, BrokenSetup
from resources.storage.media_store import MediaStore

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
BEGINNING = "okla_"
KEY = re.compile(rf"{BEGINNING}({_NAME.pattern})_([0-9a-f]{{64}})")
TOKENS = "jwt-"
"""How names of callers begin that come with a JWT instead of a key."""
REQUESTS_A_MINUTE = 500
"""As remove.bg allows them."""


class CallerRecord(Row):
    """One caller. `digest` is the SHA-256 of his secret, in hexadecimal digits.

    `previous_digest` is that of the secret before, good until `previous_until`. None of
    `requests_a_minute` and `pictures_a_month` is no limit.
    """

    name: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    previous_digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    previous_until: datetime | None = None
    requests_a_minute: int | None = Field(default=REQUESTS_A_MINUTE, ge=1)
    pictures_a_month: int | None = Field(default=None, ge=0)

    def opens(self, secret: str, now: datetime) -> bool:
        """Whether the secret is his. Says nothing of `expires_at` and `revoked_at`."""
        given = _digest_of(secret)
        right = hmac.compare_digest(given, self.digest)
        if self.previous_digest is None or self.previous_until is None:
            return right
        before = hmac.compare_digest(given, self.previous_digest)
        return right or (before and now < self.previous_until)

    def state(self, now: datetime) -> str:
        """Good, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "good"


def check_name(name: str) -> str:
    """The name, where a caller may have it; it is part of keys, storage keys and logs."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be a caller's name: give 1 to 40 small letters, digits and '-', "
            "with a letter or digit first and last"
        )
    if name == LOCAL.name or name.startswith(TOKENS):
        raise BadInput(f"{name!r} cannot be a caller's name: it is one of ours; give another")
    return name


def create(
    store: MediaStore,
    name: str,
    scopes: Sequence[str],
    *,
    days: float | None = None,
    requests_a_minute: int | None = REQUESTS_A_MINUTE,
    pictures_a_month: int | None = None,
) -> str:
    """Makes a caller and returns his key, which nobody can read again.

    Raises BadInput for a name or a scope that cannot be, and for a name that is taken.
    """
    check_name(name)
    if wrong := sorted(set(scopes) - set(SCOPES)):
        raise BadInput(f"there is no scope {wrong[0]!r}; the scopes are {', '.join(SCOPES)}")
    if not scopes:
        raise BadInput(f"a caller without a scope may do nothing; give one of {', '.join(SCOPES)}")
    if find(store, name) is not None:
        raise BadInput(f"there is a caller {name}; `okla keys renew {name}` gives him a new key")
    now = datetime.now(UTC)
    key, digest = _new_key(name)
    record = CallerRecord(
        name=name,
        digest=digest,
        scopes=tuple(scope for scope in SCOPES if scope in scopes),
        created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
        requests_a_minute=requests_a_minute,
        pictures_a_month=pictures_a_month,
    )
    _keep(store, record)
    return key


def renew(
    store: MediaStore, name: str, *, overlap_hours: float = 24.0, days: float | None = None
) -> str:
    """A new key of a caller; the one before is good for some hours more.

    `days` is how long the new one is good; None: for ever. A caller who was revoked is one again,
    and his old key stays dead. Raises BadInput where there is no such caller.
    """
    record = _known(store, name)
    now = datetime.now(UTC)
    key, digest = _new_key(name)
    was_good = record.state(now) == "good" and overlap_hours > 0
    changed = {
        "digest": digest,
        "previous_digest": record.digest if was_good else None,
        "previous_until": now + timedelta(hours=overlap_hours) if was_good else None,
        "expires_at": None if days is None else now + timedelta(days=days),
        "revoked_at": None,
    }
    _keep(store, record.model_copy(update=changed))
    return key


def revoke(store: MediaStore, name: str) -> None:
    """Ends a caller's keys; his jobs stay. Raises BadInput where there is no such caller."""
    record = _known(store, name)
    if record.revoked_at is None:
        _keep(store, record.model_copy(update={"revoked_at": datetime.now(UTC)}))


def find(store: MediaStore, name: str) -> CallerRecord | None:
    """What is known of the caller. Raises BrokenSetup where that cannot be read."""
    try:
        data = store.get(keys.caller(name))
    except FileNotFoundError:
        return None
    try:
        return CallerRecord.model_validate_json(data)
    except ValidationError:
        raise BrokenSetup(
            f"{keys.caller(name)} cannot be read; remove it and make the caller anew"
        ) from None


def every(store: MediaStore) -> Iterator[CallerRecord]:
    """All callers with keys, those revoked too, by name."""
    for info in store.list(keys.CALLERS):
        name = info.key.removeprefix(keys.CALLERS).removesuffix(".json")
        if (
            info.key == keys.caller(name)
            and _NAME.fullmatch(name)
            and (record := find(store, name)) is not None
        ):
            yield record


def _new_key(name: str) -> tuple[str, str]:
    """A key that nobody has yet, and the digest of its secret."""
    secret = secrets.token_hex(32)
    return f"{BEGINNING}{name}_{secret}", _digest_of(secret)


def _digest_of(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _known(store: MediaStore, name: str) -> CallerRecord:
    record = find(store, check_name(name))
    if record is None:
        raise BadInput(f"there is no caller {name}; `okla keys list` names those there are")
    return record


def _keep(store: MediaStore, record: CallerRecord) -> None:
    store.put(
        keys.caller(record.name),
        record.model_dump_json().encode(),
        "application/json",
        durable=True,
    )
