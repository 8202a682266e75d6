"""One leader of the media in a bucket, on whatever machine it runs.

On one machine the lock of a file sees to that. Others see only the bucket, so that each leader has
an object there, which it writes again and again; who begins looks for those of others. All dates
are the store's, whatever the clocks of the machines say.
"""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from okla_assets import keys
from resources.errors import BadInput, BrokenSetup
from resources.storage.media_store import MediaStore
from resources.storage.s3_store import S3MediaStore
from resources.storage.stores import location_of

BEAT_SECONDS = 30.0
GONE_SECONDS = 120.0
"""After which one that has not written counts as ended."""
ID_FILE = "leader_id"


@contextmanager
def alone_in_bucket(
    store: MediaStore, command: Literal["up", "serve"], home: Path
) -> Iterator[None]:
    """While the context lasts, no such command with other records than those in `home` begins on
    the same bucket; in a folder nothing is done.

    Raises BadInput where there is one already.
    """
    if not isinstance(store, S3MediaStore):
        yield
        return
    # The next beat is the next attempt, and who stops waits for one at most.
    once = store.model_copy(update={"max_attempts": 1})
    prefix = keys.leaders(command)
    own = prefix + _id_of(home)
    told = f"process {os.getpid()} of {socket.gethostname()}".encode()
    store.put(own, told)
    stop = threading.Event()
    try:
        _check_others(store, command, prefix, own)
        beating = threading.Thread(target=_beat, args=(once, own, told, stop), daemon=True)
        beating.start()
        try:
            yield
        finally:
            stop.set()
            beating.join(BEAT_SECONDS)  # the bucket may be away
    finally:
        with suppress(OSError, BrokenSetup):
            once.delete(own)


def _check_others(store: MediaStore, command: str, prefix: str, own: str) -> None:
    found = {info.key: info.modified for info in store.list(prefix)}
    now = found.pop(own)
    for key, modified in found.items():
        silent = (now - modified).total_seconds()
        if silent >= GONE_SECONDS:  # it was killed
            store.delete(key)
            continue
        try:
            who = store.get(key).decode(errors="replace")[:200]
        except FileNotFoundError:  # it has ended in this moment
            continue
        raise BadInput(
            f"another `okla {command}` works on {location_of(store)}: {who}; stop that first. "
            f"One that was killed counts as ended {GONE_SECONDS:.0f} seconds later"
        )


def _beat(store: MediaStore, own: str, told: bytes, stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        with suppress(OSError, BrokenSetup):  # the bucket is away, for this one and for others
            store.put(own, told)


def _id_of(home: Path) -> str:
    """The name of the records in a folder, which they keep on whatever machine they are opened."""
    path = home / ID_FILE
    with suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
        file.write(str(uuid.uuid4()))
    return str(uuid.UUID(path.read_text(encoding="utf-8")))
