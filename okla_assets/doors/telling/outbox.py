"""What callers have still to be told: one object a job and way, written before the job ends.

So none is forgotten, whatever is killed when. Whoever sends waits for the job's end: what is posted
here without one is not sent yet. An entry goes only after its message was taken, or given up.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from okla_assets import keys
from okla_assets.doors.fetching.addresses import CannotFetch, target_of
from okla_assets.doors.jobs.record import Job, Jobs
from okla_assets.tables import Row
from resources.errors import BadInput
from resources.storage.media_store import MediaStore, ObjectInfo

Way = Literal["http", "amqp", "dead"]


class Entry(Row):
    """A message that is still to be sent, or that was given up.

    It is `due` at a moment, after so many `attempts`; the time to give up counts from `since`.
    `host` is where it goes to, `said` what came of the last attempt. One that a person asked for
    is sent `again` where it was taken before.
    """

    job: str
    since: datetime
    due: datetime
    attempts: int = 0
    host: str = ""
    said: str = ""
    again: bool = False

    @property
    def job_id(self) -> keys.JobId:
        """The job's id, typed."""
        return keys.JobId(self.job)


def post(store: MediaStore, job: Job) -> None:
    """Notes whom the end of a job is to be told, before `Jobs.end` is called.

    The same again writes the same. Raises ValueError where the job has not ended.
    """
    if job.ended_at is None or not job.has_ended:
        raise ValueError(f"job {job.id} is {job.state}")
    entry = Entry(job=job.id, since=job.ended_at, due=job.ended_at)
    if job.request.reply is not None:
        put(store, "amqp", entry)
    if job.request.callback is not None:
        put(store, "http", entry.model_copy(update={"host": _host(job.request.callback)}))


def send_again(jobs: Jobs, job_id: str) -> None:
    """Has the callback of an ended job sent once more, whatever came of it before.

    The job's record is left to whoever sends, who may be writing it just now. Raises BadInput where
    there is no such job, it has not ended or names no callback.
    """
    job = jobs.get(job_id)
    if not job.has_ended:
        raise BadInput(f"job {job.id} is {job.state}; its callback is sent when it ends")
    if job.request.callback is None:
        raise BadInput(f"job {job.id} names no callback")
    now, host = datetime.now(UTC), _host(job.request.callback)
    # In this order: a callback counts as dead until it is due again.
    put(jobs.store, "http", Entry(job=job.id, since=now, due=now, host=host, again=True))
    remove(jobs.store, "dead", job.job_id)


def put(store: MediaStore, way: Way, entry: Entry) -> None:
    """Writes an entry."""
    data = entry.model_dump_json(exclude_defaults=True).encode()
    store.put(keys.outbox(way, entry.job_id), data, "application/json", durable=True)


def remove(store: MediaStore, way: Way, job_id: keys.JobId) -> None:
    """Removes an entry; one that is gone is no error."""
    store.delete(keys.outbox(way, job_id))


def listed(store: MediaStore, way: Way) -> Iterator[ObjectInfo]:
    """The objects of one way's entries, unread."""
    return store.list(f"{keys.OUTBOX}{way}/")


def read(store: MediaStore, info: ObjectInfo) -> Entry | None:
    """The entry of an object; None where it is gone meanwhile."""
    return _read(store, info.key)


def find(store: MediaStore, way: Way, job_id: keys.JobId) -> Entry | None:
    """The entry of a job; None where it has none."""
    return _read(store, keys.outbox(way, job_id))


def entries(store: MediaStore, way: Way) -> Iterator[Entry]:
    """All entries of one way."""
    for info in listed(store, way):
        if (entry := read(store, info)) is not None:
            yield entry


def _read(store: MediaStore, key: str) -> Entry | None:
    try:
        return Entry.model_validate_json(store.get(key))
    except FileNotFoundError:
        return None
    except ValidationError:  # that it is there is enough to send it
        now = datetime.now(UTC)
        return Entry(job=key.rpartition("/")[2].removesuffix(".json"), since=now, due=now)


def _host(url: str) -> str:
    try:
        return target_of(url).host
    except CannotFetch:
        return ""
