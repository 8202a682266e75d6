"""Reads an untrusted video in one pass: few sharp moments, kept small.

Nothing that the file declares (frame count, duration, frame rate) is trusted: what counts is the
frames that come out of the decoder. They fall into slots of equal length, of which each
keeps its sharpest frame; when there are too many slots, neighbours are joined. So a video of any
length ends as MOST_SLOTS / 2 to MOST_SLOTS moments, and no more than that is ever in memory. The
duration that it declares only saves work: slots begin as long as they will end, and a file that
declares far too much is read once more.

Pictures are RGB uint8 (H, W, 3), upright, in sRGB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from okla_assets.imaging.photo.codec import encode_jpeg
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.photo.signatures import HEAD_BYTES, media_kind
from okla_assets.imaging.turn.container import is_cut_off, is_live_photo, live_photo
from okla_assets.imaging.turn.developer import Developer, Film, one_field
from okla_assets.imaging.types import Pixels

MOST_SLOTS = 288
FIRST_SLOT = 1 / 24  # seconds
FEWER = 0.45  # of MOST_SLOTS: a film that fills so few has declared too long a duration
KEPT_QUALITY = 97  # of the JPEG that a moment waits in; its frame is encoded once more
SHARPNESS_SIDE = 640  # pixels: where sharpness is measured, so that sensor noise does not count
NOMINAL_STEP = 1 / 30  # seconds, where the file gives frames no time
LONGEST_STEP = 2.0  # seconds between frames; more is a broken clock, not a slow camera
MOST_FAULTS = 50  # packets that cannot be decoded, before the rest of the file is given up

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf"
CODECS = frozenset(
    {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "prores"}
) | frozenset(
    {"mpeg1video", "mpeg2video", "msmpeg4v3", "h263", "mjpeg", "wmv1", "wmv2", "wmv3", "vc1"}
)
"""What is read at all: each of ffmpeg's other parsers is attack surface and nothing phones film."""


TALLEST = 1.5  # heights of an upright picture to the width that any may have: 1080 x 1920


@dataclass(frozen=True)
class VideoLimits:
    """What a video may be; `side` is the most width of the moments in pixels: a car is as wide in a
    film of a phone that is held upright. Those are at most `longest_side` high."""

    side: int = 1280
    most_pixels: int = 36_000_000
    shortest: float = 1.0
    longest: float = 300.0
    threads: int = 2

    @property
    def longest_side(self) -> int:
        """Of any picture, in pixels."""
        return round(TALLEST * self.side)


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
    it goes. Raises Refused: empty_file, not_a_video, live_photo, unsupported_format, truncated,
    too_many_pixels, too_small, corrupt, too_short, too_long.
    """
    if path.stat().st_size == 0:
        raise Refused("empty_file", "The file is empty; upload it again.")
    with path.open("rb") as file:
        if media_kind(file.read(HEAD_BYTES)) == "photo":
            raise Refused(
                "not_a_video", "This file is a photo, not a video; upload it among the photos."
            )
    if is_live_photo(path):
        raise live_photo()
    slots, last = _sharpest(path, limits, believed=True)
    if slots.length > FIRST_SLOT and last < FEWER * MOST_SLOTS * slots.length:
        slots, last = _sharpest(path, limits, believed=False)
    moments = slots.moments()
    if not moments and is_cut_off(path):
        raise cut_off("nothing of it can be read")
    if not moments:
        raise Refused("corrupt", "The video holds no picture that can be read; film it again.")
    if last < limits.shortest and is_cut_off(path):
        raise cut_off(f"only {last:.1f} seconds of it can be read")
    if last < limits.shortest:
        raise Refused(
            "too_short",
            f"The video lasts {last:.1f} seconds; walk once around the car.",
        )
    return moments


def _sharpest(path: Path, limits: VideoLimits, *, believed: bool) -> tuple[_Slots, float]:
    """The film in slots, and its last frame's time; the declared duration may be `believed`."""
    slots = _Slots(limits, believed)
    last = 0.0
    for time, frame, film in _frames(path, limits):
        if time > limits.longest:
            raise Refused(
                "too_long",
                f"The video is longer than {limits.longest:.0f} seconds; upload only the walk "
                "around the car.",
            )
        slots.add(time, frame, film)
        last = time
    return slots, last


