"""Reads an untrusted video in one pass: few sharp moments, kept small.

Nothing that the file declares (frame count, duration, frame rate) is trusted: what counts is the
frames that come out of the decoder. They fall into slots of equal length, of which each
keeps its sharpest frame; when there are too many slots, neighbours are joined. So a video of any
length ends as MOST_SLOTS / 2 to MOST_SLOTS moments, and no more than that is ever in memory.

Pictures are RGB uint8 (H, W, 3), upright.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation

from okla_assets.imaging.photo.codec import encode_jpeg
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.types import Pixels, Rgb

MOST_SLOTS = 288
FIRST_SLOT = 1 / 24  # seconds
KEPT_QUALITY = 97  # of the JPEG that a moment waits in; its frame is encoded once more
SHARPNESS_SIDE = 640  # pixels: where sharpness is measured, so that sensor noise does not count
NOMINAL_STEP = 1 / 30  # seconds, where the file gives frames no time
LONGEST_STEP = 2.0  # seconds between frames; more is a broken clock, not a slow camera
MOST_STRETCH = 4.0  # of pixels that are not square
MOST_FAULTS = 50  # packets that cannot be decoded, before the rest of the file is given up
HD_HEIGHT = 720  # from here on, untagged video is BT.709: what players assume

UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"
CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4"}) | frozenset(
    {"mpeg2video", "msmpeg4v3", "h263", "mjpeg", "prores"}
)
"""What is read at all: each of ffmpeg's other parsers is attack surface and nothing phones film."""


@dataclass(frozen=True)
class VideoLimits:
    """What a video may be; `side` is the longest side of the moments, in pixels."""

    side: int = 1280
    most_pixels: int = 36_000_000
    shortest: float = 1.0
    longest: float = 300.0
    threads: int = 2


@dataclass(frozen=True)
class Moment:
    """One frame of the video: seconds from its first frame, sharpness (higher is sharper), and the
    upright picture at working size as JPEG."""

    time: float
    sharpness: float
    jpeg: bytes


def read_moments(path: Path, limits: VideoLimits) -> list[Moment]:
    """Sharp moments all through the video, in order.

    Audio is not touched. What cannot be decoded is skipped; a file that ends early counts as far as
    it goes. Raises Refused: empty_file, not_a_video, unsupported_format, too_many_pixels,
    too_small, corrupt, too_short, too_long.
    """
    if path.stat().st_size == 0:
        raise Refused("empty_file", "The file is empty; upload it again.")
    slots = _Slots(limits)
    last = 0.0
    for time, frame, pixel_aspect in _frames(path, limits):
        if time > limits.longest:
            raise Refused(
                "too_long",
                f"The video is longer than {limits.longest:.0f} seconds; upload only the walk "
                "around the car.",
            )
        slots.add(time, frame, pixel_aspect)
        last = time
    moments = slots.moments()
    if not moments:
        raise Refused("corrupt", "The video holds no picture that can be read; film it again.")
    if last < limits.shortest:
        raise Refused(
            "too_short",
            f"The video lasts {last:.1f} seconds; walk once around the car.",
        )
    return moments


def _frames(path: Path, limits: VideoLimits) -> Iterator[tuple[float, VideoFrame, float]]:
    """Every frame that can be decoded, its time on a clock that only goes forward, and the width
    of its pixels in heights."""
    try:
        container = av.open(
            str(path),
            # A playlist that calls itself .mp4 could name any file or address.
            container_options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError):
        raise Refused(
            "not_a_video", "The file is no video that can be read; upload MP4 or MOV."
        ) from None
    with container:
        if not container.streams.video:
            raise Refused("not_a_video", "The file holds no picture, only sound or data.")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None or context.name not in CODECS:
            raise Refused(
                "unsupported_format",
                "The video is in a format that is not read; upload it as H.264 or HEVC in MP4.",
            )
        _check_size(context.width, context.height, limits)
        stream.thread_type = "AUTO"
        context.thread_count = limits.threads
        clock = _Clock(float(stream.average_rate or 0))
        for frame in _decoded(container, stream):
            _check_size(frame.width, frame.height, limits)  # may change within a stream
            yield clock.at(frame.time), frame, float(stream.sample_aspect_ratio or 1)


def _decoded(container: Any, stream: Any) -> Iterator[VideoFrame]:
    """Frames of all packets, up to MOST_FAULTS of which may be damaged."""
    faults = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:  # the container ends here, whatever its index has
            return
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            faults += 1
            if faults > MOST_FAULTS:
                return


