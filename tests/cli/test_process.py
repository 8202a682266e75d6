"""A whole vehicle on fake models: through Dagster, and by way of `okla process`'s own functions."""

import gc
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import dagster as dg
import numpy as np
import pytest
from PIL import Image

from okla_assets import keys
from okla_assets.cli import process
from okla_assets.cli.process import run_vehicle
from okla_assets.cli.terminal import BAD_INPUT, FAILED
from okla_assets.operations import run_index
from okla_assets.operations.folder_import import import_folder
from okla_assets.options import StudioOptions, merge_options, read_options, save_options
from okla_assets.runtime.instance import PROCESS_TAG, open_instance
from okla_assets.vehicle_runs import RUN_KEY_TAG, run_key_of
from resources.errors import BadInput
from resources.models import onnx
from resources.storage.media_store import LocalMediaStore, ObjectInfo
from resources.storage.stores import store_for
from sensors.uploads import uploads
from tests import clips, pictures
from tests.cli.conftest import Command
from tests.fakes import (
    VEHICLE,
    FakeDetector,
    Outcome,
    Pipeline,
    Quiet,
    contents,
    finished_key,
)
from tests.instances import forgetful_instance
from tests.runs_made import mark_run
from tests.s3_servers import Front

ASSETS = [
    "raw_photos",
    "walkaround_frames",
    "masks",
    "classifications",
    "license_plates",
    "composites",
    "spin_frames",
    "hotspots",
    "promo_video",
    "listing",
]
NO_TURN = {"walkaround_frames": 0, "spin_frames": 0}
CLOSE_UPS = {"hotspots": 2}
"""Photos that may be a part of another: each is looked for on all that show the whole."""
PROMO = {"promo_video": 1}
BY_PHOTO = [a for a in ASSETS if a not in NO_TURN | CLOSE_UPS | PROMO]
"""What a vehicle without a video, and with few photos, computes for its spin."""
PHOTOS = {
    "1 cut.jpg": pictures.jpeg(pictures.car()),
    "2 doubtful.jpg": pictures.jpeg(pictures.car(2, pictures.DOUBTFUL)),
    "3 close-up.jpg": pictures.jpeg(pictures.cropped_car(3)),
    "4 cabin.jpg": pictures.jpeg(pictures.cabin(4)),
    "5 paper.png": pictures.png(pictures.paper(5)),
}
Files = dict[str, tuple[bytes, ObjectInfo]]


def bytes_of(files: Files, leave_out_listing: bool = False) -> dict[str, bytes]:
    return {
        key: data
        for key, (data, _) in files.items()
        if not (leave_out_listing and key.endswith("listing.json"))
    }


def comparable(files: Files) -> dict[str, Any]:
    """Bytes of the files; the listing without what the clock says."""
    listing = json.loads(files[keys.listing(VEHICLE)][0])
    del listing["generated_at"], listing["cost"]
    return bytes_of(files, leave_out_listing=True) | {"listing": listing}


# --- through Dagster ------------------------------------------------------------------------------


@dataclass
class Vehicle:
    """One vehicle run twice with nothing changed between."""

    pipeline: Pipeline
    first: Outcome
    files: Files
    second: Outcome
    files_after: Files


@pytest.fixture(scope="module")
def vehicle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vehicle]:
    store = LocalMediaStore(root=str(tmp_path_factory.mktemp("media")))
    with forgetful_instance() as instance:
        pipeline = Pipeline(store, instance)
        pipeline.upload(PHOTOS)
        first = pipeline.run()
        files = pipeline.snapshot()
        second = pipeline.run()
        yield Vehicle(pipeline, first, files, second, pipeline.snapshot())


def test_the_photos_become_files_and_a_listing(vehicle: Vehicle) -> None:
    folder = keys.processed_folder(VEHICLE)
    names = ["exterior_001", "exterior_002", "exterior_003", "interior_004", "misc_005"]
    assert vehicle.files.keys() == {
        keys.listing(VEHICLE),
        keys.gallery(VEHICLE),
        *(
            keys.promo(VEHICLE),
            keys.promo_vertical(VEHICLE),
            keys.promo_poster(VEHICLE),
            keys.promo_vertical_poster(VEHICLE),
        ),
        f"{folder}before/exterior_001_before.jpg",
        *(f"{folder}{name}_processed.jpg" for name in names),
        *(f"{folder}thumbnails/{name}_thumb.jpg" for name in names),
        *(f"{folder}masks/{name}_mask.png" for name in names[:2]),
    }
    listing = vehicle.first.listing
    assert listing.status == "needs_review"
    assert list(listing.reasons) == [
        "exterior_002: no trustworthy cut-out: the two networks disagree"
    ]
    assert [p.treatment for p in listing.photos] == ["studio"] + ["enhanced"] * 4
    assert [p.treatment_reason for p in listing.photos[1:]] == [
        "no trustworthy cut-out: the two networks disagree",
        "the vehicle is not shown whole",
        "interior: keeps its own background",
        "misc: keeps its own background",
    ]
    assert [m.name for m in listing.pipeline.models] == [
        "blob",
        "ellipse",
        "brightness",
        "yellow",
        "yellow",
        "skin",
    ]
    assert set(listing.cost.seconds) == set(ASSETS) - {"listing"}


