"""What a person is told of the whole and of one vehicle."""

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.definitions import build_definitions, runner_of
from okla_assets.operations.archive import archive
from okla_assets.operations.status import of_vehicle, overview
from okla_assets.vehicle_runs import vehicles
from tests.denied import deny
from tests.fakes import Pipeline, Quiet
from tests.runs_made import listing_of, mark_run, publish, record_listing

RECIPE = "0123456789abcdef"


class FullDisk(Quiet):
    def step(self, title: str, total: int) -> None:
        raise OSError("the disk is full\nhere is more")


def vehicle_id(name: str) -> keys.VehicleId:
    return keys.parse_vehicle_id(name)


@pytest.fixture
def fleet(pipeline: Pipeline) -> Pipeline:
    """Vehicles in every state."""
    for name, status in (("good", "ready"), ("fine", "ready"), ("look", "needs_review")):
        vehicle = vehicle_id(name)
        pipeline.upload({"a.jpg": b"1"}, vehicle)
        pipeline.instance.add_dynamic_partitions(str(vehicles.name), [vehicle])
        publish(pipeline.store, listing_of(vehicle, status=status))
        record_listing(pipeline.instance, vehicle, f"{status}.{RECIPE}.digest")
    for name in ("new", "sold"):
        pipeline.upload({"a.jpg": b"1"}, vehicle_id(name))
    archive(vehicle_id("sold"), pipeline.store, pipeline.instance)
    resources = pipeline.models | {"store": pipeline.store, "progress": FullDisk()}
    runner = runner_of(build_definitions("local", **resources))
    for name in ("broken", "fine"):
        pipeline.upload({"a.jpg": b"1"}, vehicle_id(name))
        runner.run(vehicle_id(name), pipeline.store, pipeline.instance, "upload")
    record_listing(pipeline.instance, vehicle_id("fine"), f"ready.{RECIPE}.digest")  # made good
    mark_run(pipeline.instance, vehicle_id("queued"), dg.DagsterRunStatus.NOT_STARTED)
    mark_run(pipeline.instance, vehicle_id("running"), dg.DagsterRunStatus.STARTED)
    return pipeline


def test_the_whole(fleet: Pipeline) -> None:
    whole = overview(fleet.instance, fleet.store)
    assert whole.waiting == 1
    assert [line.vehicle for line in whole.waiting_runs] == ["queued"]
    assert whole.new_uploads == ("new",)
    assert [line.vehicle for line in whole.running] == ["running"]
    (failed,) = whole.failed
    assert (failed.vehicle, failed.step, failed.source) == ("broken", "raw_photos", "upload")
    assert failed.says == "OSError: the disk is full"
    assert whole.listings == {"ready": 2, "needs_review": 1, "failed": 1}
    assert whole.reasons == {"no vehicle was found": 1}


def test_one_vehicle(fleet: Pipeline) -> None:
    broken = of_vehicle(vehicle_id("broken"), fleet.instance, fleet.store)
    assert (broken.state, broken.listing, broken.known) == ("failure", None, True)
    assert broken.last_run is not None
    assert broken.last_run.says == "OSError: the disk is full"
    look = of_vehicle(vehicle_id("look"), fleet.instance, fleet.store)
    assert (look.state, look.listing) == ("never run", "needs_review")
    assert look.reasons == ("exterior_001: no vehicle was found",)
    assert not of_vehicle(vehicle_id("nobody"), fleet.instance, fleet.store).known


def test_one_bad_entry_stops_nothing(fleet: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, processed = fleet.store.folder / "raw", fleet.store.folder / "processed"
    (raw / "loop").symlink_to("loop")
    (raw / "new" / "_ARCHIVED").symlink_to("_ARCHIVED")
    fleet.upload({"a.jpg": b"1"}, vehicle_id("DCIM"))
    deny(monkeypatch, raw / "new", processed / "look" / "listing.json")
    whole = overview(fleet.instance, fleet.store)
    assert whole.new_uploads == ("new",)
    assert whole.listings == {"ready": 2, "needs_review": 1, "failed": 1}
    assert whole.reasons == {}
    assert of_vehicle(vehicle_id("new"), fleet.instance, fleet.store).known