class _Clock:
    """Seconds since the first frame, from timestamps that may be missing, jump or run backwards."""

    def __init__(self, rate: float) -> None:
        self._nominal = 1 / rate if 1 <= rate <= 1000 else NOMINAL_STEP
        self._stamp: float | None = None
        self._now: float | None = None

    def at(self, stamp: float | None) -> float:
        """The time of the next frame, whose timestamp is `stamp` seconds."""
        if self._now is None:
            self._now = 0.0
        else:
            step = self._nominal
            if stamp is not None and self._stamp is not None:
                step = stamp - self._stamp
            if not 0 < step <= LONGEST_STEP:
                step = self._nominal
            self._now += step
        self._stamp = stamp
        return self._now


class _Slots:
    """The sharpest frame of each slot so far."""

    def __init__(self, limits: VideoLimits) -> None:
        self._side = limits.side
        self._length = FIRST_SLOT
        self._kept: dict[int, Moment] = {}
        self._slot = -1
        self._best: tuple[float, float, Rgb] | None = None

    def add(self, time: float, frame: VideoFrame, pixel_aspect: float) -> None:
        """Keeps the frame where it is the sharpest of its slot."""
        if int(time / self._length) != self._slot:
            self._close()
            self._slot = int(time / self._length)
        sharp = sharpness(_luma(frame))
        if self._best is None or sharp > self._best[1]:
            self._best = time, sharp, picture_of(frame, self._side, pixel_aspect)

    def moments(self) -> list[Moment]:
        self._close()
        return list(self._kept.values())

    def _close(self) -> None:
        if self._best is None:
            return
        time, sharp, picture = self._best
        self._best = None
        self._keep(Moment(time, sharp, encode_jpeg(picture, KEPT_QUALITY)))
        while len(self._kept) > MOST_SLOTS:
            self._length *= 2
            moments, self._kept = self._kept.values(), {}
            for moment in moments:
                self._keep(moment)

    def _keep(self, moment: Moment) -> None:
        slot = int(moment.time / self._length)
        known = self._kept.get(slot)
        if known is None or moment.sharpness > known.sharpness:
            self._kept[slot] = moment


def sharpness(grey: Pixels) -> float:
    """Mean square of the Laplacian over the middle of a grey picture (H, W).

    The middle three quarters: that is where the car is, and corners of phone lenses are soft.
    """
    height, width = grey.shape
    middle = grey[height // 8 : height - height // 8, width // 8 : width - width // 8]
    return float(np.square(cv2.Laplacian(middle, cv2.CV_32F)).mean())


def _luma(frame: VideoFrame) -> Pixels:
    scale = min(1.0, SHARPNESS_SIDE / max(frame.width, frame.height))
    small = frame.reformat(
        width=max(8, round(frame.width * scale)),
        height=max(8, round(frame.height * scale)),
        format="gray",
        interpolation=Interpolation.FAST_BILINEAR,
        threads=1,
    )
    return np.asarray(small.to_ndarray(), np.uint8)


def picture_of(frame: VideoFrame, side: int, pixel_aspect: float = 1.0) -> Rgb:
    """The frame upright, with square pixels, its longest side at most `side`.

    `pixel_aspect` is the width of the file's pixels in heights.
    """
    stretch = pixel_aspect if 1 / MOST_STRETCH <= pixel_aspect <= MOST_STRETCH else 1.0
    width, height = frame.width * stretch, float(frame.height)
    scale = min(1.0, side / max(width, height))
    assumed = Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601
    small = frame.reformat(
        width=max(2, round(width * scale)),
        height=max(2, round(height * scale)),
        format="rgb24",
        src_colorspace=assumed if frame.colorspace == UNTAGGED else None,
        interpolation=Interpolation.AREA if scale < 1 else Interpolation.BICUBIC,
        threads=1,
    )
    turned = np.rot90(small.to_ndarray(), round(frame.rotation / 90) % 4)
    return np.ascontiguousarray(turned, np.uint8)


def _check_size(width: int, height: int, limits: VideoLimits) -> None:
    if width * height > limits.most_pixels:
        raise Refused(
            "too_many_pixels",
            f"The video's pictures have {width} x {height} pixels; film in 4K or less.",
        )
    # 0: not in the container, but in the frames.
    if 0 < min(width, height) < 200:
        raise Refused(
            "too_small", f"The video's pictures have only {width} x {height} pixels; film in HD."
        )