def test_the_files_are_what_the_listing_says(vehicle: Vehicle) -> None:
    for photo in vehicle.first.listing.photos:
        with Image.open(BytesIO(vehicle.files[finished_key(photo)][0])) as finished:
            ratio = finished.width / finished.height
            assert finished.format == "JPEG"
            assert ratio == pytest.approx(4 / 3, abs=0.01)
        with Image.open(BytesIO(vehicle.files[str(photo.thumbnail_key)][0])) as thumbnail:
            assert max(thumbnail.size) <= 400
        if photo.mask_key is not None:
            with Image.open(BytesIO(vehicle.files[photo.mask_key][0])) as mask:
                assert mask.mode == "L"
                assert mask.size == (photo.width, photo.height) == (360, 270)
    box = vehicle.first.listing.photos[0].vehicle_box
    assert box == pytest.approx((80, 100, 181, 91), abs=4)


def test_the_photo_before_lies_where_the_finished_one_shows_its_vehicle(vehicle: Vehicle) -> None:
    photo, *others = vehicle.first.listing.photos
    assert [(o.before_key, o.source_box) for o in others] == [(None, (0, 0, 1, 1))] * 4
    assert photo.before_key is not None
    with Image.open(BytesIO(vehicle.files[photo.before_key][0])) as before:
        assert before.size == (photo.width, photo.height)  # smaller than a gallery needs
        paint = np.ptp(np.asarray(before.convert("RGB"), np.int16), axis=2) > 90
    with Image.open(BytesIO(vehicle.files[finished_key(photo)][0])) as finished:
        painted = np.ptp(np.asarray(finished.convert("RGB"), np.int16), axis=2) > 90
    left, top, width, height = photo.source_box
    for axis, start, length in ((1, left, width), (0, top, height)):
        on_before = np.flatnonzero(paint.any(axis=1 - axis))[[0, -1]] / paint.shape[axis]
        on_finished = np.flatnonzero(painted.any(axis=1 - axis))[[0, -1]] / painted.shape[axis]
        assert start + on_before * length == pytest.approx(on_finished, abs=0.01)


