"""The clips as files: what a browser and a phone need of them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.promo.audio import LOUDNESS, RATE, arrange
from resources.decoding.promo_encoder import Music, PromoEncoder, _ffmpeg
from resources.errors import BadInput, BrokenSetup

ENCODER = PromoEncoder(short_side=180)
SIZE = (320, 180)
COUNT = 45


def frames(count: int = COUNT) -> Iterator[npt.NDArray[np.uint8]]:
    """A grey ramp that moves."""
    ramp = np.linspace(16, 235, 320).astype(np.uint8)
    for i in range(count):
        frame = np.full((270, 320), 128, np.uint8)
        frame[:180] = np.roll(ramp, 2 * i)
        yield frame


def song(seconds: float = 4.0, level: float = 0.03) -> npt.NDArray[np.float32]:
    """A chord that swells: quiet, and no constant tone."""
    t = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330)) * (1 + 0.5 * np.sin(3 * t))
    return (level * np.repeat(np.asarray(wave)[:, None], 2, axis=1)).astype(np.float32)


def wav(path: Path, samples: npt.NDArray[np.float32]) -> Path:
    command = [
        _ffmpeg(),
        "-v",
        "error",
        "-f",
        "f32le",
        "-ar",
        str(RATE),
        "-ac",
        "2",
        "-i",
        "pipe:0",
    ]
    subprocess.run([*command, str(path)], input=samples.tobytes(), check=True)
    return path


def said_of(path: Path, *arguments: str) -> str:
    """What ffmpeg says of a file."""
    command = [_ffmpeg(), "-hide_banner", "-i", str(path), *arguments, "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def boxes(data: bytes) -> list[str]:
    """The names of an MP4's top-level boxes, in order."""
    names, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        names.append(data[at + 4 : at + 8].decode())
        at += length
    return names


def test_the_file_is_what_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    ENCODER.encode(frames(), COUNT, SIZE, path)
    said = said_of(path)
    video = next(line for line in said.splitlines() if "Video: h264" in line)
    assert "h264 (High)" in video
    assert "yuv420p(tv, bt709" in video
    assert "320x180" in video and " 30 fps" in video
    assert "Duration: 00:00:01.50" in said
    assert "Audio:" not in said
    names = boxes(path.read_bytes())
    assert names.index("moov") < names.index("mdat")


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    music = Music(arrange(song(), 1.5), 3.0)
    for name in ("a", "b"):
        ENCODER.encode(frames(), COUNT, SIZE, tmp_path / name, music)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("level", [0.003, 0.03, 0.3])
def test_music_is_brought_to_its_loudness(tmp_path: Path, level: float) -> None:
    read = ENCODER.read_music(wav(tmp_path / "song.wav", song(3, level)))
    samples = arrange(read, 6.0)  # looped
    gain = LOUDNESS - ENCODER.loudness(samples)
    path = tmp_path / "clip.mp4"
    ENCODER.encode(frames(180), 180, SIZE, path, Music(samples, gain))
    said = said_of(path, "-af", "ebur128=peak=true:framelog=quiet")
    loudness = float(re.findall(r"I:\s+(-?[\d.]+) LUFS", said)[-1])
    peak = float(re.findall(r"Peak:\s+(-?[\d.]+) dBFS", said)[-1])
    assert -18 < loudness < -14
    assert peak < 0
    assert "Audio: aac" in said


def test_what_is_no_music_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "song.mp3"
    bad.write_bytes(b"this is not music " * 100)
    with pytest.raises(BadInput, match="no sound"):
        ENCODER.read_music(bad)


def test_a_playlist_may_not_name_other_files(tmp_path: Path) -> None:
    wav(tmp_path / "private.wav", song())
    for name, text in (
        ("a.m3u8", f"#EXTM3U\n#EXTINF:4,\n{tmp_path}/private.wav\n"),
        ("b.txt", f"ffconcat version 1.0\nfile {tmp_path}/private.wav\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(BadInput):
            ENCODER.read_music(tmp_path / name)


def test_silence_has_no_loudness() -> None:
    assert ENCODER.loudness(np.zeros((RATE, 2), np.float32)) < -60


def test_a_clip_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(BrokenSetup, match="No such file or directory"):
        ENCODER.encode(frames(), COUNT, SIZE, tmp_path / "missing" / "clip.mp4")
