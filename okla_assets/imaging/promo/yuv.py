"""Frames and pictures as the encoder wants them: planar YUV 4:2:0, BT.709, video range.

A frame is uint8 (H * 3 / 2, W): the luma rows, then U, then V.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Rgb

Plane = npt.NDArray[np.uint8]
Frame = npt.NDArray[np.uint8]

# ITU-R BT.709, 8 bits, video range: luma 16..235, chroma 16..240.
_KR, _KB = 0.2126, 0.0722
_TO_YUV = np.array(
    [
        [219 / 255 * _KR, 219 / 255 * (1 - _KR - _KB), 219 / 255 * _KB, 16],
        [
            -112 / 255 * _KR / (1 - _KB),
            -112 / 255 * (1 - _KR - _KB) / (1 - _KB),
            112 / 255,
            128,
        ],
        [
            112 / 255,
            -112 / 255 * (1 - _KR - _KB) / (1 - _KR),
            -112 / 255 * _KB / (1 - _KR),
            128,
        ],
    ]
)


@dataclass(frozen=True)
class Yuv:
    """A picture's planes; U and V have half its width and height, both of which are even."""

    y: Plane
    u: Plane
    v: Plane


def to_yuv(rgb: Rgb) -> Yuv:
    """The picture's planes; its width and height must be even."""
    full = cv2.transform(rgb, _TO_YUV)
    half = cv2.resize(full[..., 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    y, u, v = full[..., 0], half[..., 0], half[..., 1]
    return Yuv(*(np.ascontiguousarray(plane, np.uint8) for plane in (y, u, v)))


def to_rgb(frame: Frame) -> Rgb:
    """A frame as RGB uint8 (H, W, 3)."""
    y, u, v = (plane.astype(np.float32) for plane in planes_of(frame).values())
    size = (y.shape[1], y.shape[0])
    # Chroma lies on the left of its luma pixels: half a luma pixel off the middle.
    matrix = np.array([[0.5, 0, 0.0], [0, 0.5, -0.25]])
    warp = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    full = [
        y,
        *(
            cv2.warpAffine(c, matrix, size, flags=warp, borderMode=cv2.BORDER_REPLICATE)
            for c in (u, v)
        ),
    ]
    back = np.linalg.inv(_TO_YUV[:, :3])
    yuv = np.dstack(full) - _TO_YUV[:, 3].astype(np.float32)
    return np.asarray(cv2.convertScaleAbs(cv2.transform(yuv, back).clip(0, 255)), np.uint8)


def planes_of(frame: Frame) -> dict[str, Plane]:
    """Views of a frame's planes: y, u, v."""
    width, height = frame.shape[1], frame.shape[0] * 2 // 3
    chroma = frame[height:].reshape(2, height // 2, width // 2)
    return {"y": frame[:height], "u": chroma[0], "v": chroma[1]}


def blank(size: tuple[int, int], rgb: tuple[int, int, int]) -> Frame:
    """A frame (width, height) of one colour."""
    width, height = size
    frame = np.empty((height * 3 // 2, width), np.uint8)
    yuv = _TO_YUV[:, :3] @ np.array(rgb) + _TO_YUV[:, 3]
    for plane, value in zip(planes_of(frame).values(), yuv, strict=True):
        plane[:] = round(float(value))
    return frame


def from_rgb(rgb: Rgb) -> Frame:
    """An RGB picture as a frame; width and height must be even."""
    found = to_yuv(rgb)
    frame = np.empty((rgb.shape[0] * 3 // 2, rgb.shape[1]), np.uint8)
    for plane, values in zip(planes_of(frame).values(), (found.y, found.u, found.v), strict=True):
        plane[:] = values
    return frame


def mix(under: Plane, over: Plane, weights: Plane) -> Plane:
    """One plane over another, by weights 0..255."""
    weights = weights[: under.shape[0], : under.shape[1]]
    kept = cv2.multiply(under, 255 - weights, scale=1 / 255)
    return np.asarray(cv2.add(kept, cv2.multiply(over, weights, scale=1 / 255)), np.uint8)
