"""One digest for everything that is remembered by what it was made from."""

import hashlib
import json
from dataclasses import asdict, is_dataclass

from pydantic import BaseModel


def digest_of(*parts: object) -> str:
    """Hex SHA-256 of JSON-able parts, models and dataclasses included.

    Equal parts give equal digests on every machine.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be part of a digest")
