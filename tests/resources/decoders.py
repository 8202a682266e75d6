"""Stand-ins for the photo decoder, named to the worker process by `module:function`. No dagster."""

import os
import time

import numpy as np

from okla_assets.imaging.photo.decode import DecodedPhoto, DecodeLimits, decode as real_decode


def sleeping(data: bytes, limits: DecodeLimits, working_side: int) -> DecodedPhoto:
    """Hangs on the file b"hang"; decodes any other."""
    if data == b"hang":
        time.sleep(60)
    return real_decode(data, limits, working_side)


def crashing(data: bytes, limits: DecodeLimits, working_side: int) -> DecodedPhoto:
    """Aborts on b"abort", raises on b"raise", maps too much on b"greedy", else decodes."""
    if data == b"abort":
        os.abort()
    if data == b"raise":
        raise KeyError("a fault of the decoder")
    if data == b"greedy":
        return DecodedPhoto(np.ones((100_000, 100_000, 3), np.uint8), 1, 1, "PNG", ())
    return real_decode(data, limits, working_side)


def instant(data: bytes, limits: DecodeLimits, working_side: int) -> DecodedPhoto:
    """A photo of 2048 x 1536 that costs nothing to decode."""
    return DecodedPhoto(np.full((1536, 2048, 3), 7, np.uint8), 2048, 1536, "PNG", ())
