"""The models folder: what is in it, whether it is sound, and how weights get there.

A weight is visible under its own name only whole and checked. Beside it lies `NAME.ok.json`, the
record of its digest, size and time of change: while those agree with the file, 500 MB need not be
hashed again at every start. Everything unfinished is below `.pull/`, in a folder whose owner holds
a lock; what a killed owner leaves there is removed by the next pull.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from resources.errors import BrokenSetup
from resources.settings import settings
from resources.storage.whole_files import sync
from resources.weights.entries import SAFE_SUFFIXES, Weight, find

Status = Literal["present", "missing", "damaged"]

# Seconds after which no process can still be writing some hundred bytes.
_RECORD_TAKES = 60.0

# For folders that cannot be written, where no record can be left: path -> size, mtime_ns, digest.
_checked: dict[Path, tuple[int, int, str]] = {}


class WeightsMissing(BrokenSetup):
    """A model's weights are not in the models folder; the message has the command that helps."""


class WeightsDamaged(BrokenSetup):
    """A file in the models folder is not the one that was stored; it is not loaded."""


class PickleRefused(BrokenSetup):
    """A format that may run code while it is loaded."""


@dataclass(frozen=True)
class FileRecord:
    """One file in a record."""

    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Record:
    """`NAME.ok.json`: where a weight came from, and its files by path below the folder."""

    source: str
    files: Mapping[str, FileRecord]


def models_dir() -> Path:
    """`OKLA_MODELS_DIR`, else in the user's cache folder. Read at every call; it need not exist."""
    if chosen := settings().models_dir:
        return Path(chosen).expanduser().absolute()
    return cache_folder() / "models"


def cache_folder() -> Path:
    """Ours in the user's cache folder, by the custom of the system; it need not exist."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "okla"


def weight_path(name: str) -> Path:
    """The stored file of a weight, sound according to its record. Never downloads.

    Raises `WeightsMissing`, `WeightsDamaged`, `PickleRefused`, or `BadInput` for an unknown name.
    """
    weight = find(name)
    refuse_pickle(weight.filename)
    path = models_dir() / weight.filename
    state, why = inspect(weight)
    if state == "missing":
        raise WeightsMissing(
            f"the weights {name} ({weight.role}) are missing: looked for {path}. "
            f"Fetch them with: {pull_command(name)}"
        )
    if state == "damaged":
        raise WeightsDamaged(
            f"the weights {name} are not used: {path} {why}. "
            f"Fetch them again with: {pull_command(name)}"
        )
    return path


def status(name: str, *, rehash: bool = False) -> Status:
    """Whether a weight can be used; `rehash` reads all of it instead of trusting the record."""
    return inspect(find(name), rehash)[0]


def digest(name: str) -> str:
    """SHA-256 of a weight: the catalogue's, or for one without, that of its first pull.

    Raises `WeightsMissing` where neither exists, `BadInput` for an unknown name.
    """
    weight = find(name)
    if weight.sha256 is not None:
        return weight.sha256
    record = read_record(weight)
    if record is None:
        raise WeightsMissing(
            f"the digest of {name} is recorded when it is first fetched: {pull_command(name)}"
        )
    return record.files[weight.filename].sha256


def pull_command(*names: str) -> str:
    """What a person types to fetch weights."""
    return f"okla models pull {' '.join(names)}"


def refuse_pickle(filename: str) -> None:
    """Raise `PickleRefused` unless the format of `filename` can hold nothing but numbers."""
    if not filename.lower().endswith(SAFE_SUFFIXES):
        raise PickleRefused(
            f"{filename} is refused: only {', '.join(SAFE_SUFFIXES)} files are loaded, because a "
            "pickle (.pt, .pth, .pkl) can run any code while it is opened. Convert it"
        )


def inspect(weight: Weight, rehash: bool = False) -> tuple[Status, str]:
    """The state of a weight, and for a damaged one what is wrong with it.

    Sizes are always compared. A file whose size and time of change agree with the record is
    taken to be the recorded one, unless `rehash`; any other is hashed, and a new record is left.
    """
    folder = models_dir()
    try:
        (folder / weight.filename).stat()
    except (FileNotFoundError, NotADirectoryError):
        return "missing", ""
    except OSError as error:
        return "damaged", f"cannot be read: {error}"
    record = read_record(weight)
    recorded = dict(record.files) if record else {}
    wanted = {path: file.sha256 for path, file in recorded.items()}
    if weight.sha256 is not None:
        wanted[weight.filename] = weight.sha256
    if weight.filename not in wanted:
        return "damaged", "was not put there by a pull, so its digest cannot be checked"
    found: dict[str, FileRecord] = {}
    for relative, expected in wanted.items():
        path = folder / relative
        main = relative == weight.filename
        try:
            stat = path.stat()
            size = weight.size_bytes if main else None
            if size is None and relative in recorded:
                size = recorded[relative].size
            if size is not None and stat.st_size != size:
                return "damaged", f"has {stat.st_size} bytes instead of {size} ({relative})"
            now = FileRecord(expected, stat.st_size, stat.st_mtime_ns)
            seen = _checked.get(path) == (now.size, now.mtime_ns, expected)
            if rehash or not (seen or recorded.get(relative) == now):
                with path.open("rb") as stream:
                    got = hashlib.file_digest(stream, "sha256").hexdigest()
                if got != expected:
                    return "damaged", f"has SHA-256 {got} instead of {expected} ({relative})"
        except OSError as error:
            return "damaged", f"cannot be read: {error}"
        _checked[path] = (now.size, now.mtime_ns, expected)
        found[relative] = now
    if found != recorded:
        with contextlib.suppress(OSError):  # a read-only folder is as good
            write_record(weight, Record(record.source if record else "found in the folder", found))
    return "present", ""


def put(weight: Weight, files: Mapping[str, tuple[Path, str]], source: str) -> None:
    """Make checked files visible; `files` maps a path below the folder to (file, SHA-256).

    The files must lie on the folder's file system. Each appears whole, the weight itself last.
    """
    folder = models_dir()
    found = {}
    for relative, (path, sha256) in files.items():
        stat = path.stat()
        found[relative] = FileRecord(sha256, stat.st_size, stat.st_mtime_ns)
    # First, because a weight without a catalogue digest is worth nothing without its record,
    # while a record without its file is simply a missing file.
    write_record(weight, Record(source, found))
    for relative in sorted(files, key=lambda relative: relative == weight.filename):
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        files[relative][0].replace(target)
        sync(target.parent)


def read_record(weight: Weight) -> Record | None:
    """What is on record for a weight, or None where nothing useful is."""
    try:
        raw = json.loads(_record_path(weight).read_text(encoding="utf-8"))
        files = {path: FileRecord(**file) for path, file in raw["files"].items()}
        record = Record(str(raw["source"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if weight.filename in files else None


def write_record(weight: Weight, record: Record) -> None:
    """Replace the record of a weight. Raises `OSError`."""
    path = _record_path(weight)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    text = json.dumps(
        {
            "source": record.source,
            "files": {relative: asdict(file) for relative, file in record.files.items()},
        },
        indent=2,
    )
    try:
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def sweep_records() -> None:
    """Remove what processes that were killed while writing a record have left."""
    for unfinished in models_dir().glob("*.ok.json.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - unfinished.stat().st_mtime > _RECORD_TAKES:
                unfinished.unlink()


def _record_path(weight: Weight) -> Path:
    return models_dir() / f"{weight.name}.ok.json"