def test_the_studio_replaces_the_street(vehicle: Vehicle) -> None:
    def contrast_at_the_top(number: int) -> int:
        key = finished_key(vehicle.first.listing.photos[number - 1])
        with Image.open(BytesIO(vehicle.files[key][0])) as picture:
            top = np.asarray(picture.convert("L"))[: picture.height // 5]
        return int(np.ptp(top))

    assert contrast_at_the_top(1) < 40  # a smooth wall
    assert contrast_at_the_top(2) > 60  # the street is still there


def test_the_checks_are_evaluated(vehicle: Vehicle) -> None:
    expected = {
        "something_accepted": True,
        "no_plate_shown": True,
        "vehicle_as_photographed": True,
        "exteriors_cut_or_flagged": True,
        "spin_or_reason": True,
        "listing_valid": True,
        "listing_status": False,  # one photo needs a person
        "channels_take_it": False,  # they are drawn smaller than any channel asks for
    }
    assert vehicle.first.checks == vehicle.second.checks == expected


def test_dagster_shows_counts_times_a_table_a_preview_and_a_link(vehicle: Vehicle) -> None:
    assert list(vehicle.first.metadata) == ASSETS
    for asset in BY_PHOTO:
        shown = vehicle.first.metadata[asset]
        assert shown["computed"] == (1 if asset == "listing" else 5)
        assert shown["seconds_this_run"] >= 0
        files = 1 if asset == "listing" else 5
        assert shown["work"] == f"reused 0, computed {files}"
        assert vehicle.second.metadata[asset]["work"] == f"reused {files}, computed 0"
        assert vehicle.second.metadata[asset]["seconds_in_all"] == shown["seconds_in_all"] > 0
        assert vehicle.second.metadata[asset].get("preview") == shown.get("preview")
        assert len(shown["photos"].records) == 5
        if asset in ("raw_photos", "classifications"):
            assert "preview" not in shown  # it would show plates
            continue
        assert shown["preview"].startswith("![contact sheet](data:image/jpeg;base64,")
        assert len(shown["preview"].partition("base64,")[2]) <= 8 * 1024 + 1
    for asset in ASSETS:
        shown = vehicle.first.metadata[asset]
        for name, place in (("gallery", "index.html"), ("listing", "listing.json"), ("folder", "")):
            link = f"http://127.0.0.1:3001/processed/{VEHICLE}/{place}"
            assert shown[name] == link
        opens = shown.get("files", shown["folder"]).startswith("http://127.0.0.1:3001/")
        assert opens or "/raw/" in shown["files"]  # which shows plates
        table = keys.table(VEHICLE, asset)
        assert shown["dagster/uri"] == (vehicle.pipeline.store.folder / table).as_uri()
        rows = shown["dagster/partition_row_count"]
        assert rows == (0 if asset in ("walkaround_frames", "spin_frames") else rows or 1)
    assert shown["photos_in_all"] == 5
    assert shown["in_studio"] == 1
    assert 0 < shown["quality_median"] <= 100
    counts = vehicle.first.metadata
    assert (counts["raw_photos"]["accepted"], counts["raw_photos"]["refused"]) == (5, 0)
    assert {s: counts["masks"][s] for s in ("cut", "unsure", "cropped", "no_vehicle")} == {
        "cut": 1,
        "unsure": 1,
        "cropped": 1,
        "no_vehicle": 2,
    }
    assert counts["classifications"]["exterior"] == 3
    assert counts["composites"]["studio"] == 1
    assert counts["listing"]["published"] == 5
    assert counts["listing"]["status"] == "needs_review"
    assert "exterior_002" in counts["listing"]["reasons"]


def test_a_second_run_computes_nothing_and_touches_nothing(vehicle: Vehicle) -> None:
    assert vehicle.second.computed == dict.fromkeys(ASSETS, 0)
    assert vehicle.files_after == vehicle.files  # bytes, ETag and time of change


@pytest.fixture
def processed(vehicle: Vehicle, tmp_path: Path) -> Pipeline:
    """A copy of the processed vehicle, to be changed, with fakes that have not been asked yet."""
    shutil.copytree(vehicle.pipeline.store.folder, tmp_path / "media")
    store = LocalMediaStore(root=str(tmp_path / "media"))
    return Pipeline(store, vehicle.pipeline.instance)


def test_an_added_photo_computes_one(processed: Pipeline) -> None:
    before = processed.snapshot()
    processed.upload({"0 added.jpg": pictures.jpeg(pictures.car(9))})
    outcome = processed.run()
    assert outcome.computed == dict.fromkeys(ASSETS, 1) | NO_TURN | CLOSE_UPS
    detector = processed.models["detector"]
    assert isinstance(detector, FakeDetector)
    assert detector.asked == 1
    assert finished_key(outcome.listing.photos[-1]).endswith("exterior_006_processed.jpg")
    after = processed.snapshot()
    told = {keys.listing(VEHICLE), keys.gallery(VEHICLE)}
    told |= {keys.promo(VEHICLE), keys.promo_vertical(VEHICLE)}
    told |= {keys.promo_poster(VEHICLE), keys.promo_vertical_poster(VEHICLE)}
    assert all(after[key] == before[key] for key in before.keys() - told)


@pytest.mark.slow
def test_a_withdrawn_photo_disappears_and_computes_nothing(processed: Pipeline) -> None:
    before = processed.snapshot()
    processed.store.delete(keys.raw_photos(VEHICLE) + "2 doubtful.jpg")
    outcome = processed.run()
    assert outcome.computed == dict.fromkeys(ASSETS, 0) | PROMO | {"listing": 1}
    assert outcome.listing.status == "ready"
    after = processed.snapshot()
    assert before.keys() - after.keys() == {
        f"{keys.processed_folder(VEHICLE)}{name}"
        for name in (
            "exterior_002_processed.jpg",
            "masks/exterior_002_mask.png",
            "thumbnails/exterior_002_thumb.jpg",
        )
    }
    for folder in ("work", "private"):  # a record and a picture each
        assert len(list(processed.store.list(f"{folder}/{VEHICLE}/photos/"))) == 4


@pytest.mark.slow
def test_a_changed_option_finishes_the_photos_again_and_no_more(processed: Pipeline) -> None:
    before = processed.snapshot()
    processed.store.put(keys.options(VEHICLE), b'{"max_width": 640, "output_format": "webp"}')
    outcome = processed.run()
    made_again = PROMO | {"composites": 5, "listing": 1}
    assert outcome.computed == dict.fromkeys(ASSETS, 0) | made_again
    after = processed.snapshot()
    assert not [key for key in after if key.endswith("processed.jpg")]
    for photo in outcome.listing.photos:
        with Image.open(BytesIO(after[finished_key(photo)][0])) as finished:
            assert (finished.format, finished.width <= 640) == ("WEBP", True)
    processed.store.delete(keys.options(VEHICLE))
    processed.run()
    assert comparable(processed.snapshot()) == comparable(before)


def test_a_damaged_file_is_repaired(processed: Pipeline) -> None:
    before = processed.snapshot()
    processed.store.put(keys.processed_photo(VEHICLE, "exterior", 1, "jpg"), b"overwritten")
    processed.store.delete(keys.thumbnail(VEHICLE, "interior", 4))
    outcome = processed.run()
    assert outcome.computed == dict.fromkeys(ASSETS, 0) | {"composites": 2}
    assert bytes_of(processed.snapshot()) == bytes_of(before)


@pytest.mark.slow
def test_other_weights_compute_what_depends_on_them(processed: Pipeline) -> None:
    processed.models["detector"] = FakeDetector(version="2")
    outcome = processed.run()
    # The finished pictures come out the same; the promo is composed of the mattes anew, and the
    # listing names the weights.
    unchanged = {"raw_photos": 0, "promo_video": 1, "listing": 1}
    assert outcome.computed == dict.fromkeys(ASSETS, 5) | NO_TURN | CLOSE_UPS | unchanged


@pytest.mark.slow
def test_without_work_the_same_files_are_made_again(processed: Pipeline) -> None:
    before = processed.snapshot()
    shutil.rmtree(processed.store.folder / "work")
    outcome = processed.run()
    made_again = CLOSE_UPS | PROMO | {"listing": 0}
    assert outcome.computed == dict.fromkeys(ASSETS, 5) | NO_TURN | made_again
    # The listing changes nothing but its clock, and so keeps even that.
    assert bytes_of(processed.snapshot()) == bytes_of(before)


@pytest.mark.slow
def test_what_is_made_elsewhere_is_the_same(vehicle: Vehicle, pipeline: Pipeline) -> None:
    # In another folder, uploaded in another order.
    pipeline.upload(dict(reversed(PHOTOS.items())))
    pipeline.run()
    assert comparable(pipeline.snapshot()) == comparable(vehicle.files)


# --- in a bucket ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_bucket_holds_what_a_folder_does(
    s3_place: str, store: LocalMediaStore, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    walk = clips.turn(tmp_path / "walk.mp4", [10.0 * n for n in range(36)])
    photos = {"1 cut.jpg": PHOTOS["1 cut.jpg"]}
    bucket = store_for(s3_place)
    here, there = Pipeline(store, instance), Pipeline(bucket, instance)
    for pipeline in (here, there):
        pipeline.models["views"] = clips.TurningViews()
        pipeline.upload(photos)
        pipeline.store.put_file(f"{keys.raw_videos(VEHICLE)}walk.mp4", walk)
        pipeline.store.put(keys.options(VEHICLE), b'{"spin_frames": 8, "promo": false}')
    here.run()
    first = there.run()
    assert first.success
    assert first.listing.spin is not None
    assert first.computed["spin_frames"] > 0
    files = there.snapshot()
    assert comparable(files) == comparable(here.snapshot())
    assert {keys.gallery(VEHICLE), keys.spin_page(VEHICLE)} <= files.keys()
    link = first.metadata["listing"]["listing"]
    assert link.startswith(f"{bucket.url(keys.listing(VEHICLE))}?")
    assert "Signature=" in link  # the bucket is private
    with urlopen(link) as opened:
        assert opened.read() == bucket.get(keys.listing(VEHICLE))

    second = there.run()
    assert second.computed == dict.fromkeys(ASSETS, 0)
    assert there.snapshot() == files  # bytes, ETag and time of change


# --- from a folder --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A seller's folder."""
    path = tmp_path / "Toyota Corolla 2019"
    path.mkdir()
    return path


def test_a_folder_is_copied_in_by_kind(folder: Path, store: LocalMediaStore) -> None:
    for part in (folder / "photos", folder / "video", folder / "deeper" / "still"):
        part.mkdir(parents=True)
    for name in ("a.JPG", "ñ b.heic", "photos/c.png", "video/walk.mp4", "turn.MOV"):
        (folder / name).write_bytes(name.encode())
    for name in (".hidden.jpg", "notes.txt", "options.json", "deeper/still/d.jpg"):
        (folder / name).write_bytes(b"1")
    imported = import_folder(folder, VEHICLE, store)
    photos, videos = keys.raw_photos(VEHICLE), keys.raw_videos(VEHICLE)
    record = keys.source_record(VEHICLE)
    stored = {i.key: store.get(i.key).decode() for i in store.list("") if i.key != record}
    assert stored == {
        f"{photos}a.JPG": "a.JPG",
        f"{photos}ñ b.heic": "ñ b.heic",
        f"{photos}c.png": "photos/c.png",
        f"{videos}walk.mp4": "video/walk.mp4",
        f"{videos}turn.MOV": "turn.MOV",
        f"{photos}deeper/still/d.jpg": "1",
    }
    assert set(imported.uploaded) == set(stored)
    assert [(g.rule, g.count, g.examples) for g in imported.ignored] == [
        ("hidden_file", 1, (".hidden.jpg",)),
        ("not_media", 1, ("notes.txt",)),
    ]


def test_importing_again_changes_nothing_but_what_changed(
    folder: Path, store: LocalMediaStore
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / name).write_bytes(b"1")
    import_folder(folder, VEHICLE, store)
    before = contents(store, "")
    (folder / "b.jpg").write_bytes(b"2")
    (folder / "c.jpg").unlink()
    imported = import_folder(folder, VEHICLE, store)
    after = contents(store, "")
    a, b, c = (f"{keys.raw_photos(VEHICLE)}{name}.jpg" for name in "abc")
    assert imported.earlier == (c,)
    assert (after[a], after[c]) == (before[a], before[c])
    assert after[b][0] == b"2"
    assert run_key_of(VEHICLE, [i for _, i in before.values()]) != run_key_of(
        VEHICLE, [i for _, i in after.values()]
    )


def test_importing_again_moves_no_file_to_or_from_a_bucket(
    folder: Path, s3_place: str, front: Front
) -> None:
    store = store_for(s3_place)
    for name in ("a.jpg", "b.jpg", "walk.mp4"):
        (folder / name).write_bytes(b"1")
    import_folder(folder, VEHICLE, store)
    assert len(front.requests("PUT")) == 4  # and where they came from
    before = contents(store, "")
    (folder / "b.jpg").write_bytes(b"2")
    front.seen.clear()
    import_folder(folder, VEHICLE, store)
    assert [Path(path).name for path in front.requests("PUT")] == ["b.jpg"]
    assert not any(path.endswith((".jpg", ".mp4")) for path in front.requests("GET"))
    a, b = (f"{keys.raw_photos(VEHICLE)}{name}.jpg" for name in "ab")
    after = contents(store, "")
    assert {k for k in after if after[k] != before[k]} == {b}
    assert after[a] == before[a]


def test_two_photos_of_one_name_are_refused_by_it(folder: Path, store: LocalMediaStore) -> None:
    (folder / "photos").mkdir()
    for name in ("a.jpg", "photos/a.jpg"):
        (folder / name).write_bytes(name.encode())
    with pytest.raises(BadInput, match=r"a\.jpg"):
        import_folder(folder, VEHICLE, store)
    (folder / "photos" / "a.jpg").write_bytes(b"a.jpg")  # the same photo twice is no matter
    imported = import_folder(folder, VEHICLE, store)
    assert imported.uploaded == (f"{keys.raw_photos(VEHICLE)}a.jpg",)


def test_names_that_no_key_can_hold_are_made_usable(folder: Path, store: LocalMediaStore) -> None:
    for name in ("back\\slash.jpg", "fa\udce7ade.jpg"):  # the second is Latin-1, as old zips have
        (folder / name).write_bytes(name.encode(errors="surrogateescape"))
    imported = import_folder(folder, VEHICLE, store)
    assert len(imported.uploaded) == 2
    assert [keys.raw_photos(VEHICLE) + n for n in ("back_slash.jpg", "fa_ade.jpg")] == [
        i.key for i in store.list(keys.raw_photos(VEHICLE))
    ]
    before = contents(store, "")
    assert import_folder(folder, VEHICLE, store) == imported
    assert contents(store, "") == before


@pytest.mark.parametrize("names", [[], ["notes.txt", ".hidden.jpg"]])
def test_a_folder_without_a_photo_is_refused(
    folder: Path, store: LocalMediaStore, names: list[str]
) -> None:
    for name in names:
        (folder / name).write_bytes(b"1")
    with pytest.raises(BadInput, match="holds no photo"):
        import_folder(folder, VEHICLE, store)
    assert list(store.list("")) == []


def merge_and_save(folder: Path, store: LocalMediaStore, given: dict[str, object]) -> None:
    save_options(VEHICLE, store, merge_options(folder, VEHICLE, store, given))


def test_a_folder_that_lies_in_the_store_is_left_as_it_is(store: LocalMediaStore) -> None:
    store.put(f"{keys.raw_photos(VEHICLE)}a.jpg", b"1")
    store.put(keys.options(VEHICLE), b'{"max_width": 800}')
    before = contents(store, "")
    own = store.folder / keys.raw_folder(VEHICLE)
    assert import_folder(own, VEHICLE, store).uploaded == (f"{keys.raw_photos(VEHICLE)}a.jpg",)
    merge_and_save(own, store, {})
    assert (
        contents(store, "")[f"{keys.raw_photos(VEHICLE)}a.jpg"]
        == before[f"{keys.raw_photos(VEHICLE)}a.jpg"]
    )
    assert json.loads(store.get(keys.options(VEHICLE))) == {"max_width": 800}


def test_options_add_up_and_the_command_wins(folder: Path, store: LocalMediaStore) -> None:
    def saved() -> object:
        return json.loads(store.get(keys.options(VEHICLE)))

    store.put(keys.options(VEHICLE), b'{"max_width": 640, "aspect": "1:1", "output_quality": 50}')
    (folder / "options.json").write_text('{"aspect": "16:9", "output_quality": 60}')
    merge_and_save(folder, store, {"output_quality": 70})
    assert saved() == {"max_width": 640, "aspect": "16:9", "output_quality": 70}
    before = store.stat(keys.options(VEHICLE))
    merge_and_save(folder, store, {})
    assert saved() == {"max_width": 640, "aspect": "16:9", "output_quality": 60}
    merge_and_save(folder, store, {"output_quality": 70})
    after = store.stat(keys.options(VEHICLE))
    merge_and_save(folder, store, {"output_quality": 70})
    assert before is not None
    assert store.stat(keys.options(VEHICLE)) == after


def test_no_options_make_no_file(folder: Path, store: LocalMediaStore) -> None:
    merge_and_save(folder, store, {})
    assert store.stat(keys.options(VEHICLE)) is None


EACH_OPTION = {
    "background_id": ("dark_studio", "dark_studio"),
    "generate_shadow": ("false", False),
    "shadow": ("original", "original"),
    "shadow_opacity": ("0.5", 0.5),
    "shadow_direction": ("90", 90.0),
    "shadow_softness": ("0.2", 0.2),
    "shadow_spread": ("long", "long"),
    "auto_enhance": ("no", False),
    "output_format": ("webp", "webp"),
    "output_quality": ("80", 80),
    "max_width": ("640", 640),
    "aspect": ("1920:1080", "1920:1080"),
    "margin": ("0.1", 0.1),
    "mask_license_plate": ("false", False),
    "license_plate_mask_type": ("blur", "blur"),
    "blur_faces": ("false", False),
    "spin_frames": ("24", 24),
    "auto_hotspots": ("false", False),
    "hotspots": (
        '[{"photo": "a.jpg", "on": "b.jpg", "x": 0.5, "y": 1}]',
        [{"photo": "a.jpg", "on": "b.jpg", "x": 0.5, "y": 1.0}],
    ),
    "promo": ("false", False),
    "promo_title": ("2019", "2019"),
    "promo_price": ("null", "null"),
    "promo_specs": ('["1.8 l", "automatic"]', ["1.8 l", "automatic"]),
    "promo_contact": ('"quoted" = so', '"quoted" = so'),
    "promo_music": ("7", "7"),
    "promo_template": ("calm", "calm"),
    "promo_bed": ("warm", "warm"),
}


@pytest.fixture
def process_options(
    command: Command, monkeypatch: pytest.MonkeyPatch, folder: Path, store: LocalMediaStore
) -> Command:
    """`okla process` of a folder with a photo, up to where it would compute."""
    (folder / "a.jpg").write_bytes(b"1")
    monkeypatch.setattr(process, "run_vehicle", lambda *_: (None, "stopped by the test"))
    return partial(command, "process", folder, "--vehicle-id", VEHICLE, "--out", store.folder)


def test_every_option_can_be_set_by_name(process_options: Command, store: LocalMediaStore) -> None:
    assert EACH_OPTION.keys() == StudioOptions.model_fields.keys()
    for name, (text, value) in EACH_OPTION.items():
        store.delete(keys.options(VEHICLE))
        assert process_options("-o", f"{name}={text}").code == FAILED
        options, problems = read_options(VEHICLE, store)
        assert options.model_dump(mode="json", exclude_defaults=True) == {name: value}
        assert problems == ()


def test_options_by_name_go_over_flags_and_files(
    process_options: Command, folder: Path, store: LocalMediaStore
) -> None:
    store.put(keys.options(VEHICLE), b'{"max_width": 400, "output_quality": 41, "aspect": "1:1"}')
    (folder / "options.json").write_text('{"output_quality": 42, "spin_frames": 12}')
    given = ["--option", "max_width=500", "-o", "spin_frames=8", "-o", "spin_frames=9"]
    process_options("--max-width", "600", *given)
    assert json.loads(store.get(keys.options(VEHICLE))) == {
        "max_width": 500,
        "output_quality": 42,
        "aspect": "1:1",
        "spin_frames": 9,
    }


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("max_width=wide", "option max_width cannot be wide: Input should be a valid integer"),
        ("max_width=7", "option max_width cannot be 7: Input should be greater than or equal to 3"),
        ("aspect=wide", "option aspect cannot be wide: String should match"),
        ("aspect=4:1", "a picture is between 1:2 and 3:1, not 4:1"),
        ("background_id=beach", "there is no scene 'beach'; there are white_studio, gray_showroom"),
        ("promo_specs=fast", "option promo_specs cannot be fast: give a JSON list"),
        (f"promo_price={9:041}", "String should have at most 40 characters"),
        ("promo_music=../x.mp3", "option promo_music cannot be ../x.mp3: String should match"),
        ("max_widht=7", "there is no option 'max_widht'; the options are background_id, gen"),
        ("promo", "-o promo: give the option as name=value"),
        ("=1", "there is no option ''"),
    ],
)
def test_an_option_by_name_that_cannot_be_used_is_refused_in_a_sentence(
    process_options: Command, store: LocalMediaStore, given: str, sentence: str
) -> None:
    result = process_options("-o", given)
    assert result.code == BAD_INPUT
    assert sentence in result.err
    assert list(store.list("")) == []


