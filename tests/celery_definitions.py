"""What workers run in `test_celery`: all assets on fake models, one of which is loaded and waits.

Each photo takes OKLA_TEST_GPU_SECONDS of a GPU there is not. In the folder OKLA_TEST_FOLDER the
file `loads` gets a line, the process, whenever the segmenter's weights are loaded. Vehicles in one
of the paints of HELD wait, once: the file of that name says in which process, and NAME.go lets
them go on. So does a run that loads these definitions while there is a file `loading.hold`.
"""

import functools
import os
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import numpy as np

from okla_assets.definitions import build_definitions
from okla_assets.imaging.types import Box, Rgb
from resources.models.base import Matte, Subject
from tests.fakes import FakeSegmenter, fake_models

HELD = {
    "early": (20, 200, 160),
    "killed": (235, 20, 150),
    "cut": (150, 60, 235),
    "terminated": (235, 160, 20),
}


@functools.cache
def weights() -> None:
    """As the real ones are: loaded once a process."""
    with (_folder() / "loads").open("a") as loads:
        loads.write(f"{os.getpid()}\n")


class HeldSegmenter(FakeSegmenter):
    """The fake one, with weights, and held up where a test says so."""

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        weights()
        time.sleep(float(os.environ["OKLA_TEST_GPU_SECONDS"]))
        for photo, subject in zip(photos, subjects, strict=True):
            for name in _held(photo, subject.box):
                _wait(name)
        return super().segment(photos, subjects)


@dg.definitions
def defs() -> dg.Definitions:
    """As `okla_assets.definitions` has them, but for the models."""
    if (_folder() / "loading.hold").exists():
        _wait("loading")
    return build_definitions("local", **fake_models() | {"segmenter": HeldSegmenter()})


def _held(photo: Rgb, box: Box) -> list[str]:
    x, y, w, h = box
    paint = photo[int(y + h / 2), int(x + w / 2)].astype(int)
    return [name for name, held in HELD.items() if np.abs(paint - held).max() < 30]


def _wait(name: str) -> None:
    here = _folder() / name
    if here.exists():
        return
    here.write_text(str(os.getpid()))
    while not here.with_suffix(".go").exists():
        time.sleep(0.05)


def _folder() -> Path:
    return Path(os.environ["OKLA_TEST_FOLDER"])
