"""What `okla up` runs in `test_up`: all assets on fake models, one of which waits at a gate.

While the file OKLA_TEST_GATE is there the segmenter waits before it cuts its second photo, and says
so by a file beside it.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from okla_assets.definitions import build_definitions
from okla_assets.imaging.types import Rgb
from resources.models.base import Matte, Subject
from tests.fakes import FakeSegmenter, fake_models


class GatedSegmenter(FakeSegmenter):
    """The fake one, held up where a run is to be killed in the middle."""

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        gate = Path(os.environ["OKLA_TEST_GATE"])
        while self.asked == 1 and gate.exists():
            gate.with_suffix(".reached").touch()
            time.sleep(0.05)
        return super().segment(photos, subjects)


@dg.definitions
def defs() -> dg.Definitions:
    """As `okla_assets.definitions` has them, but for the models."""
    return build_definitions("local", **fake_models() | {"segmenter": GatedSegmenter()})
