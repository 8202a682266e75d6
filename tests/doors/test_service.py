"""What `okla serve` does beside answering: old jobs leave, and where it does not start."""

import socket
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from okla_assets import keys
from okla_assets.asked_runs import AskedRun, ask, asked_for
from okla_assets.cli.serve import serve
from okla_assets.doors.http_process import HttpProcess
from okla_assets.doors.jobs.record import Job, Jobs
from okla_assets.doors.jobs.requests import JobRequest, Operation
from okla_assets.doors.jobs.work import Worker
from okla_assets.doors.service import Plan, remove_files_of_no_job, remove_old, run, sweep
from okla_assets.operations.archive import archive
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.vehicle_runs import vehicles
from resources.errors import BadInput, BrokenSetup, Unreadable
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.fakes import FakeSegmenter
from tests.runs_made import mark_run

DAYS = timedelta(days=7)


def made(store: LocalMediaStore, instance: dg.DagsterInstance, vehicle: str | None = None) -> Job:
    """A job that has ended, with what one leaves."""
    jobs = Jobs(store)
    job, _ = jobs.accept(JobRequest(operation=Operation.classify, vehicle=vehicle))
    for key in (
        keys.raw_photos(job.vehicle_id) + "a.jpg",
        keys.table(job.vehicle_id, "masks"),
        keys.job_file(job.job_id, "0.png"),
    ):
        store.put(key, b"x")
    instance.add_dynamic_partitions(str(vehicles.name), [job.vehicle])
    jobs.end(job.model_copy(update={"state": "completed", "ended_at": datetime.now(UTC)}))
    return job


def of(store: LocalMediaStore, job: Job) -> list[str]:
    """What is left of a job but its record and the lists."""
    return [
        info.key
        for prefix in (keys.RAW, "work/", keys.job_files(job.job_id))
        for info in store.list(prefix)
        if job.id in info.key or f"/{job.vehicle}/" in info.key
    ]


def test_a_job_without_a_vehicle_leaves_when_it_is_old(
    store: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    old, of_a_vehicle = made(store, instance), made(store, instance, "CAR-1")
    jobs, stop = Jobs(store), threading.Event()
    assert remove_old(jobs, instance, DAYS, stop) == 0
    waiting, _ = jobs.accept(JobRequest(operation=Operation.classify))
    assert remove_old(jobs, instance, timedelta(), stop) == 1
    assert of(store, old) == []
    assert not instance.has_dynamic_partition(str(vehicles.name), old.vehicle)
    assert jobs.get(old.id).state == "completed"  # it can still be asked for
    assert of(store, of_a_vehicle) != []
    assert jobs.get(waiting.id).state == "accepted"
    assert remove_old(jobs, instance, timedelta(), stop) == 0


def test_files_of_a_request_that_became_no_job_leave(store: LocalMediaStore) -> None:
    waiting, _ = Jobs(store).accept(JobRequest(operation=Operation.classify))
    kept = keys.inbox_files(waiting.job_id) + "a"
    lost = keys.inbox_files(keys.JobId(str(uuid.uuid4()))) + "a"
    for key in (kept, lost):
        store.put(key, b"a private photo")
    remove_files_of_no_job(store, timedelta(hours=1))  # its job may be about to be written
    assert [one.key for one in store.list(keys.INBOX_FILES)] == sorted((kept, lost))
    remove_files_of_no_job(store, timedelta(seconds=-1))
    assert [one.key for one in store.list(keys.INBOX_FILES)] == [kept]


def test_each_sweep_looks_for_files_of_no_job(
    store: LocalMediaStore, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okla_assets.doors.service.NO_JOBS_AGE", timedelta(seconds=-1))
    store.put(keys.inbox_files(keys.JobId(str(uuid.uuid4()))) + "a", b"a private photo")
    sweep(Jobs(store), instance, Settings(), Once())
    assert list(store.list(keys.INBOX_FILES)) == []


class Once(threading.Event):
    """Is set when it is first waited for."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def end_run(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_canceled(run)


def test_what_cannot_leave_now_leaves_later_and_the_others_now(
    store: LocalMediaStore,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy, unreadable, old, gone = (made(store, instance) for _ in range(4))
    run = mark_run(instance, busy.vehicle_id, dg.DagsterRunStatus.STARTED)
    archive(gone.vehicle_id, store, instance, processed=True, raw=True)
    delete, locked = LocalMediaStore.delete, [True]

    def may_not(self: LocalMediaStore, key: str) -> None:
        if locked and f"/{unreadable.vehicle}/" in key:
            raise Unreadable(f"{key} may not be read")
        delete(self, key)

    monkeypatch.setattr(LocalMediaStore, "delete", may_not)
    jobs, stop = Jobs(store), threading.Event()
    assert remove_old(jobs, instance, timedelta(), stop) == 2
    assert of(store, old) == of(store, gone) == []
    assert of(store, busy) and of(store, unreadable)
    end_run(instance, run)
    locked.clear()
    assert remove_old(jobs, instance, timedelta(), stop) == 2
    assert of(store, busy) == of(store, unreadable) == []
    assert list(store.list(keys.transient_jobs())) == []


def test_a_record_that_cannot_be_read_keeps_no_photo(
    store: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    old = made(store, instance)
    store.put(keys.ended_job(old.job_id), b'{"id": 7}')
    assert remove_old(Jobs(store), instance, timedelta(), threading.Event()) == 1
    assert of(store, old) == []


def test_a_database_that_is_away_ends_no_service(
    store: LocalMediaStore,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = made(store, instance)

    def away(*_: object) -> bool:
        raise OperationalError("select", {}, Exception("no database"))

    monkeypatch.setattr(dg.DagsterInstance, "has_dynamic_partition", away)
    sweep(Jobs(store), instance, Settings(job_days=0), Once())
    assert "old jobs stay for now" in caplog.text
    assert of(store, old) != []


def test_it_listens_to_others_only_with_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okla_assets.cli.serve.ensure_weights", lambda _: None)
    with pytest.raises(BrokenSetup, match="okla keys create"):
        serve(out=str(tmp_path / "media"), host="0.0.0.0", port=0, lanes=1)


def test_a_port_that_is_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okla_assets.cli.serve.ensure_weights", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"127.0.0.1:{port} cannot be listened on"):
            serve(out=str(tmp_path / "media"), host="127.0.0.1", port=port, lanes=1)


def test_runs_that_an_earlier_service_has_asked_for_are_asked_for_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its jobs ask anew, as another attempt: nobody would ever forget the run of the first."""

    def nothing_starts(_: HttpProcess) -> None:
        raise BrokenSetup("no HTTP door")

    monkeypatch.setattr(HttpProcess, "start", nothing_starts)
    store = LocalMediaStore(root=str(tmp_path / "media"))
    ask(store, AskedRun(name="j1.1", vehicle="CAR-1"))

    def worker(instance: dg.DagsterInstance) -> Worker:
        runner = VehicleRunner(lambda: dg.Definitions(), lambda: "")
        return Worker(runner, store, instance, FakeSegmenter())

    out = str(store.folder)
    plan = Plan(out, "local", "127.0.0.1", 0, 0, False, False, worker, lambda _: None)
    with pytest.raises(BrokenSetup, match="no HTTP door"):
        run(plan, store)
    assert list(asked_for(store)) == []
