"""Uploads that go on where they broke off: their parts are objects of the store.

A part is stored when it is complete, so that a server that dies loses one part at most, and any
server of the same store goes on.
"""

import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from okla_assets import keys
from okla_assets.doors.errors import DoorError
from okla_assets.doors.uploads.received import Received, kind_of, take
from okla_assets.tables import Row
from resources.storage.media_store import MediaStore

PART_BYTES = 16 * 2**20
HOURS = 24
"""After which an upload is forgotten, complete or not."""


class Resumable(Row):
    """An upload of `length` bytes. `received` is set when it has become the vehicle's; `refused`
    says why it never will."""

    id: str
    caller: str
    vehicle: str
    name: str
    length: int
    created_at: datetime
    received: Received | None = None
    refused: str | None = None
    status: int = 0

    @property
    def upload_id(self) -> keys.JobId:
        """The id, typed."""
        return keys.JobId(self.id)

    @property
    def ends_at(self) -> datetime:
        """When it is forgotten."""
        return self.created_at + timedelta(hours=HOURS)


@dataclass(frozen=True)
class Uploads:
    """All uploads in parts of a store."""

    store: MediaStore
    photo_bytes: int

    def create(self, caller: str, vehicle: keys.VehicleId, name: str, length: int) -> Resumable:
        """A new upload, of which nothing has arrived; old ones are forgotten."""
        now = datetime.now(UTC)
        for info in list(self.store.list(keys.UPLOADS)):
            if info.modified < now - timedelta(hours=HOURS):
                self.store.delete(info.key)
        upload = Resumable(
            id=str(uuid.uuid4()),
            caller=caller,
            vehicle=vehicle,
            name=name,
            length=length,
            created_at=now,
        )
        self._keep(upload)
        return upload

    def get(self, upload_id: str, caller: str | None) -> Resumable:
        """The caller's upload; None sees all. Raises `DoorError` 404."""
        try:
            data = self.store.get(keys.upload_record(keys.parse_job_id(upload_id)))
            upload = Resumable.model_validate_json(data)
        except (keys.BadJobId, FileNotFoundError):
            upload = None
        if (
            upload is None
            or caller not in (None, upload.caller)
            or upload.ends_at < datetime.now(UTC)
        ):
            raise DoorError(404, f"there is no upload {upload_id[:80]}; begin it anew")
        return upload

    def offset(self, upload: Resumable) -> int:
        """Bytes that have arrived."""
        if upload.received is not None:
            return upload.length
        return sum(size for _, size in self._parts(upload))

    def append(self, upload: Resumable, offset: int, part: Path) -> None:
        """Stores the bytes from `offset` on."""
        key = f"{keys.upload_parts(upload.upload_id)}{offset:015d}"
        self.store.put_file(key, part, durable=True)

    def finish(self, upload: Resumable) -> Resumable:
        """Makes a file of the vehicle's of the complete upload; may be repeated.

        Raises `DoorError`: 413 or 415 where it is none that can be taken, 409 where its parts are
        leaving, as another process finishes it.
        """
        upload = self.get(upload.id, None)  # it may have been finished since it was read
        if upload.refused is not None:
            raise DoorError(upload.status, upload.refused)
        if upload.received is not None:
            return upload
        with self._whole(upload) as (path, sha256):
            if path.stat().st_size != upload.length:
                raise DoorError(409, "this upload is being finished elsewhere; ask for it again")
            try:
                kind = kind_of(path, upload.name)
                if kind == "photo" and upload.length > self.photo_bytes:
                    raise DoorError(
                        413, f"the photo is larger than {self.photo_bytes >> 20} MB; send a smaller"
                    )
            except DoorError as error:
                changed = {"refused": error.detail, "status": error.status}
                self._keep(upload.model_copy(update=changed))
                self._remove_parts(upload)
                raise
            vehicle = keys.VehicleId(upload.vehicle)
            received = take(self.store, vehicle, path, kind, sha256, upload.name)
        upload = upload.model_copy(update={"received": received})
        self._keep(upload)
        self._remove_parts(upload)
        return upload

    def remove(self, upload: Resumable) -> None:
        """Forgets it; what has become the vehicle's stays."""
        self._remove_parts(upload)
        self.store.delete(keys.upload_record(upload.upload_id))

    def _parts(self, upload: Resumable) -> Iterator[tuple[str, int]]:
        """Keys and sizes of the parts, as far as each begins where the one before ends."""
        offset, prefix = 0, keys.upload_parts(upload.upload_id)
        for info in self.store.list(prefix):
            if info.key.removeprefix(prefix) != f"{offset:015d}":
                return
            yield info.key, info.size
            offset += info.size

    @contextmanager
    def _whole(self, upload: Resumable) -> Iterator[tuple[Path, str]]:
        """The parts as one file, as far as they are there, and its digest."""
        with tempfile.TemporaryDirectory(prefix="okla-upload-") as folder:
            path = Path(folder, "whole")
            # A part may leave between being listed and being read.
            with path.open("wb") as whole, suppress(FileNotFoundError):
                for key, _ in self._parts(upload):
                    with self.store.as_file(key) as part, part.open("rb") as read:
                        shutil.copyfileobj(read, whole, 1 << 20)
            with path.open("rb") as whole:
                digest = hashlib.file_digest(whole, "sha256").hexdigest()
            yield path, digest

    def _keep(self, upload: Resumable) -> None:
        self.store.put(
            keys.upload_record(upload.upload_id),
            upload.model_dump_json().encode(),
            "application/json",
            durable=True,
        )

    def _remove_parts(self, upload: Resumable) -> None:
        for info in list(self.store.list(keys.upload_parts(upload.upload_id))):
            self.store.delete(info.key)
