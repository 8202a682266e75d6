"""Reads uploaded videos with pixels, length, memory and seconds bounded.

As with photos, the decoder runs in a worker process (`worker_process` says why): one a video,
started when the video is opened and gone when it is closed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import dagster as dg

from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.types import Rgb
from resources.decoding.decode_worker import read_header, write_message
from resources.decoding.worker_process import Deadline, WorkerProcess, read_picture, refusal_in

if TYPE_CHECKING:
    from okla_assets.imaging.turn.video import VideoLimits

# By name, and imported by the worker alone: the code server must not import av for it.
READ_FUNCTION = "okla_assets.imaging.turn.video:read_moments"
START_SECONDS = 60.0
PICTURE_SECONDS = 10.0
MOST_MOMENTS = 2000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MomentInfo:
    """One selected moment: seconds from the video's first frame; a higher sharpness is sharper."""

    time: float
    sharpness: float


class OpenVideo(Protocol):
    """A video that has been read once."""

    @property
    def moments(self) -> tuple[MomentInfo, ...]:
        """Its sharp moments, in order."""
        ...

    def picture(self, index: int) -> Rgb:
        """The upright picture of one moment."""
        ...


class VideoReader(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Turns an uploaded video into sharp moments, or refuses it with a reason.

    A file beyond `max_bytes`, `max_pixels` a picture, `longest` or `timeout_seconds` is refused.
    """

    max_bytes: int = 2_000_000_000
    max_pixels: int = 36_000_000
    shortest: float = 1.0
    longest: float = 300.0
    timeout_seconds: float = 300.0
    memory_mb: int = 2048
    threads: int = 2

    def limits(self, side: int) -> "VideoLimits":
        from okla_assets.imaging.turn.video import VideoLimits

        return VideoLimits(side, self.max_pixels, self.shortest, self.longest, self.threads)

    @contextmanager
    def open(self, path: Path, side: int) -> Iterator[OpenVideo]:
        """The video's moments, at most `side` pixels wide (`VideoLimits`).

        Raises Refused as `imaging.turn.video.read_moments` does, and with file_too_large,
        decode_timeout and decoder_crashed.
        """
        if path.stat().st_size > self.max_bytes:
            raise Refused(
                "file_too_large",
                f"The video has more than {self.max_bytes // 1_000_000} MB; film in 1080p.",
            )
        worker = _VideoWorker(self.memory_mb)
        try:
            worker.read(path, self.limits(side), self.timeout_seconds)
            yield worker
        finally:
            worker.stop()


class _VideoWorker(WorkerProcess):
    """The process that has read one video."""

    def __init__(self, memory_mb: int) -> None:
        super().__init__(
            "the video reader",
            "resources.decoding.video_worker",
            (READ_FUNCTION, str(memory_mb)),
            START_SECONDS,
        )
        self._moments: tuple[MomentInfo, ...] = ()
        self._longest_side = 0

    @property
    def moments(self) -> tuple[MomentInfo, ...]:
        return self._moments

    def read(self, path: Path, limits: "VideoLimits", seconds: float) -> None:
        """Decodes the video; raises Refused."""
        request = {"path": str(path.resolve()), "limits": asdict(limits), "seconds": seconds}
        with Deadline(self.process, seconds) as deadline:
            try:
                write_message(self.requests, request)
                answer = read_header(self.answers)
            except BrokenPipeError:
                answer = None
        if deadline.passed:
            raise Refused(
                "decode_timeout",
                f"The video could not be read within {seconds:g} seconds; film a shorter one.",
            )
        if answer is None:
            self._fail()
        if "refused" in answer:
            raise refusal_in(answer)
        found = answer["moments"][:MOST_MOMENTS]
        self._moments = tuple(MomentInfo(float(t), float(s)) for t, s in found)
        self._longest_side = limits.longest_side

    def picture(self, index: int) -> Rgb:
        """The upright picture of one moment; raises Refused where the process has died."""

        with Deadline(self.process, PICTURE_SECONDS):
            try:
                write_message(self.requests, {"picture": index})
                answer = read_header(self.answers)
            except BrokenPipeError:
                answer = None
            if answer is None:
                self._fail()
            rgb = read_picture(self.answers, answer["shape"], self._longest_side)
            if rgb is None:
                self._fail()
        return rgb

    def _fail(self) -> NoReturn:
        self.stop()
        log.warning("video reader ended with %s: %s", self.process.returncode, self.last_words)
        raise Refused(
            "decoder_crashed",
            "The program that reads videos failed on this file; save it again as MP4 (H.264).",
        )
