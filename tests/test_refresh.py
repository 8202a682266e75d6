"""Which vehicles the nightly backfill takes, and that one bad vehicle spoils nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import dagster as dg

from okla_assets import keys, refresh
from okla_assets.definitions import build_definitions, runner_of
from okla_assets.jobs import SOURCE_TAG, run_tags
from okla_assets.partitions import vehicles
from okla_assets.run_here import VehicleRunner
from resources.models.base import Rgb, View
from tests import pictures
from tests.fakes import FakeViews, Pipeline, Quiet

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
    """A model that has weights to load, and can break."""

    weight: str = "views"
    broken: set[int] = field(default_factory=set)

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
    return build_definitions(
        "local", **(pipeline.models | {"store": pipeline.store, "progress": Quiet()})
    )


def runner(pipeline: Pipeline) -> VehicleRunner:
    return runner_of(definitions_of(pipeline))


def due(pipeline: Pipeline, limit: int = 100, **options: Any) -> list[tuple[str, str]]:
    found = refresh.due(
        pipeline.instance, pipeline.store, runner(pipeline).recipe(), limit, TONIGHT, **options
    )
    return [(one.vehicle, one.reason) for one in found]


def refreshed(pipeline: Pipeline, *wanted: str) -> list[refresh.Refreshed]:
    return list(refresh.refresh(wanted, runner(pipeline), pipeline.store, pipeline.instance))


def test_twelve_vehicles_one_of_them_hopeless(pipeline: Pipeline) -> None:
    """The batch as Dagster runs it: eleven made, one reported, models loaded once."""
    weight = "twelve"
    pipeline.models["views"] = LoadingViews(weight=weight)
    every = [vehicle_id(n) for n in range(12)]
    for vehicle in every:
        upload(pipeline, vehicle)
    pipeline.store.put(keys.raw_photos(every[4]) + "a.jpg", b"\xff\xd8\xff no photo")
    found = [vehicle for vehicle, _ in due(pipeline)]
    assert found == every
    result = (
        definitions_of(pipeline)
        .resolve_job_def("refresh_vehicles")
        .execute_in_process(
            instance=pipeline.instance,
            run_config=refresh.run_config_for(found)
            | {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )
    assert result.success
    (output,) = [e for e in result.all_events if e.event_type_value == "STEP_OUTPUT"]
    metadata = output.step_output_data.metadata
    assert metadata["made"].value == 11
    assert metadata["failed"].value == 1
    assert metadata["failed_vehicles"].value == every[4]
    assert loads.count(weight) == 1
    for vehicle in every:
        listing = json.loads(pipeline.store.get(keys.listing(vehicle)))
        assert listing["status"] == ("failed" if vehicle == every[4] else "needs_review")
    runs = pipeline.instance.get_runs(dg.RunsFilter(job_name="vehicle_media"))
    assert {run.tags["dagster/partition"] for run in runs} == set(every)
    assert all(run.tags.items() >= run_tags("backfill").items() for run in runs)
    assert runs[0].tags[SOURCE_TAG] == "backfill"
    # Whatever is left is the hopeless one.
    assert due(pipeline) == [(every[4], "its listing is failed")]
