"""Looking into folders in which anything may lie."""

import os
from pathlib import Path

DEEPEST = 32
"""Of folders in each other, so many are looked into."""


def entries_of(folder: str | Path) -> list[os.DirEntry[str]]:
    """What lies in a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where nobody may look
        return False


def identity(folder: str | Path) -> tuple[int, int]:
    """Device and number of a folder, the same by whatever links it is reached."""
    try:
        found = Path(folder).stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0
    return found.st_dev, found.st_ino
