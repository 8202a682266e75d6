"""Tables between assets: written for whoever asks later, kept for the run that made them."""

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.definitions import build_definitions
from okla_assets.tables import Masks
from okla_assets.vehicle_runs import vehicle_media
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore
from resources.storage.table_io import read_table
from tests import pictures
from tests.fakes import VEHICLE, Pipeline, Quiet

TABLES = keys.table(VEHICLE, "masks").removesuffix("masks.json")


@pytest.fixture
def made(pipeline: Pipeline, asked: list[str]) -> Pipeline:
    """A vehicle that was made; its run's reads are among those asked for."""
    pipeline.store.put(keys.options(VEHICLE), b'{"promo": false}')
    pipeline.upload({"a.jpg": pictures.jpeg(pictures.car())})
    pipeline.run()
    return pipeline


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the objects that are read."""
    read: list[str] = []
    get = LocalMediaStore.get

    def counted(self: LocalMediaStore, key: str) -> bytes:
        read.append(key)
        return get(self, key)

    monkeypatch.setattr(LocalMediaStore, "get", counted)
    return read


def only(pipeline: Pipeline, asset: str) -> dg.ExecuteInProcessResult:
    """A run of one asset, as somebody picks it in Dagster's UI."""
    definitions = build_definitions(
        "local", **(pipeline.models | {"store": pipeline.store, "progress": Quiet()})
    )
    return definitions.resolve_job_def(vehicle_media.name).execute_in_process(
        partition_key=VEHICLE,
        instance=pipeline.instance,
        asset_selection=[dg.AssetKey(asset)],
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


@pytest.mark.slow
def test_the_assets_of_a_run_do_not_read_back_what_it_wrote(
    made: Pipeline, asked: list[str]
) -> None:
    """Only its checks do, each what it is about: Dagster may start one of them alone."""
    assert any(key.startswith("work/") for key in asked)
    read = [key.removeprefix(TABLES) for key in asked if key.startswith(TABLES)]
    of_checks = ["composites", "license_plates", "listing", "raw_photos", "spin_frames"]
    assert sorted(set(read)) == [f"{name}.json" for name in of_checks]
    assert len(read) == 8
    assert len(list(made.store.list(TABLES))) == 10


def test_a_later_run_of_one_asset_reads_what_it_needs_once(
    made: Pipeline, asked: list[str]
) -> None:
    asked.clear()
    assert only(made, "classifications").success
    read = [key.removeprefix(TABLES) for key in asked if key.startswith(TABLES)]
    assert sorted(read) == ["masks.json", "raw_photos.json"]


def test_a_table_that_is_gone_says_what_to_materialize(made: Pipeline) -> None:
    made.store.delete(keys.table(VEHICLE, "masks"))
    with pytest.raises(FileNotFoundError, match="materialize masks for this vehicle first"):
        only(made, "classifications")


def test_a_table_of_another_release_says_what_to_materialize(made: Pipeline) -> None:
    key = keys.table(VEHICLE, "masks")
    made.store.put(key, made.store.get(key).replace(b'"agreement"', b'"agreed"'))
    told = f"{key} is of another release .* materialize masks for this vehicle again"
    with pytest.raises(BadInput, match=told):
        only(made, "classifications")
    with pytest.raises(BadInput, match=told):
        read_table(made.store, key, Masks)
