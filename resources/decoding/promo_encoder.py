"""ffmpeg for the promo: frames in, an MP4 that every browser plays out; and the music's samples.

The program comes with the package `imageio-ffmpeg`. It runs as its own process, so that a broken
music file cannot crash this one, and so that encoding goes on while frames are drawn.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import dagster as dg
from pydantic import Field

from resources.errors import BadInput, BrokenSetup

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MUSIC_SECONDS = 60
"""How long reading a music file may take."""
PEAK = 0.84
"""Peak of the music's samples (-1.5 dB): AAC overshoots a little."""
MOST_BYTES = 200 * 2**20
PIPE_BYTES = 2**20
X264 = "mbtree=1:rc-lookahead=10:cpu-independent=1"
"""Look-ahead halves the file for a tenth of the time: on the promo's calm pictures that and
superfast give veryfast's size and quality at three fifths of its seconds. cpu-independent: without
it x264 takes other short cuts on other processors."""
COLOURS = (
    *("-color_range", "tv", "-colorspace", "bt709"),
    *("-color_primaries", "bt709", "-color_trc", "bt709"),
)
LONGEST_SECONDS = 60
"""Of a music file, at most this is read."""

Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast",
    "medium", "slow", "slower", "veryslow", "placebo",
]  # fmt: skip


@dataclass(frozen=True)
class Music:
    """Samples (N, 2) at 48 kHz in [-1, 1], and the gain that brings them to their loudness."""

    samples: "npt.NDArray[np.float32]"
    gain_db: float


