"""Videos are read by a process that may hang or crash; nobody else does."""

import subprocess
import sys
from pathlib import Path

import pytest

from okla_assets.imaging.photo.refusals import Refused
from resources.decoding import video_reader
from resources.decoding.video_reader import VideoReader
from resources.decoding.worker_process import WorkerProcess
from resources.errors import BrokenSetup
from tests import clips


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return clips.write(tmp_path / "a.mp4", [clips.square(5 * i) for i in range(20)])


def test_moments_and_their_pictures_come_over(clip: Path) -> None:
    with VideoReader().open(clip, 160) as video:
        assert [round(m.time, 1) for m in video.moments] == [i / 10 for i in range(20)]
        assert video.picture(0).shape == (120, 160, 3)
        assert (video.picture(19) != video.picture(0)).any()


def test_the_pictures_of_an_upright_phone_come_over(clip: Path) -> None:
    with VideoReader().open(clips.turned(clip, 90), 240) as video:
        assert video.picture(0).shape == (320, 240, 3)


def test_a_reader_that_dies_later_is_a_refusal_too(clip: Path) -> None:
    with VideoReader().open(clip, 160) as video:
        assert isinstance(video, WorkerProcess)
        video.process.kill()
        with pytest.raises(Refused, match="decoder_crashed"):
            video.picture(0)


def test_a_refusal_comes_over(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"not at all")
    with pytest.raises(Refused, match="not_a_video"), VideoReader().open(path, 640):
        pass


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hang", "decode_timeout"),
        (b"abort", "decoder_crashed"),
        (b"raise", "decoder_crashed"),
        (b"greedy", "too_many_pixels"),
    ],
)
def test_a_video_that_breaks_its_reader_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.setattr(video_reader, "READ_FUNCTION", "tests.resources.readers:behaving")
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with (
        pytest.raises(Refused) as refused,
        VideoReader(timeout_seconds=3, memory_mb=512).open(path, 640),
    ):
        pass
    assert refused.value.reason == reason
    assert refused.value.detail.endswith(".")


def test_a_file_beyond_the_limit_is_not_even_opened(clip: Path) -> None:
    with pytest.raises(Refused, match="file_too_large"), VideoReader(max_bytes=100).open(clip, 9):
        pass


def test_a_reader_that_cannot_start_is_a_broken_setup(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_reader, "READ_FUNCTION", "tests.resources.readers:missing")
    with pytest.raises(BrokenSetup, match="the video reader does not start"):
        VideoReader().open(clip, 640).__enter__()


def test_the_code_server_imports_no_decoder_for_it() -> None:
    module = "resources.decoding.video_reader"
    program = f"import sys, {module}; print({{'cv2', 'av', 'numpy'}} & {{*sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "cv2" not in done.stdout
    assert "av" not in done.stdout
