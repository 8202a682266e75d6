"""Pictures brought once to sheets, from which each frame is one affine warp a plane.

A sheet is a little larger than the frame and already in YUV: half as many samples as in RGB pass
through the warp, and the encoder has nothing to convert.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from okla_assets.imaging.promo.moves import Window, matrices
from okla_assets.imaging.promo.yuv import Frame, Plane, Yuv, planes_of, to_yuv
from okla_assets.imaging.types import Floats, Rgb

BACKDROP_LIGHT = 0.55
"""How bright the blurred picture behind a picture is that does not fill the frame."""


@dataclass(frozen=True)
class Sheet:
    """Part of a picture's plane: `origin` in the picture's pixels, `scale` sheet pixels to one."""

    planes: Yuv
    origin: tuple[float, float]
    scale: float


def make_sheet(picture: Rgb, bounds: Window, scale: float, plain: bool) -> Sheet:
    """The part of the picture's plane inside `bounds`, at `scale`.

    Beyond the picture a studio scene (`plain`) goes on as its border is; anything else stands
    before a blurred, darker copy of itself.
    """
    height, width = picture.shape[:2]
    x0, y0 = np.floor(bounds.x) - 2, np.floor(bounds.y) - 2
    x1, y1 = np.ceil(bounds.x + bounds.w) + 2, np.ceil(bounds.y + bounds.h) + 2
    inside = [max(0, int(x0)), max(0, int(y0)), min(width, int(x1)), min(height, int(y1))]
    part = picture[inside[1] : inside[3], inside[0] : inside[2]]
    size = (_even((x1 - x0) * scale), _even((y1 - y0) * scale))
    # The part keeps its exact scale: a rounded one would move the vehicle within the sheet.
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(
        part,
        (round(part.shape[1] * scale), round(part.shape[0] * scale)),
        interpolation=method,
    )
    matrix = np.array(
        [
            [small.shape[1] / part.shape[1] / scale, 0, 0.0],
            [0, small.shape[0] / part.shape[0] / scale, 0.0],
        ]
    )
    left, top = (inside[0] - x0) * scale, (inside[1] - y0) * scale
    matrix[:, 2] = [
        matrix[0, 0] * (0.5 - left) - 0.5,
        matrix[1, 1] * (0.5 - top) - 0.5,
    ]
    warp = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = inside[0] <= x0 and inside[1] <= y0 and inside[2] >= x1 and inside[3] >= y1
    edge = cv2.BORDER_REPLICATE
    if plain and not whole:
        small = calm_border(np.asarray(small, np.uint8))
    sheet = cv2.warpAffine(small, matrix, size, flags=warp, borderMode=edge)
    if plain and not whole:
        # One grey level spans many rows of so smooth a scene: without noise it shows as bands.
        sheet += np.random.default_rng(7).triangular(-1, 0, 1, sheet.shape[:2])[..., None]
        sheet = cv2.convertScaleAbs(sheet)
    if not plain and not whole:
        mask = np.full(small.shape[:2], 255, np.uint8)
        mask = cv2.warpAffine(mask, matrix, size, flags=warp)
        sheet = _over_backdrop(np.asarray(sheet, np.uint8), np.asarray(mask, np.uint8), part)
    return Sheet(to_yuv(np.asarray(sheet, np.uint8)), (float(x0), float(y0)), scale)


def calm_border(picture: Rgb) -> Floats:
    """The picture whose outermost pixels are smoothed along the border, to be continued from."""
    calm = picture.astype(np.float32)
    depth, blur = 6, (0, 0)
    for turned in (calm, calm.transpose(1, 0, 2)):
        for rows in (slice(0, depth), slice(-depth, None)):
            line = turned[rows].mean(axis=0, keepdims=True)
            sigma = max(2.0, line.shape[1] / 60)
            smooth = cv2.GaussianBlur(line, blur, sigma, borderType=cv2.BORDER_REPLICATE)
            turned[0 if rows.start == 0 else -1] = smooth[0]
    return calm


def _over_backdrop(sheet: Rgb, mask: Plane, part: Rgb) -> Rgb:
    height, width = sheet.shape[:2]
    tiny = cv2.resize(part, (64, max(2, 64 * height // width)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(tiny, (0, 0), 4)
    large = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)
    large = cv2.convertScaleAbs(large, alpha=BACKDROP_LIGHT)
    weights = cv2.merge([mask] * 3)
    kept = cv2.multiply(large, 255 - weights, scale=1 / 255)
    return np.asarray(cv2.add(kept, cv2.multiply(sheet, weights, scale=1 / 255)), np.uint8)


def _even(length: float) -> int:
    return max(2, int(np.ceil(length / 2)) * 2)


def draw_window(sheet: Sheet, window: Window, frame: Frame) -> None:
    """Fills the frame with the part of the sheet inside the window."""
    planes = planes_of(frame)
    height, width = planes["y"].shape
    luma, chroma = matrices(window, sheet.origin, sheet.scale, (width, height))
    for name, plane in planes.items():
        matrix = luma if name == "y" else chroma
        cv2.warpAffine(
            getattr(sheet.planes, name),
            matrix,
            (plane.shape[1], plane.shape[0]),
            dst=plane,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
