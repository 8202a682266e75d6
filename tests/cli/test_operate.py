"""What a person at a terminal sees of the commands of operations."""

import json
from pathlib import Path

import pytest

from okla_assets import keys
from okla_assets.runtime.instance import open_instance
from okla_assets.vehicle_runs import vehicles
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.cli.conftest import Command

CAR, TORN = keys.parse_vehicle_id("car-1"), keys.parse_vehicle_id("torn")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A media folder with a good vehicle and one whose only photo is none, never run."""
    media = tmp_path_factory.mktemp("media")
    store = LocalMediaStore(root=str(media))
    for vehicle, photo in ((CAR, pictures.jpeg(pictures.car())), (TORN, b"no picture")):
        store.put(keys.raw_photos(vehicle) + "a.jpg", photo)
        store.put(keys.options(vehicle), b'{"promo": false}')
    return media


@pytest.fixture
def okla(command: Command, monkeypatch: pytest.MonkeyPatch, place: Path) -> Command:
    monkeypatch.setenv("OKLA_MEDIA_DIR", str(place))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return command


@pytest.mark.slow
def test_a_working_day(okla: Command, place: Path) -> None:
    """Backfill, status, trace and archive, one after the other on the same vehicles."""
    with open_instance(place) as instance:
        instance.add_dynamic_partitions(str(vehicles.name), [CAR, TORN])
    result = okla("backfill", "--dry-run")
    assert result.code == 0
    assert "2 vehicles are due" in result.out
    assert "it was never made" in result.out
    assert not (place / keys.listing(CAR)).exists()

    result = okla("backfill")
    assert result.code == 1
    assert f"1/2 {CAR}: made: ready" in result.out
    assert f"2/2 {TORN}: failed: none of the 1 uploaded files could be used" in result.out
    assert (place / keys.listing(CAR)).exists()
    assert "1 vehicle is due" in okla("backfill", "--dry-run").out

    result = okla("status")
    assert result.code == 3
    assert "vehicles: 1 failed, 1 ready" in result.out
    assert f"  {TORN}: none of the 1 uploaded files could be used" in result.out
    assert CAR not in result.out
    assert f"  {CAR}" in okla("status", "--state", "ready").out
    told = json.loads(okla("status", "--json").out)
    assert told["counts"] == {"failed": 1, "ready": 1}
    assert [(one["vehicle"], one["state"]) for one in told["vehicles"]] == [
        (TORN, "failed"),
        (CAR, "ready"),
    ]
    assert okla("status", "--vehicle", CAR).code == 0
    result = okla("status", "--vehicle", TORN)
    assert result.code == 3
    assert "listing: failed" in result.out

    photo = keys.processed_photo(CAR, "exterior", 1, "jpg")
    result = okla("trace", str(place / photo))
    assert result.code == 0
    assert f"made of {keys.raw_photos(CAR)}a.jpg: sha256 " in result.out
    assert "asset composites, asked for by backfill" in result.out
    traced = json.loads(okla("trace", photo, "--json").out)
    assert traced["sources"][0]["now"] == "unchanged"
    assert traced["options"]["promo"] is False

    with open_instance(place) as instance:
        instance.add_dynamic_partitions(str(vehicles.name), ["typed by hand"])
    assert "typed by hand: archived" in okla("archive", "typed by hand").out
    result = okla("archive", "typed by hand")
    assert result.code == 2  # it is gone
    result = okla("archive", CAR, "--raw")
    assert result.code == 2
    assert f"Delete the uploads of {CAR} for ever? Nobody can be asked here" in result.err
    there = sorted(place.rglob("*.*"))
    result = okla("archive", CAR, "--raw", "--processed", "--dry-run")
    assert result.code == 0
    assert f"  {keys.raw_photos(CAR)}a.jpg" in result.out
    assert f"  {keys.listing(CAR)}" in result.out
    assert sorted(place.rglob("*.*")) == there
    (told,) = json.loads(okla("archive", CAR, "--dry-run", "--json").out)
    assert keys.listing(CAR) not in told["files"]

    result = okla("archive", CAR, "--processed")
    assert result.code == 0
    assert f"{CAR}: archived" in result.out
    assert not (place / "processed" / CAR).exists()
    assert (place / keys.archived_marker(CAR)).exists()
    assert CAR not in okla("backfill", "--all", "--dry-run").out


def test_what_the_limit_cuts_is_not_called_busy(okla: Command) -> None:
    result = okla("backfill", CAR, TORN, "--limit", "1", "--dry-run")
    assert f"{TORN}: left out, as --limit is 1" in result.err
    assert "a run of it waits" not in result.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["backfill", "no vehicle!"], "is not usable"),
        (["backfill", "a", "--all"], "not both"),
        (["backfill", "--profile", "quantum"], "there is no profile 'quantum'"),
        (["status", "--vehicle", "nobody"], "there is no vehicle nobody"),
        (["status", "--vehicle", "car-1", "--state", "failed"], "not both"),
        (["status", "--state", "red"], "there is no state 'red'; the states are failed, needs"),
        (["archive", "nobody"], "there is no vehicle nobody"),
        (["backfill", "nobody"], "there is no vehicle nobody"),
        (["trace", "nobody"], "there is no vehicle nobody"),
        (["export", "nobody", "--channel", "okla_listing"], "there is no vehicle nobody"),
        (["trace", "raw/car-1/photos/a.jpg"], "names no finished file"),
        (["archive", "../etc"], "is not usable"),
    ],
)
def test_mistakes_are_one_sentence(okla: Command, arguments: list[str], sentence: str) -> None:
    result = okla(*arguments)
    assert result.code == 2
    assert sentence in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["trace", "car-1"],
        ["backfill", "--dry-run"],
        ["archive", "car-1"],
        ["export", "car-1", "--channel", "okla_listing"],
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_a_media_folder_that_is_not_there_is_told_and_not_made(
    okla: Command, tmp_path: Path, arguments: list[str]
) -> None:
    result = okla(*arguments, "--out", tmp_path / "typo")
    assert result.code == 2
    assert f"there is no media folder {tmp_path / 'typo'}; give it by --out" in result.err
    assert result.out == ""
    assert not (tmp_path / "typo").exists()