class PromoEncoder(dg.ConfigurableResource):  # type: ignore[type-arg]
    """H.264 High, 4:2:0, video range, BT.709, moov first; the same frames give the same bytes.

    `short_side`, even, and `fps` are those of the clip; `crf` and `preset` are x264's. The number
    of threads is part of what x264 writes, so it is set here and not by the machine.
    """

    short_side: int = Field(default=1080, ge=90, le=2160, multiple_of=2)
    fps: int = Field(default=30, ge=1, le=60)
    crf: int = Field(default=20, ge=1, le=51)  # 0 is lossless, which High is not
    preset: Preset = "superfast"
    threads: int = Field(default=4, ge=1, le=64)

    def fingerprint(self) -> str:
        """Identifies everything that decides the file but the frames."""
        from importlib.metadata import version

        settings = (self.short_side, self.fps, self.crf, self.preset, self.threads)
        return f"ffmpeg {version('imageio-ffmpeg')} {settings}"

    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Width and height of the wide and of the upright clip."""
        long_side = round(self.short_side * 16 / 9 / 2) * 2
        return (long_side, self.short_side), (self.short_side, long_side)

    def encode(
        self,
        frames: "Iterator[npt.NDArray[np.uint8]]",
        count: int,
        size: tuple[int, int],
        path: Path,
        music: Music | None = None,
    ) -> None:
        """Writes the clip. Frames are planar YUV 4:2:0 (H * 3 / 2, W) in video range; `count` says
        how many there are, for engines that have to know it before the first."""
        with _samples_file(music) as sound:
            command = [_ffmpeg(), *self._arguments(size, music, sound), _file(path)]
            with tempfile.TemporaryFile() as errors:
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
                )
                assert process.stdin is not None
                try:
                    _widen(process.stdin)
                    _feed(process.stdin, frames)
                except BaseException:
                    process.kill()
                    raise
                finally:
                    process.wait()
                if process.returncode:
                    errors.seek(0)
                    message = errors.read()[-2000:].decode(errors="replace").strip()
                    raise BrokenSetup(f"ffmpeg could not write the promo video: {message}")

    def _arguments(
        self, size: tuple[int, int], music: Music | None, sound: Path | None
    ) -> list[str]:
        shape = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size[0]}x{size[1]}"]
        arguments = ["-nostdin", "-v", "error", "-y", *shape, *COLOURS, "-r", str(self.fps)]
        arguments += ["-i", "pipe:0"]
        if music is not None and sound is not None:
            arguments += ["-f", "f32le", "-ar", "48000", "-ac", "2", "-i", _file(sound)]
            level = f"volume={music.gain_db:.3f}dB,alimiter=limit={PEAK}:level=disabled:attack=3"
            arguments += ["-af", level, "-c:a", "aac", "-b:a", "160k", "-ar", "48000"]
        arguments += ["-map", "0:v:0", *(["-map", "1:a:0", "-shortest"] if music else [])]
        arguments += ["-c:v", "libx264", "-preset", self.preset, "-crf", str(self.crf)]
        arguments += ["-profile:v", "high", "-pix_fmt", "yuv420p", *COLOURS]
        arguments += ["-g", str(2 * self.fps), "-threads", str(self.threads)]
        arguments += ["-x264-params", X264]
        exact = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
        return [*arguments, *exact, "-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4"]

    def read_music(self, path: Path) -> "npt.NDArray[np.float32]":
        """Samples (N, 2) at 48 kHz of any file ffmpeg reads; raises BadInput where it holds none.

        Only the file itself is read: a playlist that names others, or addresses, is refused.
        """
        import numpy as np

        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"it is larger than {MOST_BYTES >> 20} MB")
        command = [
            *(_ffmpeg(), "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"),
            *("-format_whitelist", "mp3,ogg,wav,flac,aac,mov,matroska,aiff,w64,caf,asf"),
            *("-t", str(LONGEST_SECONDS), "-i", _file(path), "-map", "0:a:0"),
            *("-ar", "48000", "-ac", "2", "-f", "f32le", "pipe:1"),
        ]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=MUSIC_SECONDS)
        except subprocess.TimeoutExpired:
            raise BadInput(f"it could not be read within {MUSIC_SECONDS} seconds") from None
        samples = np.frombuffer(done.stdout[: len(done.stdout) // 8 * 8], "<f4").reshape(-1, 2)
        if not len(samples) or not np.isfinite(samples).all():
            raise BadInput("it holds no sound that can be read")
        return samples

    def loudness(self, samples: "npt.NDArray[np.float32]") -> float:
        """Integrated loudness in LUFS (EBU R 128), as ffmpeg's ebur128 measures it."""
        command = [_ffmpeg(), "-hide_banner", "-nostats", "-f", "f32le", "-ar", "48000"]
        command += ["-ac", "2", "-i", "pipe:0", "-af", "ebur128=framelog=quiet", "-f", "null", "-"]
        done = subprocess.run(
            command, input=samples.astype("<f4").tobytes(), capture_output=True, check=False,
            timeout=MUSIC_SECONDS,
        )  # fmt: skip
        output = done.stderr.decode(errors="replace")
        found = re.findall(r"I:\s+(-?[\d.]+|-inf|nan) LUFS", output)
        if done.returncode or not found:
            raise BrokenSetup(f"ffmpeg could not measure loudness: {output[-500:]}")
        value = float(found[-1])
        return value if value == value else float("-inf")


def _ffmpeg() -> str:
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise BrokenSetup(f"no ffmpeg: {error}") from None


def _file(path: Path) -> str:
    """A path as ffmpeg takes it as one: else `a:b.mp3` is an address and `-b.mp3` an option."""
    return f"file:{path}"


@contextmanager
def _samples_file(music: Music | None) -> Iterator[Path | None]:
    if music is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="okla-promo-") as folder:
        path = Path(folder) / "music.f32"
        path.write_bytes(music.samples.astype("<f4").tobytes())
        yield path


def _widen(pipe: IO[bytes]) -> None:
    """A frame is 3 MB: through a pipe of 64 KB it costs fifty changes of process."""
    try:
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (ImportError, AttributeError, OSError):  # only Linux has it, and it may be forbidden
        return


def _feed(pipe: IO[bytes], frames: "Iterator[npt.NDArray[np.uint8]]") -> None:
    """Writes the frames; where ffmpeg has ended early, its own message is raised."""
    try:
        with pipe:
            for frame in frames:
                pipe.write(frame.data)
    except BrokenPipeError:
        return
