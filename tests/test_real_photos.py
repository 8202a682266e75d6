"""The local profile on real cars: the claims that only real photos can carry.

Bars are those of the task, a little loosened for the few photos a test can afford; the README has
the figures on all of them.
"""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets import keys
from okla_assets.cli.process import run_vehicle
from okla_assets.contract import Listing
from okla_assets.imaging.matte import cutout
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio.placement import BANDS, wheel_line
from okla_assets.operations.folder_import import import_folder
from resources.models.fused_matte import FusedMatte
from resources.models.main_vehicle import find_subject
from resources.storage.media_store import LocalMediaStore
from tests.fakes import Quiet, finished_key

pytestmark = [pytest.mark.testdata, pytest.mark.weights, pytest.mark.slow]

GOLF = "dealer/prestige_volkswagen-golf"
NO_PROMO = b'{"promo": false}'
"""The video costs as much as the photos, and other tests make it."""


def read(path: Path) -> npt.NDArray[np.uint8]:
    return codec.decode_trusted(path.read_bytes())


def iou(alpha: npt.NDArray[np.float32], truth: Path) -> float:
    true = codec.decode_gray(truth.read_bytes())
    if true.shape != alpha.shape:
        alpha = np.asarray(cv2.resize(alpha, true.shape[::-1]), np.float32)
    cut, whole = alpha > 0.5, true > 127
    return float((cut & whole).sum() / (cut | whole).sum())


def manifest(testdata: Path, prefix: str) -> list[dict[str, str]]:
    with (testdata / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["file"].startswith(prefix)]


def cut(photo: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], float | None]:
    subject = find_subject(photo)
    assert subject is not None
    (result,) = FusedMatte().segment([photo], [subject])
    return result.alpha, result.agreement


def test_hand_traced_dealer_cars_are_cut_well(testdata: Path, weights: object) -> None:
    rows = [row for row in manifest(testdata, "dealer/") if row["mask"]]
    scores = [iou(cut(read(testdata / r["file"]))[0], testdata / r["mask"]) for r in rows]
    assert len(scores) >= 3
    assert np.mean(scores) >= 0.985
    assert min(scores) >= 0.93


def test_carvana_cars_are_cut_well_from_all_around(testdata: Path, weights: object) -> None:
    rows = [r for r in manifest(testdata, "carvana/7fbc761387f3") if r["mask"]][::8]
    scores = [iou(cut(read(testdata / r["file"]))[0], testdata / r["mask"]) for r in rows]
    assert len(scores) == 2
    assert np.mean(scores) >= 0.975
    assert min(scores) >= 0.93


def test_a_car_parked_behind_stays_out(testdata: Path, weights: object) -> None:
    """Its roof shows over the bonnet; the saliency net alone takes both for one."""
    photo = read(testdata / "dealer/alv_hondacrv2023/exterior3.jpg")
    alpha, agreement = cut(photo)
    over_the_bonnet = alpha[330:400, 1150:1300]
    assert over_the_bonnet.max() < 0.5
    assert agreement is not None
    assert agreement > cutout.TRUSTED_AGREEMENT


@pytest.fixture(scope="module")
def golf(
    testdata: Path, weights: object, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LocalMediaStore, Listing]:
    """Two exteriors and a cabin of one car, and two files that are no photos, run for real."""
    folder = tmp_path_factory.mktemp("golf")
    for name in ("02.webp", "04.webp", "07.webp"):
        shutil.copy(testdata / GOLF / name, folder / name)
    for name in ("zero_byte.jpg", "text_named.jpg"):
        shutil.copy(testdata / "bad" / name, folder / name)
    store = LocalMediaStore(root=str(tmp_path_factory.mktemp("media")))
    vehicle = keys.parse_vehicle_id("golf")
    store.put(keys.options(vehicle), NO_PROMO)
    import_folder(folder, vehicle, store)
    listing, problem = run_vehicle(vehicle, store, "local", Quiet())
    assert listing is not None, problem
    return store, listing


def test_a_mixed_folder_becomes_a_listing(golf: tuple[LocalMediaStore, Listing]) -> None:
    _, listing = golf
    assert listing.status == "ready"
    views = [(p.category, p.angle, p.side, p.treatment) for p in listing.photos]
    assert views == [
        ("exterior", "front-quarter", "left", "studio"),
        ("exterior", "rear", None, "studio"),
        ("interior", None, None, "enhanced"),
    ]
    assert {r.source_key.rsplit("/", 1)[-1]: r.reason for r in listing.refused} == {
        "text_named.jpg": "not_an_image",
        "zero_byte.jpg": "empty_file",
    }


def test_composites_stand_on_one_line_at_one_scale(
    golf: tuple[LocalMediaStore, Listing],
) -> None:
    """Where the mattes lie on the finished pictures."""
    store, listing = golf
    for photo in listing.photos[:2]:
        picture = codec.decode_trusted(store.get(finished_key(photo)))
        height, width = picture.shape[:2]
        assert width / height == pytest.approx(4 / 3, abs=0.01)
        assert photo.mask_key is not None and photo.angle is not None
        matte = codec.decode_gray(store.get(photo.mask_key))
        _, top, w, h = photo.source_box
        ys, xs = np.nonzero(matte > 127)
        bottom = top + h * (ys.max() + 1) / matte.shape[0]
        share = w * float(np.ptp(xs)) / matte.shape[1]
        assert bottom == pytest.approx(wheel_line(4 / 3), abs=0.01)
        low, high = BANDS[photo.angle]
        assert low - 0.02 < share < high + 0.02
        assert picture[5:20, 5:20].min() > 200  # the studio's wall


def test_the_car_is_shown_as_photographed(golf: tuple[LocalMediaStore, Listing]) -> None:
    """The truth guard passes on each picture, and what was done to its colours is recorded."""
    for photo in golf[1].photos:
        assert photo.correction is not None
        assert photo.truth is not None
        assert photo.truth.broken is None


def test_masks_have_the_size_of_the_upload(golf: tuple[LocalMediaStore, Listing]) -> None:
    store, listing = golf
    exterior = listing.photos[0]
    assert exterior.mask_key is not None
    mask = codec.decode_gray(store.get(exterior.mask_key))
    assert mask.shape == (exterior.height, exterior.width)
    assert exterior.vehicle_box is not None
    x, y, w, h = exterior.vehicle_box
    columns, rows = (
        np.flatnonzero((mask > 127).any(axis=0)),
        np.flatnonzero((mask > 127).any(axis=1)),
    )
    assert columns[0] == pytest.approx(x, abs=0.04 * w)
    assert rows[-1] == pytest.approx(y + h, abs=0.04 * h)


def test_the_same_run_in_another_process_gives_the_same_bytes(
    golf: tuple[LocalMediaStore, Listing], testdata: Path, tmp_path: Path
) -> None:
    store, listing = golf
    photo = listing.photos[0]
    folder = tmp_path / "one"
    folder.mkdir()
    # A photo's colours are those of its set: both exteriors, and nothing else.
    for name in ("02.webp", "04.webp"):
        shutil.copy(testdata / GOLF / name, folder / name)
    subprocess.run(
        [
            *(sys.executable, "-m", "okla_assets", "process", str(folder)),
            *("--vehicle-id", "golf", "--out", str(tmp_path / "media"), "-o", "promo=false"),
        ],
        check=True,
        capture_output=True,
    )
    again = LocalMediaStore(root=str(tmp_path / "media"))
    assert again.get(finished_key(photo)) == store.get(finished_key(photo))
