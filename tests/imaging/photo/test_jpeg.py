"""Damage that libjpeg does not tell of, and kinds of JPEG that phones do not write."""

import re
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from okla_assets.imaging.photo.decode import DecodedPhoto, DecodeLimits, decode
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.types import Pixels
from tests.imaging.photo.test_decode import saved
from tests.imaging.scenes import noisy, off_by, picture

RESTART = re.compile(rb"\xff([\xd0-\xd7])")


def read(data: bytes, working_side: int = 2016) -> DecodedPhoto:
    return decode(data, DecodeLimits(), working_side)


def intervals(data: bytes) -> tuple[bytes, list[bytes], list[bytes], bytes]:
    """A baseline JPEG cut at its restart markers: header, data, markers, end."""
    start = data.index(b"\xff\xda") + 14
    end = data.index(b"\xff\xd9", start)
    parts = RESTART.split(data[start:end])
    return data[:start], parts[::2], [b"\xff" + m for m in parts[1::2]], data[end:]


def joined(head: bytes, parts: list[bytes], markers: list[bytes], end: bytes) -> bytes:
    between = [part + marker for part, marker in zip(parts, [*markers, b""], strict=True)]
    return head + b"".join(between) + end


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("blocks", [1, 7, 80])
def test_restart_markers_in_order_are_sound(
    progressive: bool, subsampling: int, blocks: int
) -> None:
    data = saved(
        Image.fromarray(noisy(333, 500)), "JPEG", quality=90, progressive=progressive,
        subsampling=subsampling, restart_marker_blocks=blocks,
    )  # fmt: skip
    assert RESTART.search(data)
    assert read(data).notes == ()


def test_lost_repeated_and_exchanged_restart_intervals_are_damage() -> None:
    data = saved(Image.fromarray(noisy()), "JPEG", quality=90, restart_marker_blocks=40)
    head, parts, markers, end = intervals(data)
    assert len(markers) > 10
    assert joined(head, parts, markers, end) == data
    for i in (0, 4, 9):
        lost = joined(head, parts[:i] + parts[i + 1 :], markers[:i] + markers[i + 1 :], end)
        repeated = joined(
            head, [*parts[:i], parts[i], *parts[i:]], [*markers[:i], markers[i], *markers[i:]], end
        )
        others = [*markers]
        others[i], others[i + 1] = others[i + 1], others[i]
        exchanged = joined(head, parts, others, end)
        unmarked = joined(
            head,
            [*parts[:i], parts[i] + parts[i + 1], *parts[i + 2 :]],
            markers[:i] + markers[i + 1 :],
            end,
        )
        for damaged in (lost, repeated, exchanged, unmarked):
            assert "damaged_data" in read(damaged).notes


def test_eight_lost_intervals_leave_the_order_but_not_the_count() -> None:
    data = saved(Image.fromarray(noisy()), "JPEG", quality=90, restart_marker_blocks=20)
    head, parts, markers, end = intervals(data)
    lost = joined(head, parts[:4] + parts[12:], markers[:4] + markers[12:], end)
    assert "damaged_data" in read(lost).notes


def test_a_component_without_samples_is_damage_with_restart_intervals_too() -> None:
    data = saved(Image.fromarray(noisy()), "JPEG", quality=90, restart_marker_blocks=40)
    frame = data.index(b"\xff\xc0")
    factors = frame + 11  # of the first component: marker, length, bits, sides, count, its id
    assert data[factors] == 0x22
    for given in (b"\x00", b"\x20", b"\x02"):
        with pytest.raises(Refused, match="corrupt"):
            read(data[:factors] + given + data[factors + 1 :])


def test_restart_markers_that_nobody_announced_are_damage() -> None:
    data = saved(Image.fromarray(noisy()), "JPEG", quality=90)
    middle = data.index(b"\x00", data.index(b"\xff\xda") + 3000)
    assert "damaged_data" in read(data[:middle] + b"\xff\xd3" + data[middle:]).notes


def test_one_restart_marker_more_at_the_end_is_sound() -> None:
    data = saved(Image.fromarray(noisy()), "JPEG", quality=90, restart_marker_blocks=400)
    _, _, markers, _ = intervals(data)
    assert read(data[:-2] + bytes([0xFF, 0xD0 + len(markers) % 8]) + b"\xff\xd9").notes == ()


@pytest.mark.testdata
def test_the_reported_lost_interval_is_damage(testdata: Path) -> None:
    data = (testdata / "reports" / "restart_interval_lost.jpg").read_bytes()
    assert read(data).notes == ("damaged_data",)


def lossless(rgb: Pixels) -> bytes:
    """A lossless JPEG (ITU-T T.81, annex H): predictor 1, one Huffman table of 5-bit codes."""
    head = b"\xff\xd8" + segment(
        0xC4, b"\x00" + bytes([0] * 4 + [17] + [0] * 11) + bytes(range(17))
    )
    height, width = rgb.shape[:2]
    parts = b"".join(bytes([i, 0x11, 0]) for i in (1, 2, 3))
    head += segment(0xC3, struct.pack(">BHHB", 8, height, width, 3) + parts)
    head += segment(0xDA, b"\x03\x01\x00\x02\x00\x03\x00" + b"\x01\x00\x00")
    wide = rgb.astype(int)
    left = np.roll(wide, 1, axis=1)
    left[:, 0] = np.roll(wide[:, 0], 1, axis=0)
    left[0, 0] = 128
    bits = []
    for difference in (wide - left).reshape(-1).tolist():
        size = abs(difference).bit_length()
        bits.append(f"{size:05b}")
        if size:
            extra = difference if difference > 0 else difference + (1 << size) - 1
            bits.append(f"{extra:0{size}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    return head + scan + b"\xff\xd9"


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def test_a_lossless_jpeg_is_read_and_reduced() -> None:
    rgb = noisy(240, 320)
    photo = read(lossless(rgb))
    assert photo.notes == ()
    assert photo.rgb.shape == (240, 320, 3)
    small = read(lossless(rgb), 80)
    assert (small.width, small.height) == (320, 240)
    assert small.rgb.shape == (60, 80, 3)
    plain = read(saved(Image.fromarray(photo.rgb), "PNG"), 80)
    assert off_by(small.rgb, plain.rgb) < 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d, at: d[: at + 4] + b"\x0c" + d[at + 5 :], "12 bits"),
        (lambda d, at: d[: at + 1] + b"\xc5" + d[at + 2 :], "hierarchical"),
    ],
)
def test_a_jpeg_of_a_kind_that_is_not_read_is_refused_as_such(
    change: Callable[[bytes, int], bytes], told: str
) -> None:
    data = saved(Image.fromarray(picture()), "JPEG")
    with pytest.raises(Refused, match=told) as caught:
        read(change(data, data.index(b"\xff\xc0")))
    assert caught.value.reason == "unsupported_format"


def test_the_main_picture_of_a_jpeg_with_a_gain_map_behind_it_is_taken() -> None:
    base, gains = Image.fromarray(picture()), Image.new("L", (160, 120), 90)
    photo = read(
        saved(base, "MPO", quality=92, save_all=True, append_images=[gains.convert("RGB")])
    )
    assert photo.rgb.shape == (240, 320, 3)
    assert photo.notes == ()
    assert off_by(photo.rgb, picture()) < 3
    out = BytesIO()
    base.save(out, "JPEG", quality=92)
    gains.save(out, "JPEG")
    assert off_by(read(out.getvalue()).rgb, picture()) < 3
