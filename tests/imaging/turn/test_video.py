"""What comes out of made clips: which frames, when, which way up; and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from okla_assets.imaging.photo import codec
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.turn import video
from okla_assets.imaging.turn.video import VideoLimits, read_moments
from tests import clips

LIMITS = VideoLimits(shortest=0.5)


def places(moments: list[video.Moment]) -> list[int]:
    """Where the square stands on each moment."""
    found = []
    for moment in moments:
        picture = codec.decode_trusted(moment.jpeg).astype(int)
        red = picture[..., 0] - picture[..., 2] > 100
        found.append(int(np.median(np.nonzero(red)[1])) - 50)
    return found


@pytest.mark.parametrize(
    ("name", "codec_name"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx265"),
        ("a.webm", "libvpx-vp9"),
        ("a.mkv", "libsvtav1"),
        ("a.avi", "mpeg4"),
    ],
)
def test_what_phones_and_cameras_write_is_read(tmp_path: Path, name: str, codec_name: str) -> None:
    positions = list(range(0, 150, 10))
    path = clips.write(tmp_path / name, (clips.square(p) for p in positions), codec=codec_name)
    moments = read_moments(path, LIMITS)
    assert [round(m.time, 1) for m in moments] == [i / 10 for i in range(15)]
    assert np.abs(np.subtract(places(moments), positions)).max() <= 3


def test_sound_changes_nothing(tmp_path: Path) -> None:
    pictures = [clips.square(10 * i) for i in range(10)]
    quiet = read_moments(clips.write(tmp_path / "quiet.mp4", pictures), LIMITS)
    loud = read_moments(clips.write(tmp_path / "loud.mp4", pictures, audio=True), LIMITS)
    assert [m.time for m in quiet] == [m.time for m in loud]


def test_times_are_those_of_the_frames_not_their_count(tmp_path: Path) -> None:
    times = [0, 100, 200, 900, 1000, 1700]
    path = clips.write(tmp_path / "vfr.mp4", [clips.square(20 * i) for i in range(6)], times=times)
    assert [round(1000 * m.time) for m in read_moments(path, LIMITS)] == times


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_phone_gives_upright_frames(tmp_path: Path, degrees: int) -> None:
    path = clips.write(tmp_path / "a.mp4", [clips.square(0)] * 8)
    level = codec.decode_trusted(read_moments(path, LIMITS)[0].jpeg)
    upright = codec.decode_trusted(read_moments(clips.turned(path, degrees), LIMITS)[0].jpeg)
    expected = np.rot90(level, -degrees // 90)
    assert upright.shape == expected.shape
    assert np.abs(upright.astype(int) - expected.astype(int)).mean() < 3


def test_the_sharpest_frame_of_a_slot_is_kept(tmp_path: Path) -> None:
    # 60 frames a second against slots of 1/24 s: of two or three frames only every fifth is sharp.
    pictures = [clips.square(i, blurred=i % 5 != 0) for i in range(60)]
    moments = read_moments(clips.write(tmp_path / "a.mp4", pictures, rate=60), LIMITS)
    sharp = [m for m in moments if m.sharpness > 100]
    assert len(moments) == 24
    assert len(sharp) == 12  # not one is lost


def test_memory_does_not_grow_with_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MOST_SLOTS", 16)
    pictures = [clips.square(2 * i) for i in range(100)]
    moments = read_moments(clips.write(tmp_path / "a.mp4", pictures), LIMITS)
    assert 8 <= len(moments) <= 16
    slot = video.FIRST_SLOT * 16  # doubled until 16 of them hold 10 seconds
    assert np.diff([m.time for m in moments]).max() < 2 * slot  # evenly over all of it
    assert moments[-1].time > 9


def test_a_large_picture_is_made_smaller(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", [clips.square(0)] * 8)
    (moment, *_) = read_moments(path, VideoLimits(side=160, shortest=0.5))
    assert codec.decode_trusted(moment.jpeg).shape == (120, 160, 3)


def test_a_file_that_ends_early_counts_as_far_as_it_goes(tmp_path: Path) -> None:
    pictures = [np.roll(clips.square(0), 7 * i, axis=0) for i in range(100)]
    path = clips.write(tmp_path / "a.mkv", pictures, codec="mpeg4")
    clips.patched(path, lambda data: data[: len(data) * 9 // 10])
    assert 2 < read_moments(path, LIMITS)[-1].time < 9.8


def test_a_wrong_frame_count_is_not_believed(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.avi", [clips.square(i) for i in range(20)], codec="mpeg4")

    def lie(data: bytes) -> bytes:
        header = data.index(b"avih") + 8
        return data[: header + 16] + (7).to_bytes(4, "little") + data[header + 20 :]

    assert len(read_moments(clips.patched(path, lie), LIMITS)) == 20


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_file"),
        (b"no video at all" * 100, "not_a_video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "not_a_video"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "not_a_video"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        read_moments(path, LIMITS)
    assert refused.value.reason == reason


def test_a_header_without_its_index_is_refused(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", [clips.square(i) for i in range(30)])
    clips.patched(path, lambda data: data[: len(data) // 3])  # the index is at the end
    with pytest.raises(Refused, match="not_a_video"):
        read_moments(path, LIMITS)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="only sound"):
        read_moments(clips.sound_only(tmp_path / "a.mp4"), LIMITS)


def test_a_track_without_frames_is_refused(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.avi", [clips.square(0)], codec="mpeg4")
    # Each frame chunk is called 00dc; under another name it belongs to no stream.
    clips.patched(path, lambda data: data.replace(b"00dc", b"77dc"))
    with pytest.raises(Refused, match="corrupt"):
        read_moments(path, LIMITS)


def test_length_is_bounded_both_ways(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", [clips.square(i) for i in range(30)])
    with pytest.raises(Refused, match=r"too_short: The video lasts 2\.9 seconds"):
        read_moments(path, VideoLimits(shortest=5))
    with pytest.raises(Refused, match="too_long: The video is longer than 2 seconds"):
        read_moments(path, VideoLimits(longest=2))


def test_pixels_are_bounded(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", [clips.square(0)] * 3)
    with pytest.raises(Refused, match="320 x 240"):
        read_moments(path, VideoLimits(most_pixels=320 * 200))
