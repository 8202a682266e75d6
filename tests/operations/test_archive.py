"""Retired vehicles: what goes, what stays, and what brings one back."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.operations.archive import archive, archive_vehicles, is_archived, would_remove
from okla_assets.vehicle_runs import vehicles
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore
from resources.storage.stores import store_for
from tests.fakes import VEHICLE
from tests.runs_made import listing_of, mark_run, publish
from tests.s3_servers import Front

PHOTO = f"{keys.raw_photos(VEHICLE)}a.jpg"
OTHER = keys.parse_vehicle_id("other")


@pytest.fixture
def made(store: LocalMediaStore, instance: dg.DagsterInstance) -> LocalMediaStore:
    """Two vehicles with everything a run leaves."""
    for vehicle in (VEHICLE, OTHER):
        instance.add_dynamic_partitions(str(vehicles.name), [vehicle])
        store.put(keys.raw_photos(vehicle) + "a.jpg", b"1")
        store.put(keys.table(vehicle, "masks"), b"{}")
        store.put(keys.private_file(vehicle, "photos", "0" * 64, "jpg"), b"1")
        publish(store, listing_of(vehicle))
    return store


def left(store: LocalMediaStore, vehicle: keys.VehicleId = VEHICLE) -> set[str]:
    return {info.key for info in store.list("") if f"/{vehicle}/" in info.key}


def partitions(instance: dg.DagsterInstance) -> list[str]:
    return list(instance.get_dynamic_partitions(str(vehicles.name)))


def archived(store: LocalMediaStore) -> bool:
    return is_archived(VEHICLE, store.list(keys.raw_folder(VEHICLE)))


def test_working_files_and_the_partition_go(
    made: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    before = left(made, OTHER)
    assert archive(VEHICLE, made, instance) == 2
    finished = {keys.listing(VEHICLE), keys.gallery(VEHICLE)}
    assert left(made) == {PHOTO, keys.archived_marker(VEHICLE), *finished}
    assert partitions(instance) == [OTHER]
    assert left(made, OTHER) == before
    assert archived(made)


def test_a_vehicle_of_a_bucket_leaves_by_one_request_a_file(
    front: Front, s3_place: str, instance: dg.DagsterInstance
) -> None:
    bucket = store_for(s3_place)
    instance.add_dynamic_partitions(str(vehicles.name), [VEHICLE])
    bucket.put(keys.raw_photos(VEHICLE) + "a.jpg", b"1")
    made = [
        keys.private_file(VEHICLE, "photos", f"{n:02}".ljust(64, "0"), "jpg") for n in range(20)
    ]
    for key in made:
        bucket.put(key, b"1")
    front.seen.clear()
    assert archive(VEHICLE, bucket, instance) == 20
    assert len(front.requests("DELETE")) == 20
    assert front.requests("HEAD") == []
    assert list(bucket.list("private/")) == []


def test_what_buyers_see_goes_on_request(
    made: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    archive(VEHICLE, made, instance)
    assert archive(VEHICLE, made, instance, processed=True) == 2
    assert left(made) == {PHOTO, keys.archived_marker(VEHICLE)}


def test_uploads_go_on_request_and_leave_no_marker(
    made: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    archive(VEHICLE, made, instance, processed=True, raw=True)
    assert left(made) == set()
    with pytest.raises(BadInput, match="there is no vehicle"):
        archive(VEHICLE, made, instance)


def test_what_was_drawn_for_its_jobs_goes_with_what_buyers_see(
    made: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    """Plates may be seen on it; it lies beside the vehicle's own folders."""
    drawn = {}
    for vehicle in (VEHICLE, OTHER):
        job = keys.JobId(str(uuid.uuid4()))
        name = keys.job_in_list(job, datetime.now(UTC), 1)
        made.put(keys.jobs_of_vehicle(vehicle) + name, b"")
        drawn[vehicle] = keys.job_file(job, "0.png")
        made.put(drawn[vehicle], b"a cut-out")
    archive(VEHICLE, made, instance)
    assert made.stat(drawn[VEHICLE]) is not None
    assert drawn[VEHICLE] in would_remove(VEHICLE, made, instance, processed=True)
    archive(VEHICLE, made, instance, processed=True)
    assert made.stat(drawn[VEHICLE]) is None
    assert made.stat(drawn[OTHER]) is not None


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED], ids=str
)
def test_not_while_a_run_of_it_is_under_way(
    made: LocalMediaStore, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    mark_run(instance, VEHICLE, status)
    before = left(made)
    with pytest.raises(BadInput, match="in progress"):
        archive(VEHICLE, made, instance, processed=True)
    assert left(made) == before
    assert VEHICLE in partitions(instance)
    archive(OTHER, made, instance)


def test_a_newer_upload_brings_it_back(made: LocalMediaStore, instance: dg.DagsterInstance) -> None:
    archive(VEHICLE, made, instance)
    late = [
        replace(info, modified=info.modified + timedelta(days=info.key == PHOTO))
        for info in made.list(keys.raw_folder(VEHICLE))
    ]
    assert archived(made)
    assert not is_archived(VEHICLE, late)
    made.delete(keys.archived_marker(VEHICLE))
    assert not archived(made)


def test_the_job_goes_on_and_names_whom_it_could_not(
    made: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    mark_run(instance, VEHICLE, dg.DagsterRunStatus.STARTED)
    wanted = [VEHICLE, "no vehicle!", OTHER]
    with pytest.raises(dg.Failure, match=f"a run of {VEHICLE} waits.*'no vehicle!'"):
        archive_vehicles.execute_in_process(
            instance=instance,
            resources={"store": made},
            run_config={
                "ops": {"archive_each": {"config": {"vehicles": wanted}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
    assert partitions(instance) == [VEHICLE]
