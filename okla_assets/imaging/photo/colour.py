"""Colour spaces other than sRGB, brought to sRGB: photos and video frames alike.

What ICC profiles say is left to littleCMS (`icc`). Here is what files say in numbers: code points
of ITU-T H.273 (HEIC, AVIF, PNG, video), PNG's gamma and chromaticities, and EXIF's Adobe RGB.

HDR is tone-mapped: reference white is 203 cd/m² in PQ and HLG (Report ITU-R BT.2408-8) and becomes
white where the picture has nothing brighter; what is brighter is rolled off by the EETF of Report
ITU-R BT.2390-11, 5.4.1, on the largest of R, G and B, so that hues stay.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Doubles, Floats, Rgb

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of red, green, blue and white (CIE 1931)."""
Transfer = Literal["srgb", "pq", "hlg"] | float
"""How light is coded: a number is the exponent of a plain power law."""
DeepRgb = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W, 3), coded, over the full range of its type."""

WHITE_NITS = 203.0
HLG_PEAK_NITS, HLG_GAMMA = 1000.0, 1.2  # the nominal display (BT.2100-2, table 5)
PQ_PEAK_NITS = 10000.0
VIDEO_GAMMA = 2.35  # of SDR's display: EBU Tech 3320; BT.1886 has 2.4 where black is without light
# What writes HDR stills differs in whether SDR's display has sRGB's curve or BT.1886's, and in
# whether HLG's system gamma works on luminance (BT.2100) or on each channel (BT.2390, 6.5). These
# lie between and come within Delta E 3 of each on photos of cars; the ends are up to 3.9 apart.
HDR_STILLS_GAMMA, HLG_STILLS_BY_CHANNEL = 2.25, 0.3
PEAK_PERCENTILE = 99.5  # of the brightest channel: what is above it is a glint, which may clip
PEAK_STRIDE = 4  # pixels, when the peak is measured
GAINS = 8192

D65 = (0.3127, 0.3290)
BT709: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *D65)
BT2020: Chromaticities = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65)
DISPLAY_P3: Chromaticities = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65)
DCI_P3: Chromaticities = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351)
ADOBE_RGB: Chromaticities = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *D65)

# Bradford: Lam, "Metamerism and colour constancy" (1985); as ICC.1:2022, annex E.
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
BT2020_LUMA = np.array([[0.2627, 0.6780, 0.0593]], np.float32)


@dataclass(frozen=True)
class ColourSpace:
    """What the numbers of an RGB picture mean."""

    primaries: Chromaticities
    transfer: Transfer

    @property
    def hdr(self) -> bool:
        """Whether eight bits are too few for it, and white is not the brightest there is."""
        return self.transfer in ("pq", "hlg")


SRGB = ColourSpace(BT709, "srgb")
ADOBE = ColourSpace(ADOBE_RGB, 563 / 256)

UNSPECIFIED = 2  # of all code points
# BT.601's primaries (5, 6) count as BT.709's: phones write them beside BT.601's matrix for pictures
# in sRGB, and players do not convert them.
_PRIMARIES = dict.fromkeys((1, 2, 5, 6, 7), BT709) | {9: BT2020, 11: DCI_P3, 12: DISPLAY_P3}
# The camera curves of SDR video (1, 6, 11, 14, 15) are shown on displays as sRGB is.
_TRANSFERS: dict[int, Transfer] = dict.fromkeys((1, 2, 6, 7, 11, 12, 13, 14, 15), "srgb")
_TRANSFERS |= {4: 2.2, 5: 2.8, 8: 1.0, 16: "pq", 17: 2.6, 18: "hlg"}


def of_code_points(primaries: int, transfer: int) -> ColourSpace | None:
    """The space that H.273's ColourPrimaries and TransferCharacteristics name; None if unknown."""
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        return None
    return ColourSpace(_PRIMARIES[primaries], _TRANSFERS[transfer])


