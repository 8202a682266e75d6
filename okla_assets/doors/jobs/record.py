"""Jobs and their one life: accepted, queued, running, and then completed, failed or cancelled.

A job is one object of the media store. While it has not ended it lies in the inbox, which is
therefore short and is all that has to be read after a crash; ended, it lies with the ended ones,
found by its id. Any process may accept a job or ask for its end; all else is written by the one
dispatcher (`dispatcher.py`), and after the end by the one sender of callbacks, so that no two
ever write the same object.

Lists (a vehicle's jobs, a caller's) are empty objects named by time and job, written before the
job itself: a list may name a job that never came to be, never lack one. All records outlive a loss
of power; a list may lack the last jobs of before it where the file system forgets names.
"""

import json
import logging
import uuid
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, ValidationError

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.doors.jobs.requests import JobRequest
from okla_assets.doors.jobs.results import JobResult, Problem
from okla_assets.tables import Row
from resources.errors import BadInput
from resources.storage.media_store import MediaStore

log = logging.getLogger("okla.doors")

State = Literal["accepted", "queued", "running", "completed", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"completed", "failed", "cancelled"})
PROGRESS: dict[State, int] = {
    "accepted": 0,
    "queued": 10,
    "running": 50,
    "completed": 100,
    "failed": 100,
    "cancelled": 100,
}
NAMESPACE = uuid.UUID("5b4f6a4e-2d0c-5d8e-9d5a-6f0f3c1f7a11")
"""Of the ids of jobs that are named by their callers."""


class UnknownJob(BadInput):
    """There is no such job, or none of this caller's."""

    def __init__(self, job: str) -> None:
        super().__init__(f"there is no job {job}")


class OtherRequest(BadInput):
    """The idempotency key, or the id, names another request of before."""

    def __init__(self, job: str) -> None:
        super().__init__(
            f"job {job} was asked for with the same idempotency key or id and another request; "
            "give a new one"
        )


class Delivery(Row):
    """One attempt to tell the caller: `status` of HTTP where there was an answer."""

    at: datetime
    status: int | None = None
    problem: str | None = None
    took_ms: int = 0


