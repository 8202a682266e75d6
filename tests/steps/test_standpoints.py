"""Where the cameras of a set stood: of the sample's photos, through the step's own records."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.sample import FOLDER
from okla_assets.sample.render import EXTERIORS
from okla_assets.steps.standpoints import Standpoint, standpoints
from okla_assets.tables import Classification, Mask, Photo, PhotoPlates, Quality
from resources.progress import Unwatched
from resources.storage.media_store import LocalMediaStore
from tests.imaging.studio.test_camera import azimuth, matte

VEHICLE = keys.parse_vehicle_id("car")
SHOTS = [shot for shot in EXTERIORS if shot.name in ("IMG_0101", "IMG_0106", "IMG_0110")]


def rows(store: LocalMediaStore) -> list[tuple[Photo, Mask, Classification, PhotoPlates]]:
    """Two quarter views and the rear."""
    made = []
    for number, shot in enumerate(SHOTS, 1):
        key = f"work/mattes/{shot.name}.png"
        if store.stat(key) is None:
            store.put(key, (FOLDER / "mattes" / f"{shot.name}.png").read_bytes(), "image/png")
        picture = f"work/plates/{shot.name}.jpg"
        if store.stat(picture) is None:
            data = (FOLDER / "media" / "photos" / f"{shot.name}.jpg").read_bytes()
            store.put(picture, data, "image/jpeg")
        photo = Photo.model_construct(number=number, source_key=f"raw/car/photos/{shot.name}.jpg")
        mask = Mask.model_construct(
            number=number, status="cut", matte_key=key, digest=f"matte {shot.name}"
        )
        view = Classification.model_construct(
            number=number,
            category="exterior",
            angle="rear" if shot.name == "IMG_0106" else "front-quarter",
            azimuth_deg=azimuth(shot),
            quality=Quality(score=100, issues=()),
        )
        plates = PhotoPlates.model_construct(
            number=number, masked_key=picture, digest=f"plates {shot.name}"
        )
        made.append((photo, mask, view, plates))
    return made


def tilted(data: bytes, degrees: float) -> bytes:
    """A photo or matte turned counter-clockwise about its middle."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turned = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    ending = ".png" if picture.ndim == 2 else ".jpg"
    return bytes(cv2.imencode(ending, turned)[1])


@pytest.fixture
def store(tmp_path: Path) -> LocalMediaStore:
    return LocalMediaStore(root=str(tmp_path))


def test_an_end_view_takes_the_height_that_quarter_views_tell(store: LocalMediaStore) -> None:
    found = standpoints(VEHICLE, rows(store), store, Unwatched(), "1")
    heights = {shot.name: found[i].height for i, shot in enumerate(SHOTS, 1)}
    assert heights["IMG_0101"] is None
    assert heights["IMG_0110"] is None
    quarters = [found[i].view(matte(shot)) for i, shot in enumerate(SHOTS, 1) if i != 2]
    told = [view.camera_height for view in quarters if view is not None]
    assert heights["IMG_0106"] == pytest.approx(sum(told) / 2, abs=0.006)
    rear = found[2].view(matte(SHOTS[1]))
    assert rear is not None
    assert rear.camera_height == pytest.approx(heights["IMG_0106"], abs=0.05)


def test_a_second_run_finds_what_is_known(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = standpoints(VEHICLE, rows(store), store, Unwatched(), "1")

    def asked_again(*_: object) -> None:
        raise AssertionError("a camera that is known was fitted again")

    monkeypatch.setattr("okla_assets.imaging.studio.camera.view_of", asked_again)
    assert standpoints(VEHICLE, rows(store), store, Unwatched(), "1") == first


def test_a_photo_that_is_not_cut_has_none(store: LocalMediaStore) -> None:
    all_rows = rows(store)
    photo, mask, view, plates = all_rows[1]
    all_rows[1] = (photo, mask.model_copy(update={"status": "cropped"}), view, plates)
    assert set(standpoints(VEHICLE, all_rows, store, Unwatched(), "1")) == {1, 3}


def test_a_tilted_photo_is_levelled_before_its_camera_is_found(store: LocalMediaStore) -> None:
    plain = standpoints(VEHICLE, rows(store), store, Unwatched(), "1")
    for _, mask, _, plates in rows(store):
        assert mask.matte_key is not None
        for key in (mask.matte_key, plates.masked_key):
            turned = tilted(store.get(key), 4.0)
            store.put(key, turned, "image/png" if key == mask.matte_key else "image/jpeg")
    found = standpoints(VEHICLE, rows(store), store, Unwatched(), "2")
    turn, before, own = found[1].levelled, plain[1], found[1].own
    assert turn is not None and own is not None
    assert turn.degrees == pytest.approx(-4, abs=0.5)
    assert before.levelled is None and before.own is not None
    assert digest_of(found[1].fingerprint) != digest_of(before.fingerprint)
    assert own.camera_height == pytest.approx(before.own.camera_height, rel=0.05)


def test_with_nothing_known_there_is_no_view() -> None:
    assert Standpoint().view(matte(SHOTS[0])) is None
