"""Runs that a person starts in Dagster's UI for what is no vehicle: each gets a sentence."""

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.definitions import build_definitions
from okla_assets.operations.failures import problem_of
from okla_assets.vehicle_runs import LISTING, vehicles
from tests.fakes import Pipeline, Quiet


def definitions(pipeline: Pipeline) -> dg.Definitions:
    return build_definitions(
        "local", **(pipeline.models | {"store": pipeline.store, "progress": Quiet()})
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("typed by hand", "is not usable.*`okla archive 'typed by hand'` removes the partition"),
        ("nobody-1", "there is no vehicle nobody-1: nothing lies in raw/nobody-1/.*okla archive"),
    ],
)
def test_a_partition_that_is_no_vehicle(pipeline: Pipeline, name: str, sentence: str) -> None:
    pipeline.instance.add_dynamic_partitions(str(vehicles.name), [name])
    job = definitions(pipeline).resolve_job_def("vehicle_media")
    ran = job.execute_in_process(
        partition_key=name, instance=pipeline.instance, raise_on_error=False
    )
    assert not ran.success
    assert list(pipeline.store.list("processed/")) == []
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(problem_of(pipeline.instance, ran.run_id).error)


@pytest.mark.parametrize("check", ["listing_status", "listing_valid"])
def test_a_check_without_a_vehicle(pipeline: Pipeline, check: str) -> None:
    everything = definitions(pipeline).resolve_implicit_global_asset_job_def()
    job = everything.get_subset(
        asset_selection=set(), asset_check_selection={dg.AssetCheckKey(LISTING, check)}
    )
    ran = job.execute_in_process(instance=pipeline.instance, raise_on_error=False)
    assert not ran.success
    error = problem_of(pipeline.instance, ran.run_id).error
    assert error.startswith("no vehicle was chosen: a partition is one vehicle")
    assert "Partitions tab" in error


def test_tags_for_machines_are_hidden(pipeline: Pipeline) -> None:
    vehicle = keys.parse_vehicle_id("torn")
    pipeline.upload({"a.jpg": b"no picture"}, vehicle)
    pipeline.run(vehicle, {"okla/source": "process"})
    (run,) = pipeline.instance.get_runs()
    shown = {name for name in run.tags if not name.startswith((".dagster/", "dagster/"))}
    assert shown == {"okla/source"}
    assert any("run_key" in name for name in run.tags)


@pytest.mark.parametrize("damage", ["gone", "torn"])
def test_a_listing_that_is_not_there_fails_its_check_and_not_the_run(
    pipeline: Pipeline, damage: str
) -> None:
    """A run that fails would be told by an alert, and put an empty listing there."""
    vehicle = keys.parse_vehicle_id("emptied")
    pipeline.instance.add_dynamic_partitions(str(vehicles.name), [vehicle])
    if damage == "torn":
        pipeline.store.put(keys.listing(vehicle), b"{}")
    job = (
        definitions(pipeline)
        .resolve_implicit_global_asset_job_def()
        .get_subset(
            asset_selection=set(),
            asset_check_selection={dg.AssetCheckKey(LISTING, "listing_valid")},
        )
    )
    ran = job.execute_in_process(
        partition_key=vehicle, instance=pipeline.instance, raise_on_error=False
    )
    assert ran.success
    (evaluation,) = ran.get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    assert keys.listing(vehicle) in str(evaluation.description)
