"""What a file is told by its bytes alone: real ones where a library here writes them."""

from pathlib import Path

import pytest
from PIL import Image

from okla_assets.imaging.photo.signatures import HEAD_BYTES, media_kind, raw_head
from tests import clips, pictures
from tests.imaging.photo.test_decode import saved


@pytest.mark.parametrize(
    "file_format", ["JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"]
)
def test_photos_are_told_by_their_bytes(file_format: str) -> None:
    data = saved(Image.fromarray(pictures.car()), file_format)
    assert media_kind(data[:HEAD_BYTES]) == "photo"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx265"),
        ("a.3gp", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.ts", "libx264"),
        ("a.mts", "libx264"),
        ("a.wmv", "wmv2"),
        ("a.mpg", "mpeg2video"),
        ("a.flv", "libx264"),
    ],
)
def test_videos_are_told_by_their_bytes(tmp_path: Path, name: str, codec: str) -> None:
    path = clips.write(tmp_path / name, [clips.square(0)] * 10, codec=codec, rate=25)
    with path.open("rb") as file:
        assert media_kind(file.read(HEAD_BYTES)) == "video"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "photo"),  # .HIF of a camera
        (b"\0\0\0\x18ftypmsf1\0\0\0\0hevcmsf1", "photo"),  # .heics
        (b"\0\0\0\x14ftypcrx \0\0\0\1crx ", "photo"),  # CR3
        (b"FUJIFILMCCD-RAW 0201", "photo"),
        (b"\xff\x0a\xfa\x7f", "photo"),  # JPEG XL
        (b"\0\0\0\x08wide\0\0\x10\0mdat", "video"),  # QuickTime without ftyp
        (b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom", None),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"%PDF-1.7", None),
        (b"PK\x03\x04", None),
        (b"", None),
    ],
)
def test_what_no_library_here_writes(head: bytes, kind: str | None) -> None:
    assert media_kind(head) == kind


@pytest.mark.parametrize(
    "text", [b"G" + b" " * 187 + b"G" + b"." * 900, b"BMW 320d, 2017, 98.000 km"]
)
def test_a_text_that_begins_like_one_is_none(text: bytes) -> None:
    assert media_kind(text) is None


def test_camera_raw_is_named() -> None:
    assert raw_head(b"II*\0\x10\0\0\0CR\2\0") == "CR2"
    assert raw_head(b"\0\0\0\x14ftypcrx \0\0\0\1crx ") == "CR3"
    assert raw_head(b"II*\0\x08\0\0\0\x10\0") is None
