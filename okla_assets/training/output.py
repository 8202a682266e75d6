"""Where a training writes, tried before it: hours of work are not to be lost at their end."""

import tempfile
from pathlib import Path

from resources.errors import BadInput


def check_writable(folder: Path) -> None:
    """Makes the folder and tries a file in it. Raises `BadInput` where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror}") from error
