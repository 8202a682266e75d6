"""A panorama of the cabin through the whole pipeline: its own kind, without plates and faces."""

import cv2
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.imaging.photo import codec
from okla_assets.imaging.types import Rgb
from tests import pictures, spheres
from tests.fakes import VEHICLE, Pipeline, skin, yellow


def cabin() -> Rgb:
    """A cabin with a plate to the right of the middle and one on the seam, and somebody's face."""
    sphere = spheres.cabin(2048)
    plate = pictures.plated_car(0)[156:172, 140:200]  # as painted there
    rolled = np.roll(sphere, 1024, axis=1)
    for picture, left in ((sphere, 1200), (rolled, 1000)):
        picture[540:572, left : left + 120] = cv2.resize(plate, (120, 32))
        if picture is rolled:
            sphere = np.roll(rolled, 1024, axis=1)
            sphere[540:572, 1200:1320] = cv2.resize(plate, (120, 32))
    person = pictures.with_face(np.full((270, 360, 3), 90, np.uint8))[5:65, 10:60]
    sphere[470:530, 600:650] = person
    return sphere


def dark(picture: Rgb) -> int:
    """Pixels of eyes and mouth where the face is."""
    return int((picture[470:530, 600:650].max(axis=2) < 60).sum())


@pytest.mark.slow
def test_a_panorama_is_listed_as_one_and_shows_no_plate_and_no_face(pipeline: Pipeline) -> None:
    uploaded = cabin()
    assert yellow(uploaded).sum() > 4000
    assert skin(uploaded).sum() > 500
    pipeline.upload(
        {
            "1.jpg": pictures.jpeg(pictures.car(1)),
            "2.jpg": pictures.jpeg(pictures.cabin(2)),
            "R0010021.jpg": pictures.jpeg(uploaded, quality=95),
        }
    )
    outcome = pipeline.run()
    assert outcome.success
    first, second, sphere = outcome.listing.photos
    assert [p.projection for p in (first, second, sphere)] == [None, None, "equirectangular"]
    assert (sphere.category, sphere.angle, sphere.vehicle_box) == ("interior", None, None)
    assert sphere.faces_blurred >= 1
    assert sphere.processed_size == (2048, 1024)  # wider than max_width, as a screen shows a part
    assert [size.width for size in sphere.sizes] == [2016, 2048]
    # Flat pictures of it are no pictures for a listing.
    assert outcome.listing.order == (1, 2)
    assert all(3 not in verdict.accepted for verdict in outcome.listing.channels.values())
    for key in sphere.files:
        shown = codec.decode_trusted(pipeline.store.get(key))
        assert yellow(shown).sum() == 0, key
    assert dark(uploaded) > 50
    assert sphere.processed_key is not None
    assert dark(codec.decode_trusted(pipeline.store.get(sphere.processed_key))) == 0
    page = pipeline.store.get(keys.gallery(VEHICLE)).decode()
    assert "<okla-panorama" in page
    assert pipeline.store.stat(keys.panorama_script(VEHICLE)) is not None
    assert page.index("<okla-panorama") < page.index('class="part exterior"')
