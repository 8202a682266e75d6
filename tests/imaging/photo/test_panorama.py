"""Panoramas are told from ordinary photos of their shape, and points keep their place on them."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from okla_assets.imaging.photo import panorama
from okla_assets.imaging.photo.decode import DecodeLimits, decode
from okla_assets.imaging.types import Rgb
from tests import spheres

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
    'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
    'GPano:ProjectionType="equirectangular" {more}/></x:xmpmeta>'
)


def jpeg(picture: Rgb, xmp: str = "") -> bytes:
    out = BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=90, xmp=xmp.encode())
    return out.getvalue()


def notes(data: bytes) -> tuple[str, ...]:
    return decode(data, DecodeLimits(), 512).notes


def test_a_panorama_is_recognised_by_what_it_shows_and_kept_larger() -> None:
    photo = decode(jpeg(spheres.cabin(2048)), DecodeLimits(), 512)
    assert "equirectangular" in photo.notes
    assert photo.rgb.shape == (512, 1024, 3)
    assert (photo.width, photo.height) == (2048, 1024)


def test_a_panorama_is_recognised_by_what_its_file_says() -> None:
    turned = np.roll(spheres.street(), 1, axis=0)  # whatever it shows
    assert "equirectangular" not in notes(jpeg(turned))
    assert "equirectangular" in notes(jpeg(turned, XMP.format(more="")))
    part = 'GPano:FullPanoWidthPixels="4096" GPano:CroppedAreaImageWidthPixels="1024"'
    assert "equirectangular" not in notes(jpeg(turned, XMP.format(more=part)))


def test_a_name_alone_makes_no_panorama_of_another_shape() -> None:
    wide = cv2.resize(spheres.cabin(), (1500, 512))
    assert "equirectangular" not in notes(jpeg(np.asarray(wide, np.uint8), XMP.format(more="")))


@pytest.mark.parametrize(
    "picture",
    [
        spheres.street(),
        spheres.studio(),
        np.full((512, 1024, 3), 240, np.uint8),
        np.ascontiguousarray(spheres.cabin(1024)[:, ::-1][:, 100:][:462, :924]),
    ],
    ids=["a street", "a studio alike on both sides", "blank", "a part of a panorama"],
)
def test_an_ordinary_photo_twice_as_wide_as_high_is_none(picture: Rgb) -> None:
    photo = decode(jpeg(picture), DecodeLimits(), 512)
    assert "equirectangular" not in photo.notes
    assert photo.rgb.shape[1] == 512


@pytest.mark.parametrize("yaw", [0, 45, 170, 315])
def test_a_point_of_a_view_is_found_again_on_the_panorama(yaw: int) -> None:
    """A red spot, seen in a view, lies on the panorama where the view's geometry says."""
    sphere = np.zeros((512, 1024, 3), np.uint8)
    column = round((yaw / 360 + 0.5) * 1024 + 30) % 1024
    cv2.circle(sphere, (column, 300), 3, (255, 0, 0), -1)
    seen = panorama.view(sphere, yaw, 0, 75, (400, 400))
    rows, columns = np.nonzero(seen[..., 0] > 128)
    middle = np.array([[columns.mean() + 0.5, rows.mean() + 0.5]])
    found = panorama.on_sphere(middle, yaw, 0, 75, (400, 400), (1024, 512))[0]
    assert found[0] % 1024 == pytest.approx(column + 0.5, abs=1)
    assert found[1] == pytest.approx(300.5, abs=1)


def test_what_crosses_the_seam_lies_on_both_sides() -> None:
    corners = np.array([[1010, 10], [1040, 10], [1040, 30], [1010, 30]], float)
    parts = panorama.within(corners, 1024)
    assert sorted(panorama.box_of(part) for part in parts) == [(0, 10, 16, 20), (1010, 10, 14, 20)]
    assert len(panorama.within(corners - [500, 0], 1024)) == 1
