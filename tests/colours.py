"""sRGB pictures coded as other cameras would: HLG, PQ, BT.2020, P3. The way back is what is tested.

Written from the standards' forward formulae, in double precision, with no line of `colour.py`.
"""

from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
from av.bitstream import BitStreamFilterContext

from okla_assets.imaging.types import Pixels

Deep = npt.NDArray[np.uint16]
Curve = Literal["srgb", "bt709", "pq", "hlg"]
Gamut = Literal["bt709", "bt2020", "p3"]

PRIMARIES = {"bt709": 1, "bt2020": 9, "p3": 12}
TRANSFERS = {"srgb": 13, "bt709": 1, "pq": 16, "hlg": 18}
MATRICES = {"bt709": 1, "bt2020": 9, "p3": 1}

# From linear BT.709: ITU-R BT.2087-0, and SMPTE EG 432-1 for P3.
FROM_BT709 = {
    "bt709": np.eye(3),
    "bt2020": np.array(
        [
            [0.627404, 0.329283, 0.043313],
            [0.069097, 0.919540, 0.011362],
            [0.016391, 0.088013, 0.895595],
        ]
    ),
    "p3": np.array(
        [[0.822462, 0.177538, 0.0], [0.033194, 0.966806, 0.0], [0.017083, 0.072397, 0.91052]]
    ),
}  # fmt: skip


def coded(
    srgb: Pixels,
    gamut: Gamut,
    curve: Curve,
    white: float = 203.0,
    *,
    bt1886: bool = False,
    by_channel: bool = False,
) -> Deep:
    """The same colours in another space, over all of 16 bits; sRGB's white is at `white` nits.

    HDR is made of what a display with BT.1886's gamma shows, or else with sRGB's curve; HLG's
    system gamma works on each channel, or else on luminance. Video converters do both (`filmed`).
    """
    code = srgb / 255
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    if bt1886 and curve in ("pq", "hlg"):
        light = code**2.4
    light = light @ FROM_BT709[gamut].T
    if curve == "pq":
        y = (light * white / 10000) ** 0.1593017578125
        out = ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375
    elif curve == "hlg":
        display = light * white / 1000
        luma = np.maximum(display @ (0.2627, 0.678, 0.0593), 1e-12)[..., None]
        steered = np.maximum(display, 1e-12) if by_channel else luma
        scene = display * steered ** ((1 - 1.2) / 1.2)
        with np.errstate(invalid="ignore", divide="ignore"):
            high = 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073
        out = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    else:
        # A display shows BT.709's curve as it shows sRGB's.
        out = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(np.clip(out, 0, 1) * 65535), np.uint16)


def filmed(srgb: Pixels, gamut: Gamut, curve: Curve) -> Deep:
    """The colours as a video converter codes them."""
    return coded(srgb, gamut, curve, bt1886=True, by_channel=True)


def delta_e(a: Pixels, b: Pixels) -> float:
    """Mean CIE 1976 difference of two sRGB pictures."""
    lab = [cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for p in (a, b)]
    return float(np.linalg.norm(lab[0] - lab[1], axis=2).mean())


def heic(rgb: Deep, gamut: Gamut, curve: Curve, **options: Any) -> bytes:
    """A 10-bit HEIC with an nclx box."""
    out = BytesIO()
    pillow_heif.encode(
        "RGB;16", rgb.shape[1::-1], rgb.tobytes(), out, quality=95, **nclx(gamut, curve), **options
    )
    return out.getvalue()


def nclx(gamut: Gamut, curve: Curve) -> dict[str, int]:
    """The box that names primaries, curve and matrix, as pillow-heif's `save` takes it."""
    return {
        "color_primaries": PRIMARIES[gamut],
        "transfer_characteristics": TRANSFERS[curve],
        "matrix_coefficients": MATRICES[gamut],
        "full_range_flag": 1,
    }


def avif(path: Path, rgb: Deep, gamut: Gamut, curve: Curve) -> bytes:
    """A 10-bit AVIF."""
    return film(path, [rgb], gamut, curve, "libsvtav1", {"crf": "8"}, "avif").read_bytes()


def told_by_file_alone(path: Path, source: Path) -> Path:
    """A film of HEVC whose stream says nothing of its colours, only the file around it."""
    silent = "colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"
    with av.open(str(source)) as before, av.open(str(path), "w") as after:
        stream = before.streams.video[0]
        copy = after.add_stream_from_template(stream)
        strip = BitStreamFilterContext(f"hevc_metadata={silent}", stream, copy)
        for packet in before.demux(stream):
            for stripped in strip.filter(packet if packet.dts is not None else None):
                stripped.stream = copy
                after.mux(stripped)
    return path


def film(
    path: Path,
    pictures: list[Deep],
    gamut: Gamut,
    curve: Curve,
    codec: str = "libx265",
    options: dict[str, str] | None = None,
    container: str | None = None,
) -> Path:
    """A 10-bit video whose stream and file say what its colours are."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=10, options=options or {"crf": "10"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_primaries = PRIMARIES[gamut]
        context.color_trc = TRANSFERS[curve]
        context.colorspace = MATRICES[gamut]
        context.color_range = 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb48le")
            frame = frame.reformat(
                format="yuv420p10le", dst_colorspace=MATRICES[gamut], dst_color_range=1
            )
            frame.color_primaries = PRIMARIES[gamut]
            frame.color_trc = TRANSFERS[curve]
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
