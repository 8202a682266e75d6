"""A file or folder that may not be read, also for root, who may read everything."""

import os
from pathlib import Path
from typing import Any

import pytest


def deny(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """From here on, listing or opening these raises PermissionError, as the system does."""
    denied = {str(path) for path in paths}
    scandir, open_path = os.scandir, Path.open

    def guarded_scandir(path: Any = ".") -> Any:
        _check(path)
        return scandir(path)

    def guarded_open(self: Path, *arguments: Any, **named: Any) -> Any:
        _check(self)
        return open_path(self, *arguments, **named)

    def _check(path: Any) -> None:
        if str(path) in denied:
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", guarded_scandir)
    monkeypatch.setattr(Path, "open", guarded_open)
