"""What all routers share: how a job is asked for, waited for and told of."""

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from okla_assets import keys
from okla_assets.doors.callers.caller import Caller, Callers, Scope
from okla_assets.doors.errors import BadAddress, DoorError
from okla_assets.doors.fetching.addresses import CannotFetch
from okla_assets.doors.jobs.record import Job, Jobs, OtherRequest, UnknownJob, new_id
from okla_assets.doors.jobs.requests import JobRequest, Source, checked
from okla_assets.doors.links import Links
from resources.errors import BadInput
from resources.storage.media_store import MediaStore

CHUNK = 1 << 20
LONGEST_POLL = 0.25


@dataclass(frozen=True)
class Upload:
    """A file that came with a request, on this machine until it is stored."""

    path: Path
    sha256: str
    size: int
    name: str = ""


@dataclass(frozen=True)
class Door:
    """The one way in. `woken` is called when a job was accepted, so that it need not be found.

    `url` is where callers reach us; empty: where the request came to. `wait_seconds` is how long a
    synchronous call waits for its result. `instance` has the records of runs.
    `counts` says how many jobs have not ended, by state.
    `check_url` raises `CannotFetch` for a URL that is never called, whatever its name leads to.
    """

    store: MediaStore
    jobs: Jobs
    callers: Callers
    links: Links
    url: str = ""
    wait_seconds: float = 60.0
    upload_bytes: int = 500 * 2**20
    photo_bytes: int = 50 * 2**20
    woken: Callable[[keys.JobId], object] = field(default=lambda job: None)
    counts: Callable[[], Mapping[str, int]] = field(default=dict)
    instance: Callable[[], dg.DagsterInstance] | None = None
    check_url: Callable[[str], object] = field(default=lambda url: None)

    def base(self, request: Request) -> str:
        """The door's address as the caller knows it."""
        return self.url or str(request.base_url).rstrip("/")

    def caller(self, request: Request, scope: Scope = "jobs") -> Caller:
        """Who sent the request; who was let in before is not counted again. Raises `DoorError`.

        It may take seconds, so that `async` functions call it in a thread.
        """
        known: dict[Scope, Caller] = request.scope.setdefault("okla.callers", {})
        if scope not in known:
            known[scope] = self.callers.of(request, scope)
            request.state.caller = known[scope].name
        return known[scope]

    async def accept(
        self,
        caller: Caller,
        *,
        uploads: Sequence[Upload] = (),
        job_id: str | None = None,
        **fields: Any,
    ) -> Job:
        """The job of these fields of `JobRequest`; `uploads` become its first sources.

        It is durable when this returns, and the uploads' files are gone. `job_id` is one that the
        caller gives. Raises `DoorError`: 400 for fields that cannot be used, 403 for another's
        vehicle, 409 for another's id.
        """
        try:
            return await run_in_threadpool(self._accept, caller, uploads, job_id, fields)
        finally:
            for one in uploads:
                one.path.unlink(missing_ok=True)

    def _accept(
        self, caller: Caller, uploads: Sequence[Upload], job_id: str | None, fields: dict[str, Any]
    ) -> Job:
        try:
            named = None if job_id is None else keys.parse_job_id(job_id)
        except keys.BadJobId as error:
            raise DoorError(400, str(error), fields={"jobId": [str(error)]}) from None
        random = named is None and fields.get("idempotency") is None
        named = named or new_id(caller.name, fields.get("idempotency"))
        prefix = keys.inbox_files(named)
        files = {prefix + one.sha256: one for one in uploads}
        came = [Source(file=prefix + one.sha256, name=one.name[-255:]) for one in uploads]
        try:
            sources = (*came, *(Source.model_validate(one) for one in fields.pop("sources", ())))
            request = checked(**fields, sources=sources, caller=caller.name)
        except (BadInput, ValueError) as error:
            raise DoorError(400, str(error)) from None
        self._check_urls(request)
        if request.vehicle_id is not None:
            self.claim(request.vehicle_id, caller)
        # What is sent again counts once, also where both come at the same moment.
        pictures = max(1, len(request.sources))
        counted = random or self.jobs.find(named) is None
        if counted:
            self.callers.counts(caller, pictures)
        new = False
        try:
            for key, one in files.items():
                if self.store.stat(key) is None:
                    self.store.put_file(key, one.path, durable=True)
            job, new = self.jobs.accept(request, named, random=random)
        except OtherRequest as error:
            self._delete_after_the_end(named, files)
            raise DoorError(409, str(error)) from None
        finally:
            if counted and not new:
                self.callers.uncounts(caller, pictures)
        if new:
            self.woken(job.job_id)
        else:
            self._delete_after_the_end(named, files)
        return job

    def _delete_after_the_end(self, job_id: keys.JobId, files: Iterable[str]) -> None:
        """Deletes what was sent for a job that has ended; one that has not needs its files, and
        its end removes them all."""
        if self.jobs.ended(job_id) is not None:
            for key in files:
                self.store.delete(key)

    def _check_urls(self, request: JobRequest) -> None:
        urls = {i: source.url for i, source in enumerate(request.sources)}
        for index, url in ({None: request.callback} | urls).items():
            try:
                if url is not None:
                    self.check_url(url)
            except CannotFetch as error:
                name = "callback" if index is None else f"sources.{index}.url"
                said = f"{name}: {error.detail}"
                fields = {name: [error.detail]}
                raise BadAddress(
                    400, said, fields=fields, source=index, reason=error.code
                ) from None

    def claim(self, vehicle: keys.VehicleId, caller: Caller) -> None:
        """Makes a new vehicle the caller's. Raises `DoorError` 403 where it is another's.

        A vehicle belongs to the caller that first named it; one that came in by a folder or a
        bucket, to callers that see all.
        """
        owner = self.jobs.owner_of(vehicle)
        if owner is None and self._may_have(vehicle, caller):
            owner = self.jobs.own(vehicle, caller.name)
        elif owner == caller.name:
            self.jobs.list_for(owner, vehicle)
        if caller.sees not in (None, owner):
            raise _of_another(vehicle)

    def check_claim(self, vehicle: keys.VehicleId, caller: Caller) -> None:
        """Raises what `claim` would, and changes nothing: before files are received."""
        owner = self.jobs.owner_of(vehicle)
        free = owner is None and self._may_have(vehicle, caller)
        if not free and caller.sees not in (None, owner):
            raise _of_another(vehicle)

    def _may_have(self, vehicle: keys.VehicleId, caller: Caller) -> bool:
        return caller.sees is None or self.is_new(vehicle)

    def is_new(self, vehicle: keys.VehicleId) -> bool:
        """Whether nothing of it is here."""
        folders = (keys.raw_folder(vehicle), keys.processed_folder(vehicle))
        return all(next(iter(self.store.list(folder)), None) is None for folder in folders)

    def may_see(self, vehicle: keys.VehicleId, caller: Caller) -> bool:
        """Whether the vehicle is the caller's."""
        return caller.sees is None or self.jobs.owner_of(vehicle) == caller.sees

    async def job(self, job_id: str, caller: Caller | None) -> Job:
        """The caller's job; None sees all. Raises `DoorError` 404."""
        try:
            return await run_in_threadpool(
                self.jobs.get, job_id, None if caller is None else caller.sees
            )
        except UnknownJob as error:
            raise DoorError(404, str(error)) from None

    async def wait(self, job: Job, seconds: float | None = None) -> Job:
        """The job when it has ended, or as it is after so many seconds."""
        until = time.monotonic() + (self.wait_seconds if seconds is None else seconds)
        pause = 0.02
        while not job.has_ended and time.monotonic() < until:
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, LONGEST_POLL)
            job = await run_in_threadpool(self.jobs.get, job.id)
        return job

    async def upload(self, file: UploadFile, largest: int | None = None) -> Upload:
        """A multipart file, copied to disk a piece at a time. Raises `DoorError` 413."""
        limit = largest or self.upload_bytes

        async def pieces() -> Any:
            while piece := await file.read(CHUNK):
                yield piece

        return await self.received(pieces(), limit, file.filename or "")

    async def received(self, pieces: Any, limit: int, name: str = "") -> Upload:
        """What arrives, piece by piece, as a file on this machine. Raises `DoorError` 413."""
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(prefix="okla-upload-", delete=False) as out:
            path = Path(out.name)
            try:
                async for piece in pieces:
                    size += len(piece)
                    if size > limit:
                        raise DoorError(
                            413, f"the file is larger than {limit >> 20} MB; send a smaller one"
                        )
                    digest.update(piece)
                    await run_in_threadpool(out.write, piece)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return Upload(path, digest.hexdigest(), size, name)


def _of_another(vehicle: keys.VehicleId) -> DoorError:
    return DoorError(403, f"vehicle {vehicle} belongs to another caller")


def door_of(request: Request) -> Door:
    """The door of the application that answers the request."""
    door = request.app.state.door
    assert isinstance(door, Door)
    return door
