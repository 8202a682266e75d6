"""Addresses of finished files on the file server of `okla up`."""

from urllib.parse import quote

SERVED = ("processed/", "work/")
"""Prefixes of what the file server shows: nothing there shows a plate."""
FILES_URL = "http://127.0.0.1:3001"
"""Its address, where OKLA_FILES_URL names none."""


def file_link(base: str, key: str) -> str | None:
    """The address of a key at a server of such files; None for what it does not serve."""
    return f"{base}/{quote(key)}" if key.startswith(SERVED) else None
