"""What a person at a terminal sees of the commands of operations."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from okla_assets import definitions, keys
from okla_assets.cli import app
from okla_assets.runtime.instance import open_instance
from okla_assets.vehicle_runs import vehicles
from resources import weights
from resources.profiles import resources_for
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.conftest import REPOSITORY
from tests.fakes import fake_models


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Okla = Callable[..., Said]
CAR, TORN = keys.parse_vehicle_id("car-1"), keys.parse_vehicle_id("torn")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A media folder with a good vehicle and one whose only photo is none, never run."""
    media = tmp_path_factory.mktemp("media")
    home = media / ".dagster"
    home.mkdir()
    shutil.copyfile(REPOSITORY / "dagster.yaml", home / "dagster.yaml")
    store = LocalMediaStore(root=str(media))
    for vehicle, photo in ((CAR, pictures.jpeg(pictures.car())), (TORN, b"no picture")):
        store.put(keys.raw_photos(vehicle) + "a.jpg", photo)
        store.put(keys.options(vehicle), b'{"promo": false}')
    return media


@pytest.fixture
def okla(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path) -> Okla:
    """Runs the command in this process, on fake models."""
    models = fake_models()
    monkeypatch.setattr(definitions, "resources_for", lambda name: resources_for(name) | models)
    monkeypatch.setattr(weights, "ensure", lambda *_: {})
    monkeypatch.setenv("OKLA_MEDIA_DIR", str(place))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("OKLA_PROFILE", raising=False)

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["okla", *arguments])
        capsys.readouterr()
        code: object = 0
        try:
            app.main()
        except SystemExit as end:
            code = end.code
        assert isinstance(code, int)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


def test_a_working_day(okla: Okla, place: Path) -> None:
    """Backfill, status, trace and archive, one after the other on the same vehicles."""
    with open_instance(place) as instance:
        instance.add_dynamic_partitions(str(vehicles.name), [CAR, TORN])
    said = okla("backfill", "--dry-run")
    assert said.code == 0
    assert "2 vehicles are due" in said.out
    assert "it was never made" in said.out
    assert not (place / keys.listing(CAR)).exists()

    said = okla("backfill")
    assert said.code == 1
    assert f"1/2 {CAR}: made: ready" in said.out
    assert f"2/2 {TORN}: failed: none of the 1 uploaded files could be used" in said.out
    assert (place / keys.listing(CAR)).exists()
    assert "1 vehicles are due" in okla("backfill", "--dry-run").out

    said = okla("status")
    assert said.code == 0
    assert "waiting: 0 runs, 0 new folders" in said.out
    assert "vehicles: 1 failed, 1 ready" in said.out
    assert json.loads(okla("status", "--json").out)["listings"] == {"ready": 1, "failed": 1}
    assert "listing: failed" in okla("status", "--vehicle", TORN).out

    photo = keys.processed_photo(CAR, "exterior", 1, "jpg")
    said = okla("trace", str(place / photo))
    assert said.code == 0
    assert f"made of {keys.raw_photos(CAR)}a.jpg: sha256 " in said.out
    assert "asset composites, asked for by backfill" in said.out
    traced = json.loads(okla("trace", photo, "--json").out)
    assert traced["sources"][0]["now"] == "unchanged"
    assert traced["options"]["promo"] is False

    said = okla("archive", CAR, "--processed")
    assert said.code == 0
    assert f"{CAR}: archived" in said.out
    assert not (place / "processed" / CAR).exists()
    assert (place / keys.archived_marker(CAR)).exists()
    assert CAR not in okla("backfill", "--all", "--dry-run").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backfill", "no vehicle!"], "is not usable"),
        (["backfill", "a", "--all"], "not both"),
        (["backfill", "--profile", "quantum"], "there is no profile 'quantum'"),
        (["status", "--vehicle", "nobody"], "there is no vehicle nobody"),
        (["trace", "raw/car-1/photos/a.jpg"], "names no finished file"),
        (["archive", "../etc"], "is not usable"),
    ],
)
def test_mistakes_are_one_sentence(okla: Okla, arguments: list[str], said: str) -> None:
    result = okla(*arguments)
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err