def of_png(gamma: float | None, chromaticities: tuple[float, ...] | None) -> ColourSpace:
    """The space of PNG's gAMA and cHRM chunks, whose order is white, red, green, blue.

    Values near sRGB's are sRGB: 1/2.2 is how PNG writes it. So are those that no picture can have.
    """
    primaries, transfer = BT709, SRGB.transfer
    if gamma and 0.2 <= gamma <= 1.5 and abs(gamma * 2.2 - 1) > 0.05:
        transfer = 1 / gamma
    if chromaticities and len(chromaticities) == 8:
        wx, wy, rx, ry, gx, gy, bx, by = chromaticities
        told = (rx, ry, gx, gy, bx, by, wx, wy)
        area = abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry)) / 2
        possible = area > 0.02 and min(wx, wy, ry, gy, by) > 0.001 and max(told) <= 1
        if possible and np.abs(np.subtract(told, BT709)).max() > 0.005:
            primaries = told
    return ColourSpace(primaries, transfer)


def to_srgb(
    rgb: DeepRgb, space: ColourSpace, peak: float | None = None, *, video: bool = False
) -> Rgb:
    """RGB uint8 (H, W, 3) in sRGB; out of gamut is clipped.

    `peak` is the brightest light that an HDR picture shall keep, in reference whites; by default
    the picture's own (`peak_of`).

    HDR `video` gets the numbers that the same camera gives in SDR, which are taken for sRGB as they
    are: HLG's system gamma works on R, G and B each, as SDR's does (BT.2390-11, 6.5; BT.2408-8,
    5.1.4), and light is coded for SDR video's display. Stills have no such custom; see
    HDR_STILLS_GAMMA.
    """
    light = linear(rgb, space, video=video)
    if space.hdr:
        _tone_map(light, peak_of(rgb, space, video=video) if peak is None else peak)
    np.clip(light, 0, 1, out=light)
    gamma = (VIDEO_GAMMA if video else HDR_STILLS_GAMMA) if space.hdr else None
    codes = _codes(gamma)
    return np.asarray(codes[np.rint(light * 65535).astype(np.uint16)], np.uint8)


def linear(rgb: DeepRgb, space: ColourSpace, *, video: bool = False) -> Floats:
    """Light as displayed, float32 (H, W, 3) in BT.709's primaries; 1 is (reference) white.

    `video` as in `to_srgb`.
    """
    if space.transfer == "hlg":
        light = _displayed_hlg(rgb, 1.0 if video else HLG_STILLS_BY_CHANNEL)
    else:
        light = _light_of_codes(space.transfer, rgb.dtype.str)[rgb]
    if space.primaries != BT709:
        light = np.asarray(cv2.transform(light, _to_bt709(space.primaries)), np.float32)
    return light


def _displayed_hlg(rgb: DeepRgb, by_channel: float) -> Floats:
    """HLG as its nominal display shows it, in reference whites: BT.2100-2, table 5, EOTF.

    The system gamma works on each channel where `by_channel` is 1, and on luminance where it is 0.
    """
    scene = _light_of_codes("hlg", rgb.dtype.str)
    light = (scene ** (1 + (HLG_GAMMA - 1) * by_channel) * (HLG_PEAK_NITS / WHITE_NITS))[rgb]
    if by_channel < 1:
        luma = np.rint(cv2.transform(scene[rgb], BT2020_LUMA) * 65535).astype(np.uint16)
        levels = np.maximum(np.linspace(0, 1, 65536), 1e-6)
        gains = levels ** ((HLG_GAMMA - 1) * (1 - by_channel))
        light *= gains.astype(np.float32)[luma][..., None]
    return np.asarray(light, np.float32)


def peak_of(rgb: DeepRgb, space: ColourSpace, *, video: bool = False) -> float:
    """The brightest light of a picture, in reference whites, but for glints; at least 1."""
    brightest = linear(rgb[::PEAK_STRIDE, ::PEAK_STRIDE], space, video=video).max(axis=2)
    return max(1.0, float(np.percentile(brightest, PEAK_PERCENTILE)))


