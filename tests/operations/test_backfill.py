"""Which vehicles the nightly backfill takes, and that one bad vehicle spoils nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.definitions import build_definitions, runner_of
from okla_assets.imaging.types import Rgb
from okla_assets.operations import backfill
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.vehicle_runs import SOURCE_TAG, run_tags, vehicles
from resources.errors import BrokenSetup
from resources.models.base import View
from resources.storage.media_store import LocalMediaStore
from sensors.schedules import nightly_backfill
from tests import pictures
from tests.denied import deny
from tests.fakes import FakeViews, Pipeline, Quiet
from tests.runs_made import listing_of, mark_run, publish, record_listing

TONIGHT = date(2026, 3, 1)
QUICK = b'{"promo": false, "auto_hotspots": false}'
CABIN = pictures.jpeg(pictures.cabin())

loads: list[str] = []


@cache
def load(weight: str) -> str:
    """As `resources.models.onnx.load_session`: once a process."""
    loads.append(weight)
    return weight


@dataclass
class LoadingViews(FakeViews):
    """A model that has weights to load."""

    weight: str = "views"

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Any]) -> list[View]:
        load(self.weight)
        return super().classify(photos, boxes)


def vehicle_id(number: int) -> keys.VehicleId:
    return keys.parse_vehicle_id(f"car-{number:02d}")


def upload(pipeline: Pipeline, vehicle: keys.VehicleId, photo: bytes = CABIN) -> None:
    pipeline.upload({"a.jpg": photo}, vehicle)
    pipeline.store.put(keys.options(vehicle), QUICK)
    pipeline.instance.add_dynamic_partitions(str(vehicles.name), [vehicle])


def definitions_of(pipeline: Pipeline) -> dg.Definitions:
    resources = {"progress": Quiet()} | pipeline.models | {"store": pipeline.store}
    return build_definitions("local", **resources)


def runner(pipeline: Pipeline) -> VehicleRunner:
    return runner_of(definitions_of(pipeline))


def due(pipeline: Pipeline, limit: int = 100, **options: Any) -> list[tuple[str, str]]:
    found = backfill.due(
        pipeline.instance, pipeline.store, runner(pipeline).fingerprint(), limit, TONIGHT, **options
    )
    return [(one.vehicle, one.reason) for one in found]


def refreshed(pipeline: Pipeline, *wanted: str) -> list[backfill.Refreshed]:
    return list(backfill.refresh(wanted, runner(pipeline), pipeline.store, pipeline.instance))


@pytest.mark.slow
def test_a_batch_with_a_hopeless_vehicle_makes_the_others(pipeline: Pipeline) -> None:
    """As Dagster runs it: three made, one reported, models loaded once."""
    weight = "of a batch"
    pipeline.models["views"] = LoadingViews(weight=weight)
    every = [vehicle_id(n) for n in range(4)]
    hopeless = every[1]
    for vehicle in every:
        upload(pipeline, vehicle)
    pipeline.store.put(keys.raw_photos(hopeless) + "a.jpg", b"\xff\xd8\xff no photo")
    found = [vehicle for vehicle, _ in due(pipeline)]
    assert found == every
    result = (
        definitions_of(pipeline)
        .resolve_job_def("refresh_vehicles")
        .execute_in_process(
            instance=pipeline.instance,
            run_config=backfill.run_config_for(found)
            | {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )
    assert result.success
    (output,) = [e for e in result.all_events if e.event_type_value == "STEP_OUTPUT"]
    metadata = output.step_output_data.metadata
    assert metadata["made"].value == 3
    assert metadata["failed"].value == 1
    assert metadata["failed_vehicles"].value == hopeless
    assert loads.count(weight) == 1
    for vehicle in every:
        listing = json.loads(pipeline.store.get(keys.listing(vehicle)))
        assert listing["status"] == ("failed" if vehicle == hopeless else "needs_review")
    runs = pipeline.instance.get_runs(dg.RunsFilter(job_name="vehicle_media"))
    assert {run.tags["dagster/partition"] for run in runs} == set(every)
    assert all(run.tags.items() >= run_tags("backfill").items() for run in runs)
    assert runs[0].tags[SOURCE_TAG] == "backfill"
    # Whatever is left is the hopeless one.
    assert due(pipeline) == [(hopeless, "its listing is failed")]


# --- who is due -----------------------------------------------------------------------------------


def present(pipeline: Pipeline, number: int, status: str = "ready") -> keys.VehicleId:
    """A vehicle as the present code leaves it, all its files there; no run is made for it."""
    vehicle = vehicle_id(number)
    upload(pipeline, vehicle)
    fingerprint = runner(pipeline).fingerprint()
    publish(pipeline.store, listing_of(vehicle, status=status, code=fingerprint))
    record_listing(pipeline.instance, vehicle, f"{status}.{fingerprint}.digest")
    return vehicle


def test_who_is_due_and_why(pipeline: Pipeline) -> None:
    present(pipeline, 1)
    present(pipeline, 2, "needs_review")
    failed, older, gone, lost, unread = (present(pipeline, n) for n in range(3, 8))
    record_listing(pipeline.instance, failed, f"failed.{runner(pipeline).fingerprint()}.digest")
    record_listing(pipeline.instance, older, "ready.0123456789abcdef.digest")
    ancient = present(pipeline, 8)
    record_listing(pipeline.instance, ancient, "0123456789abcdef")  # by an earlier release
    for info in list(pipeline.store.list(keys.processed_folder(gone))):
        pipeline.store.delete(info.key)
    pipeline.store.delete(keys.gallery(lost))
    pipeline.store.put(keys.listing(unread), b'{"schema_version": 0}')
    never = vehicle_id(9)
    upload(pipeline, never)
    # Neither of these can be run now.
    emptied, waiting = present(pipeline, 10), vehicle_id(11)
    pipeline.store.delete(keys.raw_photos(emptied) + "a.jpg")
    pipeline.store.delete(keys.options(emptied))
    pipeline.store.delete(keys.gallery(emptied))
    upload(pipeline, waiting)
    mark_run(pipeline.instance, waiting, dg.DagsterRunStatus.NOT_STARTED)
    pipeline.instance.add_dynamic_partitions(str(vehicles.name), ["no vehicle!"])
    assert dict(due(pipeline)) == {
        failed: "its listing is failed",
        older: "older code or weights made it",
        ancient: "older code or weights made it",
        gone: "its files are gone",
        lost: f"1 of its files are gone, first {keys.gallery(lost)}",
        unread: "its listing.json is of another version",
        never: "it was never made",
    }


def test_other_weights_make_everything_due(pipeline: Pipeline) -> None:
    vehicle = present(pipeline, 1)
    assert due(pipeline) == []
    pipeline.models["detector"].version = "2"  # type: ignore[attr-defined]
    assert due(pipeline) == [(vehicle, "older code or weights made it")]


def test_the_oldest_come_first_and_a_limit_holds(pipeline: Pipeline) -> None:
    order = [present(pipeline, n) for n in (3, 1, 2)]
    for vehicle in order:
        record_listing(pipeline.instance, vehicle, "ready.older.digest")
    assert [v for v, _ in due(pipeline)] == order
    assert [v for v, _ in due(pipeline, limit=2)] == order[:2]
    record_listing(pipeline.instance, order[0], "ready.older.digest")
    assert [v for v, _ in due(pipeline, limit=2)] == order[1:]
    (first, *_) = backfill.due(
        pipeline.instance, pipeline.store, runner(pipeline).fingerprint(), 1, TONIGHT
    )
    assert first.made is not None
    assert datetime.now(UTC) - first.made < timedelta(minutes=1)


def test_lost_files_are_looked_for_in_turn(pipeline: Pipeline) -> None:
    every = {present(pipeline, n) for n in range(10)}
    for vehicle in every:
        pipeline.store.delete(keys.listing(vehicle))
    fingerprint = runner(pipeline).fingerprint()
    nights = [
        {
            d.vehicle
            for d in backfill.due(pipeline.instance, pipeline.store, fingerprint, 100, night, 4)
        }
        for night in (TONIGHT + timedelta(days=n) for n in range(3))
    ]
    assert set.union(*nights) == every
    assert sum(map(len, nights)) == len(every)


class FullDisk(Quiet):
    """Every run ends at its first step."""

    error: type[Exception] = OSError

    def step(self, title: str, total: int) -> None:
        raise self.error("the disk is full")


def test_a_run_that_fails_is_tried_again_after_the_others(pipeline: Pipeline) -> None:
    failing, other = (present(pipeline, n) for n in (1, 2))
    for vehicle in (failing, other):
        record_listing(pipeline.instance, vehicle, "ready.older.digest")
    pipeline.models["progress"] = FullDisk()
    (done,) = refreshed(pipeline, failing)
    assert (done.outcome, done.detail) == ("failed", "raw_photos: the disk is full")
    assert due(pipeline) == [
        (other, "older code or weights made it"),
        (failing, "its last run failed"),
    ]
    # Once it has been made, nothing is left of the failure.
    record_listing(pipeline.instance, failing, f"ready.{runner(pipeline).fingerprint()}.digest")
    assert [v for v, _ in due(pipeline)] == [other]


# --- making them ----------------------------------------------------------------------------------


def test_a_batch_goes_on_after_a_bad_vehicle(pipeline: Pipeline) -> None:
    bad, busy, empty = (vehicle_id(n) for n in range(3))
    for vehicle in (bad, busy):
        upload(pipeline, vehicle)
    publish(pipeline.store, listing_of(empty))
    mark_run(pipeline.instance, busy, dg.DagsterRunStatus.STARTED)
    pipeline.models["progress"] = FullDisk()
    done = refreshed(pipeline, "no vehicle!", bad, busy, empty)
    assert [one.outcome for one in done] == ["failed", "failed", "skipped", "skipped"]
    assert "in progress" in done[2].detail
    assert pipeline.store.stat(keys.listing(empty))  # a run would have taken it away


@pytest.mark.slow
def test_an_entry_that_cannot_be_read_stops_no_other(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut, odd, good = (vehicle_id(n) for n in range(3))
    for vehicle in (shut, odd, good):
        upload(pipeline, vehicle)
    raw = pipeline.store.folder / "raw"
    (raw / "loop").symlink_to("loop")
    (raw / odd / "photos" / "loop.jpg").symlink_to("loop.jpg")
    (raw / odd / "photos" / "again").symlink_to(raw / odd)
    deny(monkeypatch, raw / shut)
    done = refreshed(pipeline, shut, odd, good)
    assert [one.outcome for one in done] == ["failed", "made", "made"]
    assert f"raw/{shut}/ may not be read" in done[0].detail
    listing = Listing.model_validate_json(pipeline.store.get(keys.listing(odd)))
    assert {file.source_key.rsplit("/", 1)[-1] for file in listing.refused} == {"loop.jpg", ""}
    assert {v for v, _ in due(pipeline)} == {shut}


def test_a_broken_setup_stops_the_batch(pipeline: Pipeline) -> None:
    class WeightsAreGone(BrokenSetup):
        pass

    class Broken(FullDisk):
        error = WeightsAreGone

    upload(pipeline, vehicle_id(1))
    upload(pipeline, vehicle_id(2))
    pipeline.models["progress"] = Broken()
    with pytest.raises(BrokenSetup, match="the disk is full"):
        refreshed(pipeline, vehicle_id(1), vehicle_id(2))
    assert len(pipeline.instance.get_runs()) == 1


def test_a_database_that_goes_away_is_no_vehicles_fault(pipeline: Pipeline) -> None:
    class Gone(Quiet):
        def step(self, title: str, total: int) -> None:
            raise OperationalError("select 1", None, ConnectionError("no server"))

    upload(pipeline, vehicle_id(1))
    pipeline.models["progress"] = Gone()
    with pytest.raises(BrokenSetup):
        refreshed(pipeline, vehicle_id(1))


def test_a_batch_of_which_nothing_came_through_is_red(pipeline: Pipeline) -> None:
    upload(pipeline, vehicle_id(1))
    pipeline.models["progress"] = FullDisk()
    result = (
        definitions_of(pipeline)
        .resolve_job_def("refresh_vehicles")
        .execute_in_process(
            instance=pipeline.instance,
            run_config=backfill.run_config_for([vehicle_id(1)])
            | {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    )
    assert not result.success


@pytest.mark.slow
def test_a_batch_begins_no_vehicle_after_its_time(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow machine twenty vehicles take longer than a run may."""
    monkeypatch.setattr(backfill, "LONGEST_BATCH", 0.0)
    wanted = [vehicle_id(n) for n in range(3)]
    for vehicle in wanted:
        upload(pipeline, vehicle)
    result = (
        definitions_of(pipeline)
        .resolve_job_def("refresh_vehicles")
        .execute_in_process(
            instance=pipeline.instance,
            run_config=backfill.run_config_for(wanted)
            | {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )
    assert result.success
    (output,) = [e for e in result.all_events if e.event_type_value == "STEP_OUTPUT"]
    metadata = output.step_output_data.metadata
    assert (metadata["made"].value, metadata["left_for_the_next_night"].value) == (1, 2)
    assert [vehicle for vehicle, _ in due(pipeline)] == wanted[1:]


# --- the schedule ---------------------------------------------------------------------------------


def test_the_night_comes_in_bounded_runs_that_uploads_overtake(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A schedule opens its instance by itself: one that forgets is none to it.
    with dg.DagsterInstance.local_temp() as instance:
        pipeline = Pipeline(store, instance)
        monkeypatch.setenv("OKLA_BACKFILL_LIMIT", str(2 * backfill.BATCH + 5))
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 3, 1, 2, tzinfo=UTC),
            resources={"runner": runner(pipeline), "store": store},
        )
        present(pipeline, 1)
        idle = nightly_backfill().evaluate_tick(context)
        assert not idle.run_requests
        assert "whole" in (idle.skip_message or "")
        for n in range(2 * backfill.BATCH + 9):
            upload(pipeline, keys.parse_vehicle_id(f"late-{n:03d}"))
        requests = nightly_backfill().evaluate_tick(context).run_requests or []
    batches = [r.run_config["ops"]["refresh_each"]["config"]["vehicles"] for r in requests]
    assert [len(batch) for batch in batches] == [backfill.BATCH, backfill.BATCH, 5]
    assert len({v for batch in batches for v in batch}) == 2 * backfill.BATCH + 5
    assert len({r.run_key for r in requests}) == 3
    assert all(int(r.tags["dagster/priority"]) < 0 for r in requests)
    assert all(r.tags[SOURCE_TAG] == "backfill" for r in requests)


def test_the_clock_is_the_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nightly_backfill().cron_schedule == "0 2 * * *"
    assert nightly_backfill().default_status is dg.DefaultScheduleStatus.RUNNING
    monkeypatch.setenv("OKLA_BACKFILL_CRON", "30 4 * * 1")
    monkeypatch.setenv("OKLA_BACKFILL_TIMEZONE", "America/Santo_Domingo")
    assert nightly_backfill().cron_schedule == "30 4 * * 1"
    assert nightly_backfill().execution_timezone == "America/Santo_Domingo"
    monkeypatch.setenv("OKLA_BACKFILL_CRON", "at night")
    with pytest.raises(BrokenSetup, match="OKLA_BACKFILL_CRON='at night'"):
        nightly_backfill()


def test_all_are_also_those_that_dagster_has_not_heard_of(pipeline: Pipeline) -> None:
    """But for archived ones, those of jobs, and folders whose name no vehicle can have."""
    known, new, said_ready, retired, of_jobs = map(vehicle_id, range(5))
    upload(pipeline, known)
    for vehicle in (new, said_ready, retired, of_jobs):
        pipeline.upload({"a.jpg": CABIN}, vehicle)
    pipeline.store.put(keys.archived_marker(retired), b"")
    for vehicle in (said_ready, of_jobs):
        pipeline.store.put(keys.jobs_marker(vehicle), b"")
    pipeline.store.put(keys.ready_marker(said_ready), b"")
    pipeline.store.put("raw/a b/photos/a.jpg", CABIN)
    for limit in (None, 5):
        found = backfill.every(pipeline.instance, pipeline.store, limit)
        assert [one.vehicle for one in found] == [known, new, said_ready]