class Job(Row):
    """A job's record. `vehicle` is the caller's, or one made for the job.

    `uploads` are the keys below raw/ of its sources, in their order, None where one could not be
    taken over (`refusals` says why). `delivery` tells whether the caller knows of the end.
    """

    id: str
    request: JobRequest
    vehicle: str
    state: State = "accepted"
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    run_id: str | None = None
    progress: int = 0
    uploads: tuple[str | None, ...] = ()
    refusals: dict[int, Problem] = Field(default={})
    result: JobResult | None = None
    problem: Problem | None = None
    delivery: Literal["none", "pending", "delivered", "dead"] = "none"
    deliveries: tuple[Delivery, ...] = ()

    @property
    def job_id(self) -> keys.JobId:
        """The id, typed."""
        return keys.JobId(self.id)

    @property
    def vehicle_id(self) -> keys.VehicleId:
        """The vehicle, typed."""
        return keys.VehicleId(self.vehicle)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more, but for its delivery."""
        return self.state in ENDED

    @property
    def has_succeeded(self) -> bool:
        """Whether it has ended with a result, as all who are told of its end understand it."""
        return self.state == "completed"

    @property
    def pictures(self) -> int:
        """How many it counts as with its caller."""
        return max(1, len(self.request.sources))

    @property
    def milliseconds(self) -> int | None:
        """From the request to the end."""
        if self.ended_at is None:
            return None
        return round((self.ended_at - self.created_at).total_seconds() * 1000)


def new_id(caller: str, idempotency: str | None) -> keys.JobId:
    """A random id; where the caller named the request, that of the name, so that a request sent
    twice is one job."""
    if idempotency is None:
        return keys.JobId(str(uuid.uuid4()))
    return keys.JobId(str(uuid.uuid5(NAMESPACE, f"{caller}\n{idempotency}")))


@dataclass(frozen=True)
class Jobs:
    """All jobs of a media store."""

    store: MediaStore

    def accept(
        self, request: JobRequest, job_id: keys.JobId | None = None, *, random: bool = False
    ) -> tuple[Job, bool]:
        """Writes the job, durably, and returns it; True where it is new.

        The same request with the same id again is the job of before, which is not looked for where
        the id is `random`. Raises `OtherRequest` where the id is another request's or another
        caller's.
        """
        job_id = job_id or new_id(request.caller, request.idempotency)
        known = None if random else self.find(job_id)
        while known is None:
            job = new_job(request, job_id)
            names = names_in_lists(job)
            for name in names:
                self.store.put(name, b"")
            is_new = self.store.put_new(keys.inbox_job(job_id), _json(job), "application/json")
            if is_new:
                known = None if random else self.ended(job_id)
                if known is None:
                    return job, True
                if known.created_at == job.created_at:  # it has ended in this moment
                    return known, True
            # Another process has accepted it since, and may have seen it to its end.
            for name in (*names, *([keys.inbox_job(job_id)] if is_new else [])):
                self.store.delete(name)
            known = known or self.find(job_id)
        if known.request.caller != request.caller or _essence(known.request) != _essence(request):
            raise OtherRequest(job_id)
        return known, False

    def keep(self, job: Job) -> None:
        """Writes a job that has not ended."""
        self.store.put(keys.inbox_job(job.job_id), _json(job), "application/json", durable=True)

    def end(self, job: Job) -> None:
        """Writes a job that has ended; from here on it is with the ended ones.

        Raises ValueError where it has not.
        """
        if not job.has_ended:
            raise ValueError(f"job {job.id} is {job.state}")
        self.keep_ended(job)
        for info in list(self.store.list(keys.inbox_files(job.job_id))):
            self.store.delete(info.key)
        self.store.delete(keys.inbox_cancel(job.job_id))
        self.store.delete(keys.inbox_job(job.job_id))

    def keep_ended(self, job: Job) -> None:
        """Writes an ended job again: what is known of its delivery."""
        self.store.put(keys.ended_job(job.job_id), _json(job), "application/json", durable=True)

    def find(self, job_id: keys.JobId) -> Job | None:
        """The job of this id. One that ends while it is looked for is found."""
        for key in (keys.ended_job(job_id), keys.inbox_job(job_id), keys.ended_job(job_id)):
            try:
                return _read(self.store.get(key))
            except FileNotFoundError:
                continue
        return None

    def get(self, job_id: str, caller: str | None = None) -> Job:
        """The job, of this caller where one is named.

        Raises `UnknownJob`, also where it is another caller's, and for what is no id.
        """
        try:
            job = self.find(keys.parse_job_id(job_id))
        except keys.BadJobId:
            job = None
        if job is None or (caller is not None and job.request.caller != caller):
            raise UnknownJob(job_id[:80])
        return job

    def ask_to_end(self, job: Job) -> None:
        """Asks the dispatcher to cancel it; one that has ended stays as it is."""
        if not job.has_ended:
            self.store.put(keys.inbox_cancel(job.job_id), b"", durable=True)

    def ended(self, job_id: keys.JobId) -> Job | None:
        """The job of this id, if it has ended."""
        try:
            return _read(self.store.get(keys.ended_job(job_id)))
        except FileNotFoundError:
            return None

    def unfinished(self) -> Iterator[Job]:
        """The jobs of the inbox, but for those that cannot be read."""
        return self.look()[0]

    def look(self, but: Container[str] = ()) -> tuple[Iterator[Job], set[str]]:
        """The same without these ids, and the ids of jobs whose end was asked for: by one listing,
        as in a bucket each of them is paid for."""
        listed = [info.key for info in self.store.list(keys.INBOX)]
        ends = {key.removeprefix(keys.CANCELS) for key in listed if key.startswith(keys.CANCELS)}
        return self._unfinished(listed, but), ends

    def _unfinished(self, listed: Iterable[str], but: Container[str]) -> Iterator[Job]:
        for key in listed:
            named = key.removeprefix(keys.INBOX).removesuffix(".json")
            if not key.endswith(".json") or named in but:
                continue
            try:
                yield _read(self.store.get(key))
            except FileNotFoundError:  # ended meanwhile
                continue
            except BadInput as error:  # the others do not wait for whoever repairs it
                log.error("%s", error)

    def of_vehicle(self, vehicle: keys.VehicleId) -> Iterator[keys.ListedJob]:
        """The vehicle's jobs, the newest first; read as far as they are asked for."""
        return self._listed(keys.jobs_of_vehicle(vehicle))

    def of_caller(self, caller: str, month: str | None = None) -> Iterator[keys.ListedJob]:
        """The caller's jobs, of one month (2026-11) or of all, the newest first; likewise."""
        folder = keys.jobs_of_caller(caller)
        months = reversed([*self.store.folders(folder)]) if month is None else (month,)
        for one in months:
            yield from self._listed(keys.jobs_of_caller(caller, one))

    def callers(self) -> Iterator[str]:
        """All that have ever asked for a job."""
        return self.store.folders(keys.jobs_of_all_callers())

    def owner_of(self, vehicle: keys.VehicleId) -> str | None:
        """The caller that brought the vehicle; None where none did."""
        try:
            return self.store.get(keys.vehicle_owner(vehicle)).decode()
        except FileNotFoundError:
            return None

    def own(self, vehicle: keys.VehicleId, caller: str) -> str | None:
        """Notes that the caller has brought the vehicle, unless another was first; its owner."""
        listed = keys.vehicles_of(caller) + vehicle
        self.store.put(listed, b"")
        if self.store.put_new(keys.vehicle_owner(vehicle), caller.encode()):
            return caller
        owner = self.owner_of(vehicle)
        if owner != caller:
            self.store.delete(listed)
        return owner

    def list_for(self, owner: str, vehicle: keys.VehicleId) -> None:
        """Has the vehicle in its owner's list, where it is not since it was deleted."""
        listed = keys.vehicles_of(owner) + vehicle
        if self.store.stat(listed) is None:
            self.store.put(listed, b"")

    def unlist(self, vehicle: keys.VehicleId) -> None:
        """Takes a deleted vehicle from its owner's list; it stays his."""
        owner = self.owner_of(vehicle)
        if owner is not None:
            self.store.delete(keys.vehicles_of(owner) + vehicle)

    def _listed(self, prefix: str) -> Iterator[keys.ListedJob]:
        for info in self.store.list(prefix):
            if (listed := keys.listed_job(info.key)) is not None:
                yield listed


