"""What comes out of made clips: which frames, when, which way up; and what is refused."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from okla_assets.imaging.photo import codec
from okla_assets.imaging.photo.decode import turn_upright
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.turn import video
from okla_assets.imaging.turn.video import VideoLimits, read_moments
from tests import clips, colours
from tests.imaging.photo.test_colour import colourful

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
        ("a.3gp", "libx264"),
        ("a.ts", "libx264"),
        ("a.mts", "libx264"),
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


@pytest.mark.parametrize(("name", "codec_name"), [("a.wmv", "wmv2"), ("a.mpg", "mpeg2video")])
def test_what_older_cameras_write_is_read(tmp_path: Path, name: str, codec_name: str) -> None:
    positions = list(range(0, 150, 5))
    pictures = (clips.square(p) for p in positions)
    moments = read_moments(
        clips.write(tmp_path / name, pictures, codec=codec_name, rate=25), LIMITS
    )
    assert len(moments) >= 26  # WMV's and MPEG's clocks may join two
    assert places(moments)[0] <= 8
    assert places(moments)[-1] >= 135


def test_of_an_interlaced_picture_one_field_is_taken(tmp_path: Path) -> None:
    # Grey, because colour has half the lines: the bar has moved from one field to the next.
    woven = np.full((240, 320, 3), 60, np.uint8)
    woven[::2, 40:120] = 220
    woven[1::2, 160:240] = 220
    options = {"x264-params": "tff=1", "crf": "10"}
    path = clips.write(tmp_path / "a.mts", [woven] * 10, codec_options=options)
    for moment in read_moments(path, LIMITS):
        found = codec.decode_trusted(moment.jpeg).astype(int)
        assert found.shape == woven.shape
        assert found[20:220, 50:110].min() > 200
        assert found[20:220, 170:230].max() < 80


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_display_matrix_gives_upright_frames(tmp_path: Path, orientation: int) -> None:
    upright = clips.square(0)
    upright[:60, :80] = (20, 60, 220)
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    stored = turn_upright(upright, inverse)
    path = clips.displayed(clips.write(tmp_path / "a.mp4", [stored] * 8), orientation)
    found = codec.decode_trusted(read_moments(path, LIMITS)[0].jpeg)
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright.astype(int)).mean() < 12  # noise in little bitrate
    assert np.abs(found.astype(int) - upright.astype(int))[::, :80].mean() < 12


@pytest.mark.parametrize("first", [False, True])
def test_a_cover_picture_is_not_the_film(tmp_path: Path, first: bool) -> None:
    positions = list(range(0, 150, 10))
    path = clips.write(
        tmp_path / "a.mp4", [clips.square(p) for p in positions], cover="first" if first else "last"
    )
    moments = read_moments(path, LIMITS)
    assert len(moments) == 15
    assert np.abs(np.subtract(places(moments), positions)).max() <= 3


def test_sound_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = clips.sound_only(tmp_path / "a.mp4", cover=True)
    with pytest.raises(Refused, match="not_a_video"):
        read_moments(path, LIMITS)


SPACES: list[tuple[colours.Gamut, colours.Curve]] = [
    ("bt2020", "hlg"), ("bt2020", "pq"), ("p3", "hlg"), ("p3", "pq"),
    ("bt2020", "bt709"), ("p3", "bt709"), ("bt709", "bt709"), ("bt709", "hlg"),
]  # fmt: skip


@pytest.mark.parametrize(("gamut", "curve"), SPACES)
@pytest.mark.parametrize("container", ["a.mov", "a.mkv"])
def test_films_of_any_space_have_the_colours_that_were_filmed(
    tmp_path: Path, gamut: colours.Gamut, curve: colours.Curve, container: str
) -> None:
    truth = colourful()
    deep = colours.filmed(truth, gamut, curve)
    moments = read_moments(colours.film(tmp_path / container, [deep] * 8, gamut, curve), LIMITS)
    for moment in moments:
        assert colours.delta_e(codec.decode_trusted(moment.jpeg), truth) < 3


def test_colours_that_only_the_file_tells_count(tmp_path: Path) -> None:
    truth = colourful()
    deep = colours.filmed(truth, "bt2020", "hlg")
    source = colours.film(tmp_path / "a.mov", [deep] * 8, "bt2020", "hlg")
    path = colours.told_by_file_alone(tmp_path / "b.mov", source)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).color_primaries == 2  # unspecified
    for moment in read_moments(path, LIMITS):
        assert colours.delta_e(codec.decode_trusted(moment.jpeg), truth) < 3


def test_a_glint_on_one_frame_does_not_make_it_darker(tmp_path: Path) -> None:
    plain = colours.filmed(colourful(), "bt2020", "pq")
    glint = plain.copy()
    glint[:60, :200] = 55000  # some thousand nits
    path = colours.film(tmp_path / "a.mov", [plain] * 8 + [glint] + [plain] * 8, "bt2020", "pq")
    shown = [codec.decode_trusted(m.jpeg)[100:].mean() for m in read_moments(path, LIMITS)]
    assert max(shown) - min(shown) < 4


@pytest.mark.testdata
def test_reported_videos_show_the_film_in_its_colours(testdata: Path) -> None:
    """Both are of one walk: one in HLG, one in sRGB behind a cover picture."""
    with av.open(str(testdata / "reports" / "cover_first.mp4")) as file:
        film = next(stream for stream in file.streams.video if stream.frames > 1)
        truth = [frame.to_ndarray(format="rgb24") for frame in file.decode(film)]
    for name in ("hlg_walkaround.mov", "cover_first.mp4"):
        moments = read_moments(testdata / "reports" / name, LIMITS)
        assert len(moments) == len(truth)
        for moment, expected in list(zip(moments, truth, strict=True))[::6]:
            shown = codec.decode_trusted(moment.jpeg)
            assert colours.delta_e(shown, np.asarray(expected, np.uint8)) < 3


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


def test_the_declared_duration_changes_no_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MOST_SLOTS", 20)
    path = clips.write(tmp_path / "a.mp4", (clips.square(i) for i in range(100)), rate=25)
    believed, last = video._sharpest(path, LIMITS, believed=True)
    alone, _ = video._sharpest(path, LIMITS, believed=False)
    assert believed.length == alone.length > video.FIRST_SLOT
    assert round(last, 2) == 3.96
    assert believed.moments() == alone.moments()


def test_a_duration_that_is_declared_far_too_long_costs_no_moment(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.avi", (clips.square(i) for i in range(100)), codec="mpeg4")

    def lie(data: bytes) -> bytes:
        frames = data.index(b"strh") + 8 + 32
        return data[:frames] + (2500).to_bytes(4, "little") + data[frames + 4 :]

    clips.patched(path, lie)
    slots, last = video._sharpest(path, LIMITS, believed=True)
    assert slots.length > 0.5
    assert last < 10
    assert len(read_moments(path, LIMITS)) == 100


@pytest.mark.parametrize(
    ("stored", "turned", "shape"),
    [
        ((240, 320), 0, (120, 160, 3)),
        ((640, 360), 0, (240, 135, 3)),
        ((360, 640), 90, (240, 135, 3)),
        ((240, 320), 270, (213, 160, 3)),
    ],
)
def test_a_large_picture_is_made_smaller_and_a_car_is_as_wide_in_an_upright_one(
    tmp_path: Path, stored: tuple[int, int], turned: int, shape: tuple[int, int, int]
) -> None:
    picture = codec.resize(clips.square(0), stored[1], stored[0])
    path = clips.write(tmp_path / "a.mp4", [picture] * 8)
    if turned:
        clips.turned(path, turned)
    (moment, *_) = read_moments(path, VideoLimits(side=160, shortest=0.5))
    assert codec.decode_trusted(moment.jpeg).shape == shape


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


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("left", [0.3, 0.8, 0.97])
def test_a_recording_that_lost_its_index_was_cut_off(
    tmp_path: Path, name: str, left: float
) -> None:
    path = clips.write(tmp_path / name, [clips.square(i) for i in range(30)])
    clips.patched(path, lambda data: data[: int(len(data) * left)])  # the index is at the end
    with pytest.raises(Refused, match="recording was cut off") as refused:
        read_moments(path, LIMITS)
    assert refused.value.reason == "truncated"


def test_a_recorder_that_died_leaves_a_box_without_length(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", [clips.square(i) for i in range(30)])

    def died(data: bytes) -> bytes:
        at = data.index(b"mdat") - 4
        return data[:at] + bytes(4) + data[at + 4 : data.index(b"moov") - 4]

    with pytest.raises(Refused, match="recording was cut off"):
        read_moments(clips.patched(path, died), LIMITS)


def test_the_little_that_an_interrupted_upload_left_was_cut_off(tmp_path: Path) -> None:
    # The index stands first, so that some frames can be read.
    pictures = [np.roll(clips.square(0), 7 * i, axis=0) for i in range(100)]
    path = clips.write(tmp_path / "a.mp4", pictures, options={"movflags": "faststart"})
    clips.patched(path, lambda data: data[: len(data) // 2])
    assert read_moments(path, LIMITS)
    with pytest.raises(Refused, match="recording was cut off: only") as refused:
        read_moments(path, VideoLimits(shortest=8))
    assert refused.value.reason == "truncated"


@pytest.mark.parametrize("file_format", ["JPEG", "AVIF", "HEIF"])
def test_a_photo_is_called_a_photo(tmp_path: Path, file_format: str) -> None:
    path = tmp_path / "a.mp4"
    if file_format == "HEIF":
        deep = colours.coded(clips.square(0), "bt2020", "pq")
        path.write_bytes(colours.heic(deep, "bt2020", "pq"))
    else:
        Image.fromarray(clips.square(0)).save(path, file_format)
    with pytest.raises(Refused, match="is a photo") as refused:
        read_moments(path, LIMITS)
    assert refused.value.reason == "not_a_video"


def test_a_broken_video_that_is_complete_was_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x0cmoov\0\0\0\0")
    with pytest.raises(Refused) as refused:
        read_moments(path, LIMITS)
    assert refused.value.reason in ("not_a_video", "corrupt")


MARKS = (
    "com.apple.quicktime.content.identifier",
    "com.apple.quicktime.still-image-time",
)


@pytest.mark.parametrize("mark", MARKS)
def test_the_clip_of_a_live_photo_is_recognised(tmp_path: Path, mark: str) -> None:
    pictures = [clips.square(i) for i in range(30)]
    path = clips.write(tmp_path / "IMG_1.MOV", pictures, metadata={mark: "8A0BD6B1"})
    with pytest.raises(Refused, match="Live Photo") as refused:
        read_moments(path, LIMITS)
    assert refused.value.reason == "live_photo"


def test_an_ordinary_video_of_an_iphone_is_none(tmp_path: Path) -> None:
    pictures = [clips.square(i) for i in range(150)]
    long = clips.write(tmp_path / "a.mov", pictures, metadata={MARKS[0]: "8A0BD6B1"})
    assert read_moments(long, LIMITS)[-1].time > 14
    make = {"com.apple.quicktime.make": "Apple"}
    assert read_moments(clips.write(tmp_path / "b.mov", pictures[:30], metadata=make), LIMITS)


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
