"""Stand-ins for video.read_moments, named to the worker process by `module:function`."""

import os
import time
from pathlib import Path

import numpy as np

from okla_assets.imaging.turn.video import Moment, VideoLimits, read_moments as real_read


def behaving(path: Path, limits: VideoLimits) -> list[Moment]:
    """Hangs, aborts, raises or takes too much memory, as the file's content says; else reads."""
    content = path.read_bytes()[:8]
    if content == b"hang":
        time.sleep(60)
    if content == b"abort":
        os.abort()
    if content == b"raise":
        raise KeyError("a fault of the reader")
    if content == b"greedy":
        np.ones((100_000, 100_000, 3), np.uint8)
    return real_read(path, limits)
