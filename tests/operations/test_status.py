"""What a person is told of the whole and of one vehicle."""

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.definitions import build_definitions, runner_of
from okla_assets.operations import status as work
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
    """Every vehicle by its state, with the reason."""
    fleet.upload({"a.jpg": b"1"}, vehicle_id("DCIM"))
    fleet.store.put("raw/notes-only/photos/readme.txt", b"no photo")
    fleet.instance.add_dynamic_partitions(str(vehicles.name), ["typed by hand"])
    whole = overview(fleet.instance, fleet.store)
    assert {line.vehicle: line.state for line in whole.vehicles} == {
        "broken": "failed",
        "look": "needs_review",
        "DCIM": "left_alone",
        "notes-only": "left_alone",
        "typed by hand": "left_alone",
        "running": "running",
        "queued": "waiting",
        "new": "waiting",
        "fine": "ready",
        "good": "ready",
        "sold": "archived",
    }
    assert whole.counts["ready"] == 2
    assert whole.needs_a_person
    by_name = {line.vehicle: line for line in whole.vehicles}
    broken = by_name["broken"]
    assert (broken.step, broken.source) == ("raw_photos", "upload")
    assert broken.reasons == ("OSError: the disk is full",)
    assert by_name["look"].reasons == ("exterior_001: no vehicle was found",)
    assert "folders of pictures are called" in by_name["DCIM"].reasons[0]
    assert "no photo or video" in by_name["notes-only"].reasons[0]
    assert "okla archive 'typed by hand'" in by_name["typed by hand"].reasons[0]
    assert by_name["running"].run_id
    assert whole.reasons == {"no vehicle was found": 1}


def test_a_listing_without_a_usable_photo_is_failed_as_a_run_that_failed_is(
    pipeline: Pipeline,
) -> None:
    vehicle = vehicle_id("torn")
    pipeline.upload({"a.jpg": b"1"}, vehicle)
    pipeline.instance.add_dynamic_partitions(str(vehicles.name), [vehicle])
    publish(pipeline.store, listing_of(vehicle, status="failed"))
    record_listing(pipeline.instance, vehicle, f"failed.{RECIPE}.digest")
    (line,) = overview(pipeline.instance, pipeline.store).vehicles
    assert (line.state, line.reasons) == ("failed", ("exterior_001: no vehicle was found",))
    one = of_vehicle(vehicle, pipeline.instance, pipeline.store)
    assert one is not None
    assert one.line == line


def test_one_vehicle(fleet: Pipeline) -> None:
    broken = of_vehicle(vehicle_id("broken"), fleet.instance, fleet.store)
    assert broken is not None
    assert (broken.line.state, broken.last_run, broken.listing) == ("failed", "failed", None)
    assert broken.line.reasons == ("OSError: the disk is full",)
    look = of_vehicle(vehicle_id("look"), fleet.instance, fleet.store)
    assert look is not None
    assert (look.line.state, look.last_run, look.listing) == (
        "needs_review",
        "none",
        "needs_review",
    )
    assert look.line.reasons == ("exterior_001: no vehicle was found",)
    for name, state in (("new", "waiting"), ("sold", "archived"), ("running", "running")):
        found = of_vehicle(vehicle_id(name), fleet.instance, fleet.store)
        assert found is not None
        assert found.line.state == state
    assert of_vehicle(vehicle_id("nobody"), fleet.instance, fleet.store) is None


def test_one_bad_entry_stops_nothing(fleet: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, processed = fleet.store.folder / "raw", fleet.store.folder / "processed"
    (raw / "loop").symlink_to("loop")
    (raw / "new" / "_ARCHIVED").symlink_to("_ARCHIVED")
    fleet.upload({"a.jpg": b"1"}, vehicle_id("DCIM"))
    deny(monkeypatch, raw / "new", processed / "look" / "listing.json")
    whole = overview(fleet.instance, fleet.store)
    states = {line.vehicle: line.state for line in whole.vehicles}
    assert states["new"] == "left_alone"
    assert states["look"] == "needs_review"
    assert whole.reasons == {}
    assert whole.counts["ready"] == 2


def test_failures_are_told_however_many_there_are(
    fleet: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the newest have their error read from their runs; waiting ones are all told, too."""
    monkeypatch.setattr(work, "MOST_FAILURES", 1)
    monkeypatch.setattr(work, "PAGE", 1)
    resources = fleet.models | {"store": fleet.store, "progress": FullDisk()}
    runner = runner_of(build_definitions("local", **resources))
    for name in ("broken-2", "broken-3"):
        fleet.upload({"a.jpg": b"1"}, vehicle_id(name))
        runner.run(vehicle_id(name), fleet.store, fleet.instance, "upload")
    mark_run(fleet.instance, vehicle_id("queued-2"), dg.DagsterRunStatus.NOT_STARTED)
    whole = overview(fleet.instance, fleet.store)
    states = {line.vehicle: line.state for line in whole.vehicles}
    assert {states[name] for name in ("broken", "broken-2", "broken-3")} == {"failed"}
    assert states["fine"] == "ready"
    assert {states[name] for name in ("queued", "queued-2")} == {"waiting"}
    told = [line for line in whole.vehicles if line.reasons == ("OSError: the disk is full",)]
    assert len(told) == 1


def test_folders_that_were_not_looked_at_are_counted(
    fleet: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs a request, and archived ones become more and more."""
    assert overview(fleet.instance, fleet.store).not_looked_at == 0
    monkeypatch.setattr(work, "MOST_NEW", 1)
    fleet.upload({"a.jpg": b"1"}, vehicle_id("zzz"))
    fleet.upload({"a.jpg": b"1"}, vehicle_id("DCIM"))
    whole = overview(fleet.instance, fleet.store)
    states = {line.vehicle: line.state for line in whole.vehicles}
    assert states["new"] == "waiting"
    assert not {"sold", "zzz"} & states.keys()
    assert whole.not_looked_at == 2
    assert states["DCIM"] == "left_alone"


def test_a_vehicle_that_failed_and_was_archived_needs_nobody(fleet: Pipeline) -> None:
    vehicle = vehicle_id("broken")
    archive(vehicle, fleet.store, fleet.instance)
    whole = overview(fleet.instance, fleet.store)
    assert {line.vehicle: line.state for line in whole.vehicles}["broken"] == "archived"
    one = of_vehicle(vehicle, fleet.instance, fleet.store)
    assert one is not None
    assert one.line.state == "archived"
    archive(vehicle, fleet.store, fleet.instance, processed=True, raw=True)
    assert "broken" not in {line.vehicle for line in overview(fleet.instance, fleet.store).vehicles}