def _tone_map(light: Floats, peak: float) -> None:
    """Rolls light (H, W, 3) from `peak` off to 1, in place."""
    peak = round(peak, 2)
    if peak <= 1:
        return
    # By channels: NumPy's maximum over a short last axis is many times slower.
    brightest = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
    steps = np.clip(brightest * np.float32((GAINS - 1) / peak), 0, GAINS - 1)
    light *= _gains(peak)[np.rint(steps).astype(np.uint16)][..., None]


@lru_cache(4)
def _gains(peak: float) -> Floats:
    """Factor for each of GAINS levels of light from 0 to `peak`: BT.2390's EETF."""
    levels = np.linspace(0, peak, GAINS)
    source = _pq_code(np.array(peak * WHITE_NITS))
    code = _pq_code(levels * WHITE_NITS) / source
    most = _pq_code(np.array(WHITE_NITS)) / source
    knee = 1.5 * most - 0.5
    t = np.clip((code - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    mapped = _pq_light(np.where(code < knee, code, spline) * source) / WHITE_NITS
    gains = np.ones(GAINS)
    np.divide(mapped, levels, out=gains, where=code >= knee)
    return gains.astype(np.float32)


@lru_cache(8)
def _light_of_codes(transfer: Transfer, dtype: str) -> Floats:
    """Light of each code of an integer type, in (reference) whites; of HLG the scene's, 0 to 1."""
    code = np.linspace(0, 1, np.iinfo(dtype).max + 1)
    if transfer == "srgb":  # IEC 61966-2-1
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    elif transfer == "pq":
        light = _pq_light(code) / WHITE_NITS
    elif transfer == "hlg":  # BT.2100-2, table 5: inverse OETF
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    else:
        light = code ** float(transfer)
    return light.astype(np.float32)


@lru_cache(3)
def _codes(gamma: float | None) -> Rgb:
    """Codes of 65536 levels of light from 0 to 1, by a display's gamma or else by sRGB's curve."""
    light = np.linspace(0, 1, 65536)
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    if gamma is not None:
        code = light ** (1 / gamma)
    return np.asarray(np.rint(code * 255), np.uint8)


# SMPTE ST 2084, as BT.2100-2, table 4.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_light(code: Doubles) -> Doubles:
    """Nits of PQ codes 0 to 1."""
    root = np.maximum(code, 0) ** (1 / _M2)
    return PQ_PEAK_NITS * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1)


def _pq_code(nits: Doubles) -> Doubles:
    root = (nits / PQ_PEAK_NITS) ** _M1
    return ((_C1 + _C2 * root) / (1 + _C3 * root)) ** _M2


@lru_cache(8)
def _to_bt709(primaries: Chromaticities) -> Doubles:
    """Matrix (3, 3) from linear RGB of these primaries to BT.709's, white to white."""
    return np.linalg.inv(_to_xyz(BT709)) @ _adapted(primaries[6:], D65) @ _to_xyz(primaries)


def _to_xyz(primaries: Chromaticities) -> Doubles:
    """Matrix (3, 3) from linear RGB to XYZ (SMPTE RP 177)."""
    columns = np.stack([_xyz(*primaries[i : i + 2]) for i in (0, 2, 4)], axis=1)
    return columns * np.linalg.solve(columns, _xyz(*primaries[6:]))


def _xyz(x: float, y: float) -> Doubles:
    return np.array([x / y, 1, (1 - x - y) / y])


def _adapted(white: tuple[float, ...], to: tuple[float, float]) -> Doubles:
    """Matrix (3, 3) on XYZ that takes one white to another."""
    gains = (BRADFORD @ _xyz(*to)) / (BRADFORD @ _xyz(*white))
    return np.asarray(np.linalg.inv(BRADFORD) @ (gains[:, None] * BRADFORD))
