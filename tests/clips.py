"""Small made video clips: a bright square that walks over a grey street, encoded by PyAV."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from okla_assets.imaging.types import Box
from resources.models.base import View
from tests.fakes import FakeViews
from tests.pictures import jpeg

Pixels = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 320, 240
CLOCK = 1000  # ticks a second


def square(position: int, blurred: bool = False) -> Pixels:
    """A picture (240, 320, 3) whose square stands at `position`; `blurred` has no fine detail."""
    rng = np.random.default_rng(3)
    picture = np.repeat(rng.integers(80, 160, (HEIGHT, WIDTH, 1), np.uint8), 3, axis=2)
    if blurred:
        picture[:] = 120
    picture[100:160, 20 + position : 80 + position] = (230, 60, 20)
    return picture


def turning_car(azimuth: float, plate: bool = False) -> Pixels:
    """A car (240, 320, 3) that `TurningViews` sees from `azimuth`; its plate is `pictures`' own."""
    rng = np.random.default_rng(int(azimuth % 360))
    picture = np.repeat(rng.integers(90, 150, (HEIGHT // 8, WIDTH // 8, 1), np.uint8), 3, axis=2)
    picture = picture.repeat(8, axis=0).repeat(8, axis=1)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    half = 60 + 50 * abs(np.sin(np.radians(azimuth)))
    inside = ((columns - 160) / half) ** 2 + ((rows - 140) / 50) ** 2 <= 1
    picture[inside] = (235, 90, 10)
    if plate:
        picture[150:162, 140:180] = (240, 230, 20)
        picture[152:160, 144:176:4] = 30
    picture[:40, :40] = round(40 + azimuth % 360 / 2)
    return picture


def turn(
    path: Path,
    azimuths: Sequence[float],
    plate: bool = False,
    rate: int = 10,
    *,
    options: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A walk along these azimuths, a frame each."""
    shown = (turning_car(a, plate) for a in azimuths)
    return write(path, shown, rate=rate, options=options, metadata=metadata)


class TurningViews(FakeViews):
    """Reads the azimuth that `turning_car` paints into a corner."""

    def classify(self, photos: Sequence[Pixels], boxes: Sequence[Box | None]) -> list[View]:
        self.asked += len(photos)
        return [
            View("misc", 0.8)
            if box is None
            else View(
                "exterior", 0.95, "side", 0.9, "left",
                float(2 * (photo[4:36, 4:36].mean() - 40) % 360),
            )
            for photo, box in zip(photos, boxes, strict=True)
        ]  # fmt: skip


def write(
    path: Path,
    pictures: Sequence[Pixels] | Iterator[Pixels],
    *,
    codec: str = "libx264",
    rate: int = 10,
    times: Sequence[int] | None = None,
    audio: bool = False,
    options: Mapping[str, str] | None = None,
    codec_options: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    cover: Literal["first", "last"] | None = None,
) -> Path:
    """Writes the pictures; `times` in ticks of 1/CLOCK s make the frame rate vary.

    `metadata` become QuickTime's keys; a `cover` picture is a stream before or after the film.
    """
    flags = {"movflags": "use_metadata_tags"} if metadata else {}
    # Otherwise x264 takes short cuts whose bytes differ from run to run.
    same = {"x264-params": "cpu-independent=1", "crf": "18"} if codec == "libx264" else {}
    with av.open(str(path), "w", options=flags | dict(options or {})) as container:
        container.metadata.update(metadata or {})
        picture_first = _cover(container) if cover == "first" else None
        stream = container.add_stream(
            codec, rate=CLOCK if times else rate, options=same | dict(codec_options or {})
        )
        assert isinstance(stream, av.VideoStream)
        pictures = iter(pictures)
        begin = next(pictures)
        stream.height, stream.width = begin.shape[:2]
        stream.pix_fmt = "yuv420p"
        covered = _cover(container) if cover == "last" else picture_first
        if times:
            stream.time_base = Fraction(1, CLOCK)
            stream.codec_context.time_base = Fraction(1, CLOCK)
        sound = container.add_stream("aac", rate=44100) if audio else None
        if covered is not None:
            container.mux(covered)
        for i, picture in enumerate(chain([begin], pictures)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, CLOCK)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _silence(container, sound)
    return path


def sound_only(path: Path, *, cover: bool = False) -> Path:
    """A file with nothing to see, or a cover picture at most."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44100)
        if cover:
            container.mux(_cover(container))
        _silence(container, sound)
    return path


def _cover(container: "av.container.OutputContainer") -> "av.Packet[av.stream.Stream]":
    """The only packet of a new stream that is a cover picture."""
    stream = container.add_stream("mjpeg", rate=1)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = 200, 200, "yuvj420p"
    stream.disposition = Disposition.attached_pic
    packet = av.Packet(jpeg(np.full((200, 200, 3), 200, np.uint8)))
    packet.stream, packet.pts, packet.dts = stream, 0, 0
    return packet


def _silence(container: "av.container.OutputContainer", stream: "av.AudioStream") -> None:
    for _ in range(20):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def turned(path: Path, degrees: int) -> Path:
    """The same MP4 whose header says that players turn it clockwise by 90, 180 or 270 degrees."""
    one, none = 1 << 16, 0
    rows = {
        90: (none, one, -one, none),
        180: (-one, none, none, -one),
        270: (none, -one, one, none),
    }
    a, b, c, d = rows[degrees]
    return _with_matrix(path, a, b, c, d)


def displayed(path: Path, orientation: int) -> Path:
    """The same MP4 whose header says how players turn and mirror it, numbered as in EXIF."""
    one = 1 << 16
    signs = {
        1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
        5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
    }  # fmt: skip
    a, b, c, d = (one * sign for sign in signs[orientation])
    return _with_matrix(path, a, b, c, d)


def _with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    assert data[header] == 0, "a version 0 track header"
    data[header + 40 : header + 76] = matrix
    path.write_bytes(bytes(data))
    return path


def patched(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """The same file with other bytes."""
    path.write_bytes(change(path.read_bytes()))
    return path
