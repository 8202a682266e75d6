"""What a store finds beside its objects: named, and never the end of a listing."""

import errno
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

# Also surrogates: a file name that is not UTF-8 can stand in no JSON.
_UNUSABLE = re.compile(r"[\0\\\ud800-\udfff]")

log = logging.getLogger(__name__)

OddReason = Literal["hidden", "unusable_name", "not_a_file", "unreadable"]


@dataclass(frozen=True)
class OddEntry:
    """Something in a store that is no object: no key names it, or it cannot be read.

    `key` is where it lies, fit to be printed. `hidden` begins with a dot; `unusable_name` can be no
    key; `not_a_file` is a link that leads nowhere or to itself, a pipe or a device; `unreadable` is
    a folder or file that may not be read. `detail` is a sentence that says what to do.
    """

    key: str
    reason: OddReason
    detail: str


OddEntries = Callable[[OddEntry], None]


class BadKey(ValueError):
    """The key is empty, absolute, hidden or climbs out of the store."""


def check_key(key: str) -> None:
    """Raises BadKey for a key that no store accepts."""
    parts = key.split("/")
    if _UNUSABLE.search(key) or any(not p or p.startswith(".") for p in parts):
        raise BadKey(f"{key!r} is not a usable storage key")


def odd_name(key: str) -> OddEntry | None:
    """What is odd about the name of something that was found in a store; None for a usable key.

    A key that ends in "/" is a folder.
    """
    try:
        check_key(key.removesuffix("/"))
    except BadKey:
        shown = key.encode("utf-8", "backslashreplace").decode()
        if any(part.startswith(".") and part.strip(".") for part in key.split("/")):
            return OddEntry(shown, "hidden", f"{shown} is hidden, as its name begins with a dot")
        return OddEntry(
            shown,
            "unusable_name",
            f"{shown!r} is left alone: rename it without backslashes and empty parts, in UTF-8",
        )
    return None


def odd_of(key: str, error: OSError) -> OddEntry:
    """The entry of which `error` was raised when it was looked at."""
    if error.errno == errno.ELOOP:
        return OddEntry(key, "not_a_file", f"{key} is a link that leads to itself")
    return OddEntry(key, "unreadable", f"{key} {may_not(error)}")


def may_not(error: OSError) -> str:
    """What an error says about a file or folder, as the end of a sentence that begins with it."""
    if isinstance(error, PermissionError):
        return "may not be read: give the user that runs okla access to it"
    return f"cannot be read ({error.strerror or error})"


_told: set[str] = set()
MOST_TOLD = 1000


def warn_once(entry: OddEntry) -> None:
    """Warns of something odd; once a process, because the sensor lists often."""
    if entry.reason != "hidden" and entry.key not in _told and len(_told) < MOST_TOLD:
        _told.add(entry.key)
        log.warning("%s", entry.detail)
