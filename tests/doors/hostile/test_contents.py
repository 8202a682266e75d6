"""Files that are no photos, or far larger than they look."""

import io
import struct
import zipfile
import zlib

import pytest
import requests

from tests.doors.hostile.asking import refused
from tests.doors.places import PHOTO, VIDEO
from tests.doors.whole import Whole

pytestmark = pytest.mark.slow


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that says that it is so large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", data or zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose frame says that it is so large."""
    at = PHOTO.index(b"\xff\xc0") + 5
    return PHOTO[:at] + struct.pack(">HH", height, width) + PHOTO[at + 4 :]


def tiff(width: int, height: int) -> bytes:
    """A TIFF of one strip that says that it is so large."""
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (278, height))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in (*tags, (279, 9)))
    return b"II*\0" + struct.pack("<IH", 8, 8) + entries + bytes(4) + bytes(1000)


def zipped() -> bytes:
    """A small zip that holds a gigabyte of nothing, as far as its own headers say."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(50 << 20))
    return out.getvalue()


GIF = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0xF7, 0, 0) + bytes(768)
WEBP = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + b"\xff\xff\xff" * 2
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
CONTENTS: dict[str, bytes] = {
    "png of 4 gigapixels": png(65_000, 65_000),
    "png of no size": png(0, 0),
    "png of the largest size": png(2**31 - 1, 2**31 - 1),
    "png that inflates": png(20_000, 20_000, zlib.compress(bytes(60 << 20), 9)),
    "png cut": png(640, 480)[:60],
    "jpeg of 4 gigapixels": jpeg(65_500, 65_500),
    "jpeg of no size": jpeg(0, 0),
    "jpeg cut": PHOTO[:400],
    "jpeg head": b"\xff\xd8\xff\xe0" + bytes(2000),
    "tiff of 4 gigapixels": tiff(65_000, 65_000),
    "tiff that points at itself": b"II*\0" + struct.pack("<IHI", 8, 0, 8) + bytes(500),
    "gif of 4 gigapixels": GIF,
    "webp of the largest size": b"RIFF" + struct.pack("<I", len(WEBP) + 4) + b"WEBP" + WEBP,
    "bmp of 4 gigapixels": b"BM"
    + struct.pack("<IIIIiiHH", 99, 0, 54, 40, 65000, 65000, 1, 24)
    + bytes(200),
    "zip": zipped(),
    "svg": SVG,
    "html": b"<html><script>alert(1)</script></html>",
    "pdf": b"%PDF-1.7\n" + bytes(500),
    "program": b"\x7fELF" + bytes(500),
    "script": b"#!/bin/sh\ntouch /srv/owned\n",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "imagemagick": b"push graphic-context\nfill 'url(https://x/|id)'\npop graphic-context",
    "nothing": b"",
    "one byte": b"\xff",
    "zeros": bytes(5000),
    "video": VIDEO,
}
SENT: dict[str, tuple[str, str]] = {
    "removebg": ("v1.0/removebg", "image_file"),
    "rembg": ("api/remove", "file"),
    "photoroom": ("v1/segment", "image_file"),
}


@pytest.mark.usefixtures("jobs_are_made")
@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("family", SENT)
def test_a_file_that_is_no_photo_is_refused_by_its_content(
    door: Whole, family: str, kind: str
) -> None:
    path, field = SENT[family]
    answer = requests.post(
        f"{door.url}/{path}",
        files={field: ("car.jpg", CONTENTS[kind], "image/jpeg")},
        headers={"X-Api-Key": door.ann.key},
        timeout=60,
    )
    refused(answer, 400, 413, 422)


@pytest.mark.parametrize(
    "kind",
    [k for k in CONTENTS if CONTENTS[k][:2] in (b"", b"PK")]
    + [
        "svg",
        "html",
        "pdf",
        "program",
        "script",
        "zeros",
        "one byte",
        "postscript",
        "imagemagick",
        "video",
    ],
)
def test_an_upload_that_is_no_photo_leaves_nothing(door: Whole, kind: str) -> None:
    answer = door.ann("POST", "vehicles/NEW-2/photos?filename=a.jpg", data=CONTENTS[kind])
    refused(answer, 400, 415)
    assert not list(door.door.store.list("raw/NEW-2/"))


@pytest.mark.usefixtures("jobs_are_made")
@pytest.mark.parametrize("kind", ["svg", "zip", "png cut", "jpeg of 4 gigapixels", "video"])
def test_a_job_of_no_photo_fails_by_name(door: Whole, kind: str) -> None:
    answer = door.ann(
        "POST",
        "ai-process/classify-image",
        files={"file": ("a.jpg", CONTENTS[kind])},
        headers={"Prefer": "wait=60"},
    )
    told = answer.json()
    assert answer.status_code == 200 and told["status"] == "failed", told
    assert told["errorCode"] and told["errorMessage"]


@pytest.mark.usefixtures("jobs_are_made")
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("png of 4 gigapixels", "resolution_too_high"),
        ("jpeg of 4 gigapixels", "resolution_too_high"),
        ("jpeg cut", "failed_to_read_image"),
        ("zip", "invalid_file_type"),
        ("nothing", "invalid_file_type"),
    ],
)
def test_remove_bg_has_a_word_for_it(door: Whole, kind: str, code: str) -> None:
    answer = requests.post(
        f"{door.url}/v1.0/removebg",
        files={"image_file": ("car.jpg", CONTENTS[kind])},
        headers={"X-Api-Key": door.ann.key},
        timeout=60,
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == code
