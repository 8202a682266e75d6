"""Nothing is computed twice: results of one photo, kept by what they were made from.

A digest names input bytes, step version, weights and options. The record of a result is written
after its output files, so a killed run leaves either a whole result or none; a result counts only
while its output files are those it wrote (same ETag).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from okla_assets import keys
from resources.media_store import MediaStore

RowT = TypeVar("RowT", bound=BaseModel)


def digest_of(*parts: object) -> str:
    """Hex SHA-256 of JSON-able parts; equal parts give equal digests on every machine."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be part of a digest")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")
    row: dict[str, object]
    outputs: dict[str, str]


class StepCache(Generic[RowT]):
    """Results of one step for the photos of one vehicle."""

    def __init__(
        self, store: MediaStore, vehicle: keys.VehicleId, step: str, row: type[RowT]
    ) -> None:
        self._store, self._vehicle, self._step, self._row = store, vehicle, step, row
        self._used: set[str] = set()

    def get(self, digest: str) -> RowT | None:
        """The kept row, or None where there is none or its files are gone or changed."""
        key = self._key(digest)
        self._used.add(key)
        try:
            record = _Record.model_validate_json(self._store.get(key))
            row = self._row.model_validate(record.row)
        except FileNotFoundError:
            return None
        except ValidationError:  # written by another version of the code: compute again
            return None
        for output, etag in record.outputs.items():
            info = self._store.stat(output)
            if info is None or info.etag != etag:
                return None
        self._used.update(record.outputs)
        return row

    def put(self, digest: str, row: RowT, outputs: Mapping[str, bytes | Path]) -> RowT:
        """Writes the output files, then the record; returns the row."""
        etags = {key: self._write(key, data) for key, data in outputs.items()}
        record = _Record(row=row.model_dump(mode="json"), outputs=etags)
        self._store.put(self._key(digest), record.model_dump_json().encode())
        self._used.update(outputs)
        return row

    def prune(self) -> None:
        """Removes what this step kept for photos or options that are no longer the vehicle's."""
        used = {_stem(key) for key in self._used}
        for folder in (keys.work_folder, keys.private_folder):
            for info in list(self._store.list(folder(self._vehicle, self._step))):
                if _stem(info.key) not in used:
                    self._store.delete(info.key)

    def _write(self, key: str, data: bytes | Path) -> str:
        if isinstance(data, Path):
            return self._store.put_file(key, data)
        return self._store.put(key, data)

    def _key(self, digest: str) -> str:
        return keys.work_file(self._vehicle, self._step, digest, "json")


def _stem(key: str) -> str:
    return key.rpartition("/")[2].rpartition(".")[0]