def cut_off(left: str) -> Refused:
    """The refusal of a file that ends too early; `left` says what there is of it."""
    return Refused(
        "truncated",
        f"The recording was cut off: {left}. Upload the file again, or film once more if the phone "
        "cannot play it either.",
    )


def _frames(path: Path, limits: VideoLimits) -> Iterator[tuple[float, VideoFrame, Film]]:
    """Every frame that can be decoded, and its time on a clock that only goes forward."""
    try:
        container = av.open(
            f"file:{path}",  # else `a:b.mp4` is an address
            # A playlist that calls itself .mp4 could name any file or address.
            container_options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError):
        if is_cut_off(path):
            raise cut_off("its index is missing") from None
        raise Refused(
            "not_a_video", "The file is no video that can be read; upload MP4 or MOV."
        ) from None
    with container:
        stream = _film_stream(container.streams.video)
        if stream is None:
            raise Refused("not_a_video", "The file holds no film, only sound, data or a cover.")
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
        seconds = float((stream.duration or 0) * (stream.time_base or 0))
        film = Film(
            seconds or float((container.duration or 0) / av.time_base),
            float(stream.sample_aspect_ratio or 1),
            int(context.color_primaries),
            int(context.color_trc),
            int(context.colorspace),
        )
        for frame in _decoded(container, stream):
            _check_size(frame.width, frame.height, limits)  # may change within a stream
            yield clock.at(frame.time), frame, film


def _film_stream(streams: Sequence[VideoStream]) -> VideoStream | None:
    """The longest that is no cover picture, thumbnail or single frame; None where there is none."""
    films = [
        stream
        for stream in streams
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    return max(
        films,
        key=lambda s: (s.frames != 1, float((s.duration or 0) * (s.time_base or 0))),
        default=None,
    )


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

    def __init__(self, limits: VideoLimits, believed: bool) -> None:
        self.length = FIRST_SLOT
        self._kept: dict[int, Moment] = {}
        self._slot = -1
        self._best: tuple[float, float, VideoFrame, Film] | None = None
        self._developer = Developer(limits.side, limits.longest_side)
        self._believed, self._longest = believed, limits.longest

    def add(self, time: float, frame: VideoFrame, film: Film) -> None:
        """Keeps the frame where it is the sharpest of its slot."""
        while self._believed and min(film.seconds, self._longest) > MOST_SLOTS * self.length:
            self.length *= 2
        if int(time / self.length) != self._slot:
            self._close()
            self._slot = int(time / self.length)
        sharp = sharpness(_luma(frame))
        if self._best is None or sharp > self._best[1]:
            self._best = time, sharp, frame, film

    def moments(self) -> list[Moment]:
        self._close()
        return list(self._kept.values())

    def _close(self) -> None:
        if self._best is None:
            return
        time, sharp, frame, film = self._best
        self._best = None
        picture = self._developer.picture_of(frame, film)
        self._keep(Moment(time, sharp, encode_jpeg(picture, KEPT_QUALITY)))
        while len(self._kept) > MOST_SLOTS:
            self.length *= 2
            moments, self._kept = self._kept.values(), {}
            for moment in moments:
                self._keep(moment)

    def _keep(self, moment: Moment) -> None:
        slot = int(moment.time / self.length)
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
        height=frame.height if frame.interlaced_frame else max(8, round(frame.height * scale)),
        format="gray",
        interpolation=Interpolation.FAST_BILINEAR,
        threads=1,
    )
    grey = np.asarray(small.to_ndarray(), np.uint8)
    return one_field(grey) if frame.interlaced_frame else grey


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
