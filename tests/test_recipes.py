"""The code that docs/recipes.md gives works against the Protocols as they are."""

import importlib
import inspect
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from resources.models.base import PlateDetector
from tests.conftest import REPOSITORY

_BLOCK = re.compile(r"^ *```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def test_the_plate_detector_is_called_as_the_pipeline_calls_its_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "docs" / "recipes.md").read_text(encoding="utf-8")
    (code,) = (block for block in _BLOCK.findall(page) if "class CropPlates(" in block)
    (tmp_path / "crop_plates.py").write_text(textwrap.dedent(code), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    model = importlib.import_module("crop_plates").CropPlates()
    assert isinstance(model, PlateDetector)
    asked = inspect.signature(PlateDetector.detect).parameters
    assert inspect.signature(type(model).detect).parameters.keys() == asked.keys()
    blank = np.zeros((40, 60, 3), np.uint8)
    assert model.detect([blank], [[]], [()]) == [[]]