@pytest.mark.parametrize(
    ("stored", "beside", "given", "named"),
    [
        ("{}", None, {"max_width": 7}, "max_width"),
        ("{}", '{"aspect": "wide"}', {}, "aspect"),
        ("{}", '{"aspect": ', {}, "options.json"),
        ("{}", "[1]", {}, "options.json"),
        ("{ cut off", None, {}, "options.json"),
        ("[1]", None, {}, "options.json"),
    ],
)
def test_options_that_cannot_be_used_are_refused_in_a_sentence(
    folder: Path,
    store: LocalMediaStore,
    stored: str,
    beside: str | None,
    given: dict[str, object],
    named: str,
) -> None:
    store.put(keys.options(VEHICLE), stored.encode())
    if beside is not None:
        (folder / "options.json").write_text(beside)
    with pytest.raises(BadInput, match=named) as refusal:
        merge_and_save(folder, store, given)
    assert "\n" not in str(refusal.value)
    assert "pydantic" not in str(refusal.value)
    assert store.get(keys.options(VEHICLE)) == stored.encode()


# --- `okla process` in this process ---------------------------------------------------------------


@pytest.fixture
def faked(models: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The local profile on fake models, and Dagster's records in the media folder."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return models


@pytest.mark.slow
def test_a_run_is_recorded_and_not_repeated_by_the_sensor(
    faked: dict[str, object], store: LocalMediaStore
) -> None:
    store.put(f"{keys.raw_photos(VEHICLE)}a.jpg", PHOTOS["1 cut.jpg"])
    listing, problem = run_vehicle(VEHICLE, store, "local", Quiet())
    assert problem == ""
    assert listing is not None
    assert (listing.status, len(listing.photos)) == ("ready", 1)
    store.put(keys.ready_marker(VEHICLE), b"")
    with open_instance(store.folder) as instance:
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert run.tags["dagster/partition"] == VEHICLE
        assert run.tags[RUN_KEY_TAG] == run_key_of(VEHICLE, store.list(keys.raw_folder(VEHICLE)))
        context = dg.build_sensor_context(instance=instance, resources={"store": store})
        assert isinstance(uploads(context), dg.SkipReason)


@pytest.mark.slow
def test_fresh_computes_everything_anew_and_gives_the_same_files(
    faked: dict[str, object], store: LocalMediaStore
) -> None:
    store.put(f"{keys.raw_photos(VEHICLE)}a.jpg", PHOTOS["1 cut.jpg"])
    store.put(keys.options(VEHICLE), b'{"promo": false}')
    detector = faked["detector"]
    assert isinstance(detector, FakeDetector)

    def run(fresh: bool) -> None:
        _, problem = run_vehicle(VEHICLE, store, "local", Quiet(), fresh)
        assert problem == ""

    run(fresh=False)
    asked, uploaded = detector.asked, contents(store, keys.RAW)
    files = {folder: contents(store, folder) for folder in ("work/", "private/", "processed/")}
    run(fresh=False)
    assert detector.asked == asked
    run(fresh=True)
    assert detector.asked == 2 * asked
    for folder in ("work/", "private/"):
        again = contents(store, folder)
        assert again.keys() == files[folder].keys()
        for key, (_, info) in again.items():
            assert info.modified > files[folder][key][1].modified, key
    assert bytes_of(contents(store, "processed/"), leave_out_listing=True) == bytes_of(
        files["processed/"], leave_out_listing=True
    )
    assert comparable(contents(store, "processed/")) == comparable(files["processed/"])
    assert contents(store, keys.RAW) == uploaded


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_fresh_is_refused_while_a_run_of_the_vehicle_is_unfinished(
    faked: dict[str, object],
    command: Command,
    folder: Path,
    store: LocalMediaStore,
    status: dg.DagsterRunStatus,
) -> None:
    (folder / "a.jpg").write_bytes(PHOTOS["1 cut.jpg"])
    store.put(keys.table(VEHICLE, "masks"), b"{}")
    with open_instance(store.folder) as instance:
        mark_run(instance, VEHICLE, status)
    result = command("process", folder, "--fresh", "--vehicle-id", VEHICLE, "--out", store.folder)
    assert result.code == BAD_INPUT
    assert f"a run of {VEHICLE} waits or is in progress" in result.err
    assert store.stat(keys.table(VEHICLE, "masks")) is not None


def test_two_runs_of_a_vehicle_never_go_on_at_once(
    faked: dict[str, object],
    command: Command,
    folder: Path,
    store: LocalMediaStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One would remove what the other has just written. A lost run holds nobody up for ever."""
    (folder / "a.jpg").write_bytes(PHOTOS["1 cut.jpg"])
    with open_instance(store.folder) as instance:
        mark_run(instance, VEHICLE, dg.DagsterRunStatus.STARTED)
    arguments = ("process", folder, "--vehicle-id", VEHICLE, "--out", store.folder)
    result = command(*arguments)
    assert result.code == BAD_INPUT
    assert f"a run of {VEHICLE} is in progress" in result.err
    assert store.stat(keys.listing(VEHICLE)) is None
    monkeypatch.setattr(run_index, "LONGEST_RUN", timedelta(0))
    assert command(*arguments).code == 0
    assert store.stat(keys.listing(VEHICLE)) is not None


def test_a_run_of_a_container_that_was_killed_holds_nobody_up(
    faked: dict[str, object], command: Command, folder: Path, store: LocalMediaStore
) -> None:
    """The next container, or the laptop in another network, has another name."""
    (folder / "a.jpg").write_bytes(PHOTOS["1 cut.jpg"])
    with open_instance(store.folder) as instance:
        run_id = mark_run(instance, VEHICLE, dg.DagsterRunStatus.STARTED)
        instance.add_run_tags(run_id, {PROCESS_TAG: "3f2a9c:1:1796000000"})
    arguments = ("process", folder, "--vehicle-id", VEHICLE, "--out", store.folder)
    assert command(*arguments).code == 0
    assert store.stat(keys.listing(VEHICLE)) is not None


def test_what_goes_wrong_is_reported_by_asset(
    faked: dict[str, object], store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: FakeDetector, photos: object) -> None:
        raise RuntimeError("the weights are missing; fetch them by: okla models pull")

    monkeypatch.setattr(FakeDetector, "detect", missing)
    store.put(f"{keys.raw_photos(VEHICLE)}a.jpg", PHOTOS["1 cut.jpg"])
    listing, problem = run_vehicle(VEHICLE, store, "local", Quiet())
    assert listing is None
    assert problem.startswith("masks: ")
    assert "okla models pull" in problem
    assert list(store.list("processed/")) == []


def test_a_steps_networks_are_let_go_before_the_next_one_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[object] = []

    class Shown:
        def step(self, title: str, total: int) -> None:
            said.append((title, total))

        def advance(self, what: str) -> None:
            said.append(what)

    monkeypatch.setattr(onnx, "let_go", lambda: said.append("let go"))
    progress = process.OneStepsNetworks(Shown())
    progress.step("Cutting out", 2)
    progress.advance("1.jpg")
    progress.step("Classifying", 2)
    assert said == ["let go", ("Cutting out", 2), "1.jpg", "let go", ("Classifying", 2)]


def test_garbage_is_collected_again_once_all_is_imported() -> None:
    with pytest.raises(BadInput), process._kept_for_good():
        assert not gc.isenabled()
        raise BadInput("a profile that there is none of")
    assert gc.isenabled()
    gc.unfreeze()
