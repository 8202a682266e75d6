"""What is written for a channel keeps the channel's own rules, read back from the files."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from okla_assets import keys
from okla_assets.contract import ChannelVerdict, Listing
from okla_assets.imaging.photo import codec
from okla_assets.operations.export import MANIFEST, broken_rules, export
from okla_assets.steps import selling
from okla_assets.steps.channel_rules import CHANNELS, ChannelName
from okla_assets.steps.provenance import provenance_of
from okla_assets.tables import Quality
from resources.errors import BadInput, UnknownVehicle
from resources.storage.media_store import LocalMediaStore
from tests.fakes import VEHICLE
from tests.viewer import made

SIZE = (1600, 1200)
RED = (200, 20, 30)


def store_vehicle(store: LocalMediaStore, **changed: Any) -> Listing:
    """Five photos: four whole cars in red, 80 % wide, and a cabin; number 3 repeats number 1."""
    whole: dict[str, Any] = {
        "processed_size": SIZE,
        "source_box": (0.0, 0.0, 1.0, 1.0),
        "vehicle_box": (80, 200, 640, 300),
        "photographed": 0.3,
    }
    photos = [
        made.photo(1, **whole | {"angle": "side"}),
        made.photo(2, **whole),
        made.photo(3, **whole | {"duplicate_of": 1, "angle": "side"}),
        made.photo(4, **whole | {"angle": "rear"} | changed),
        made.photo(5, "interior", processed_size=SIZE),
    ]
    listing = made.listing(photos=(), spin=None, promo=None, hotspots=())
    photos = [
        p.model_copy(update={"provenance": provenance_of(p, listing.options)}) for p in photos
    ]
    listing = selling.ordered(listing.model_copy(update={"photos": tuple(photos)}))
    for photo in photos:
        picture = np.full((SIZE[1], SIZE[0], 3), 235, np.uint8)
        if photo.vehicle_box is not None:
            x, y, w, h = (2 * value for value in photo.vehicle_box)
            cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), RED, -1)
        assert photo.processed_key is not None
        store.put(photo.processed_key, codec.encode_jpeg(picture), "image/jpeg")
    store.put(keys.listing(VEHICLE), listing.model_dump_json().encode(), "application/json")
    return listing


def red_columns(file: Path) -> tuple[bool, float]:
    """Whether the car touches the picture's border, and the share of the width that it takes."""
    with Image.open(file) as opened:
        rgb = np.asarray(opened.convert("RGB")).astype(int)
    red = (rgb[..., 0] - rgb[..., 1]) > 90
    border = np.concatenate([red[0], red[-1], red[:, 0], red[:, -1]])
    return bool(border.any()), float(red.any(axis=0).mean())


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_files_keep_the_channels_rules(
    store: LocalMediaStore, tmp_path: Path, channel: ChannelName
) -> None:
    store_vehicle(store)
    made_for = export(VEHICLE, channel, tmp_path / "out", store)
    assert broken_rules(tmp_path / "out") == []
    assert len(made_for.files) == 4
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text(encoding="utf-8"))
    assert [entry["number"] for entry in manifest["files"]] == [2, 1, 4, 5]
    assert [one["number"] for one in manifest["refused"]] == [3]
    for file in made_for.files[:3]:
        touches, wide = red_columns(file)
        assert not touches, "the car is whole"
        assert 0.78 < wide < 0.98
    assert red_columns(made_for.files[0])[1] < 0.82, "other crops of the first keep it whole, too"


def test_the_rules_are_read_from_the_files(store: LocalMediaStore, tmp_path: Path) -> None:
    store_vehicle(store)
    first, second, *_ = export(VEHICLE, "meta_vehicle_catalog", tmp_path / "out", store).files
    small = Image.new("RGB", (500, 400))
    small.save(first, "JPEG")
    small.resize((1080, 1080)).save(second, "PNG")
    broken = broken_rules(tmp_path / "out")
    assert [first.name in one for one in broken] == [True, True, False]
    assert any("too few" in one for one in broken)
    assert any("another shape" in one for one in broken)
    assert any(f"{second.name} is no RGB JPEG" in one for one in broken)
    first.unlink()
    assert any("manifest" in one for one in broken_rules(tmp_path / "out"))


def test_an_own_background_is_not_cut_through_the_car(
    store: LocalMediaStore, tmp_path: Path
) -> None:
    store_vehicle(store, treatment="enhanced")
    found = export(VEHICLE, "meta_vehicle_catalog", tmp_path / "out", store).verdict
    assert (4, "aspect") in [(one.number, one.rule) for one in found.refused]


def test_a_second_export_replaces_the_first(store: LocalMediaStore, tmp_path: Path) -> None:
    store_vehicle(store)
    export(VEHICLE, "okla_listing", tmp_path / "out", store)
    store_vehicle(store, quality=Quality(score=10, issues=("finger",)))
    made_again = export(VEHICLE, "okla_listing", tmp_path / "out", store)
    assert len(made_again.files) == 3
    assert broken_rules(tmp_path / "out") == []


def test_a_folder_of_others_is_left_alone(store: LocalMediaStore, tmp_path: Path) -> None:
    store_vehicle(store)
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(BadInput, match="--to"):
        export(VEHICLE, "okla_listing", tmp_path, store)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".jpg"] == ["holiday.jpg"]


def test_what_is_not_known_is_named(store: LocalMediaStore, tmp_path: Path) -> None:
    with pytest.raises(UnknownVehicle, match=f"there is no vehicle {VEHICLE}"):
        export(VEHICLE, "okla_listing", tmp_path, store)
    store.put(f"{keys.raw_photos(VEHICLE)}a.jpg", b"1")
    with pytest.raises(BadInput, match=r"no listing\.json"):
        export(VEHICLE, "okla_listing", tmp_path, store)
    with pytest.raises(BadInput, match="meta_vehicle_catalog"):
        export(VEHICLE, "ebay", tmp_path, store)


def test_the_names_of_a_hundred_pictures_sort_in_the_channels_order(
    store: LocalMediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = store_vehicle(store)
    accepted = tuple([2] * 100)
    monkeypatch.setattr(
        "okla_assets.operations.export.verdict",
        lambda *_: ChannelVerdict(accepted=accepted, refused=()),
    )
    data = export(VEHICLE, "okla_listing", tmp_path / "out", store).files
    assert listing.photos
    assert [file.name for file in data] == sorted(file.name for file in data)
    assert data[0].name == f"{VEHICLE}_001.jpg"


@pytest.mark.parametrize(
    "manifest",
    ["no JSON", "[]", '{"name": "A web app"}', '{"channel": "x", "files": [{"file": "../a"}]}'],
)
def test_a_folder_of_somebody_elses_is_left_alone(
    store: LocalMediaStore, tmp_path: Path, manifest: str
) -> None:
    store_vehicle(store)
    (tmp_path / "a").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / MANIFEST).write_text(manifest)
    with pytest.raises(BadInput, match="of no export of ours; give another folder with --to"):
        export(VEHICLE, "okla_listing", out, store)
    assert (tmp_path / "a").exists()
