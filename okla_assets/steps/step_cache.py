"""Nothing is computed twice: results of one photo, kept by what they were made from.

A digest names input bytes, step version, weights and options. The record of a result is written
after its output files, so a killed run leaves either a whole result or none; a result counts only
while its output files are those it wrote (same ETag).
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from okla_assets import keys
from resources.ahead import mapped
from resources.storage.media_store import MediaStore

RowT = TypeVar("RowT", bound=BaseModel)


@dataclass(frozen=True)
class Entry(Generic[RowT]):
    """A result and the seconds it took; in `gpu_seconds` of them a model was at work on a GPU."""

    row: RowT
    seconds: float
    gpu_seconds: float


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")
    row: dict[str, object]
    seconds: float
    gpu_seconds: float
    outputs: dict[str, str]


class StepCache(Generic[RowT]):
    """Results of one step for the photos of one vehicle; good for one run of the step.

    What is kept is listed and read at once when it is first asked for: in a bucket, each request
    is a wait. What others do to the folders afterwards is seen by the next run.
    """

    def __init__(
        self, store: MediaStore, vehicle: keys.VehicleId, step: str, row: type[RowT]
    ) -> None:
        self._store, self._vehicle, self._step, self._row = store, vehicle, step, row
        self._used: set[str] = set()
        self._etags: dict[str, dict[str, str]] = {}
        self._records: dict[str, bytes] | None = None
        self._lock = threading.RLock()

    def get(self, digest: str) -> Entry[RowT] | None:
        """The kept result, or None where there is none or its files are gone or changed."""
        key = self._key(digest)
        self._used.add(key)
        kept = self._kept().get(key)
        if kept is None:
            return None
        try:
            record = _Record.model_validate_json(kept)
            row = self._row.model_validate(record.row)
        except ValidationError:  # written by another version of the code: compute again
            return None
        for output, etag in record.outputs.items():
            if self._listed(output).get(output) != etag:
                return None
        self._used.update(record.outputs)
        return Entry(row, record.seconds, record.gpu_seconds)

    def put(
        self,
        digest: str,
        row: RowT,
        outputs: Mapping[str, bytes | Path],
        seconds: float = 0.0,
        gpu_seconds: float = 0.0,
    ) -> Entry[RowT]:
        """Writes the output files, then the record."""
        entry = Entry(row, round(seconds, 3), round(gpu_seconds, 3))
        etags = dict(zip(outputs, mapped(outputs.items(), self._write, "store"), strict=True))
        key = self._key(digest)
        record = _Record(
            row=row.model_dump(mode="json"),
            seconds=entry.seconds,
            gpu_seconds=entry.gpu_seconds,
            outputs=etags,
        )
        kept = record.model_dump_json().encode()
        self._write((key, kept))
        self._used.update((key, *outputs))
        with self._lock:
            if self._records is not None:
                self._records[key] = kept
        return entry

    def prune(self) -> None:
        """Removes what this step kept for photos or options that are no longer the vehicle's."""
        used = {_stem(key) for key in self._used}
        for folder in (keys.work_folder, keys.private_folder):
            listed = self._listed(folder(self._vehicle, self._step))
            for key in [key for key in listed if _stem(key) not in used]:
                self._store.delete(key)
                del listed[key]

    def _kept(self) -> dict[str, bytes]:
        """Records by key: as they were found, or written since."""
        with self._lock:
            if self._records is None:
                listed = self._listed(keys.work_folder(self._vehicle, self._step))
                records = [key for key in listed if key.endswith(".json")]
                read = mapped(records, self._read, "records")
                self._records = dict(zip(records, read, strict=True))
            return self._records

    def _read(self, key: str) -> bytes:
        try:
            return self._store.get(key)
        except FileNotFoundError:  # somebody has just emptied work/
            return b""

    def _listed(self, key: str) -> dict[str, str]:
        """ETag by key of what lies in the key's folder, or one above: as listed, or written since.

        A key that ends in "/" is a folder itself.
        """
        with self._lock:
            for folder, etags in self._etags.items():
                if key.startswith(folder):
                    return etags
            folder = key.rpartition("/")[0] + "/"
            self._etags[folder] = {info.key: info.etag for info in self._store.list(folder)}
            return self._etags[folder]

    def _write(self, output: tuple[str, bytes | Path]) -> str:
        """Returns the ETag; the folder's list knows it, where there is one."""
        key, data = output
        if isinstance(data, Path):
            etag = self._store.put_file(key, data)
        else:
            etag = self._store.put(key, data)
        with self._lock:
            for folder, etags in self._etags.items():
                if key.startswith(folder):
                    etags[key] = etag
        return etag

    def _key(self, digest: str) -> str:
        return keys.work_file(self._vehicle, self._step, digest, "json")


def _stem(key: str) -> str:
    return key.rpartition("/")[2].rpartition(".")[0]
