"""Files of a folder that appear whole or not at all, and outlive a loss of power where they must.

What is being written lies in the folder's `.tmp/`, which shares its file system, under a name that
tells the process: the next one removes what killed ones have left.
"""

import errno
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path

TEMP_FOLDER = ".tmp"
STALE_TEMP_SECONDS = 24 * 3600


def write_whole(
    root: Path, path: Path, fill: Callable[[Path], object], *, durable: bool, new: bool
) -> os.stat_result:
    """Writes or replaces a file below `root` by what `fill` writes at the path that it is given.

    With `durable` it outlives a loss of power from when this returns. Returns what the system says
    of the new file. Raises `AlreadyThere` where it is to be `new` and is not.
    """
    temp = temp_file(root)
    try:
        fill(temp)
        replaces = not new and _date_after(temp, path)
        if durable:
            sync(temp)
        written = temp.stat()  # after the move it may be another writer's
        made = _move_in(temp, path, new)
        if durable and not replaces:
            sync(path.parent)
            for folder in path.parent.parents if made else ():
                sync(folder)
                if folder == root:
                    break
        return written
    except BaseException:
        temp.unlink(missing_ok=True)
        raise


def temp_file(root: Path) -> Path:
    """A new path in the folder's `.tmp/`, which is made where there is none."""
    folder = root / TEMP_FOLDER
    if folder not in _swept:
        _swept.add(folder)
        _remove_stale_temps(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}"


class AlreadyThere(Exception):
    """There is an object where a new one was to be."""


_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What file systems without hard links answer, such as exFAT."""


def _move_in(temp: Path, path: Path, new: bool) -> bool:
    """Gives a finished file its name; True where a folder had to be made for it.

    Raises `AlreadyThere` where it is to be `new` and is not.
    """
    made = False
    while True:
        try:
            if made:
                _make_folder(path.parent)
            if new:
                _name_once(temp, path)
            else:
                temp.replace(path)
            return made
        except FileNotFoundError:
            # No folder yet, or none any more: whoever deletes the last file of one removes it.
            if not temp.exists():
                raise
            made = True


def _make_folder(folder: Path) -> None:
    """Makes a folder, which may be gone again when this returns.

    Raises `FileExistsError` where something else has its name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        # mkdir found it, and then asked whether it is a folder; by then it may have been deleted.
        if os.path.lexists(folder) and not folder.is_dir():
            raise


def _name_once(temp: Path, path: Path) -> None:
    try:
        os.link(temp, path)
        temp.unlink()
    except FileExistsError:
        raise AlreadyThere from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():  # two writers at the same moment may both come past this
            raise AlreadyThere from None
        temp.replace(path)


def sync(path: Path) -> None:
    """Has the disk hold a file's bytes, or a folder's names; Windows has no such call for those."""
    if os.name != "posix" and path.is_dir():
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


_swept: set[Path] = set()
"""Temp folders that this process has already cleared of what killed processes left."""


def _remove_stale_temps(folder: Path) -> None:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        host, _, rest = path.name.rpartition(".")[0].rpartition(".")
        dead = host == socket.gethostname() and not (rest.isdigit() and _alive(int(rest)))
        try:
            if dead or time.time() - path.stat().st_mtime > STALE_TEMP_SECONDS:
                path.unlink()
        except FileNotFoundError:  # another process was quicker
            continue


def _alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


def _date_after(temp: Path, path: Path) -> bool:
    """Makes the mtime, and so the ETag, differ from that of the file which is about to go; False
    where there is none.

    Many file systems have timestamps of some milliseconds: two quick writes would look the same.
    """
    try:
        before = path.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return False
    if temp.stat().st_mtime_ns <= before:
        os.utime(temp, ns=(before + 1000, before + 1000))  # Windows counts in 100 ns
    return True