def new_job(request: JobRequest, job_id: keys.JobId) -> Job:
    """The job as it begins, unwritten."""
    vehicle = request.vehicle_id or keys.transient_vehicle(job_id)
    return Job(id=job_id, request=request, vehicle=vehicle, created_at=datetime.now(UTC))


def names_in_lists(job: Job) -> tuple[str, ...]:
    """Keys of the empty objects by which lists have the job."""
    at = job.created_at
    name = keys.job_in_list(job.job_id, at, job.pictures)
    places = (
        keys.jobs_of_vehicle(job.vehicle_id) + name,
        keys.jobs_of_caller(job.request.caller, f"{at:%Y-%m}") + name,
    )
    return places if job.request.vehicle else (*places, keys.transient_job(job.job_id, at))


def _essence(request: JobRequest) -> str:
    """What makes two requests the same: all but the names of files that came with them, and the
    envelope of a message that is sent again."""
    asked = request.model_dump(mode="json", exclude={"door", "metadata", "reply"})
    for source in asked["sources"]:
        if source["file"] is not None:
            source["file"] = source["file"].rpartition("/")[2]
    return digest_of(asked)


def _json(job: Job) -> bytes:
    return job.model_dump_json(exclude_defaults=True).encode()


def _read(data: bytes) -> Job:
    try:
        return Job.model_validate_json(data)
    except ValidationError as error:
        named = json.loads(data).get("id", "?") if data[:1] == b"{" else "?"
        raise BadInput(f"the record of job {named} cannot be read: {error}") from None
