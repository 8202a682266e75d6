"""What tests of OKLA's contracts share: callers with keys, and ends of jobs, made by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import requests
from starlette.requests import Request

from okla_assets.doors.callers.caller import Caller, Scope
from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.record import Job, State
from okla_assets.doors.jobs.results import (
    DrawnFile,
    JobResult,
    PhotoResult,
    Problem,
    SpinFrameResult,
    SpinResult,
)

CAR = "5f0c2f8e-2f0a-4f7e-9f58-1c2f1a3b4c5d"
IMAGE = "https://photos.example.org/a%20car.jpg"
NOBODY = "11111111-2222-3333-4444-555555555555"


class ByName:
    """Callers whose key is their name; `root` sees all, and `spent` has no pictures left."""

    def of(self, request: Request, scope: Scope) -> Caller:
        name = request.headers.get("x-api-key")
        if name is None:
            raise DoorError(401, "send a key in X-Api-Key")
        if name == "root":
            return Caller(name)
        if scope == "admin":
            raise DoorError(403, "the key is no administrator's")
        return Caller(name, frozenset({"jobs", "vehicles"}))

    def counts(self, caller: Caller, pictures: int) -> None:
        if caller.name == "spent":
            raise DoorError(402, "no pictures are left this month")

    def uncounts(self, caller: Caller, pictures: int) -> None:
        return None

    def left(self, caller: Caller) -> int | None:
        return None


def with_keys(door: Door) -> Door:
    """The same door for callers with keys."""
    return replace(door, callers=ByName())


def put_picture(door: Door, key: str, data: bytes = b"a picture") -> str:
    """A finished file; its key."""
    door.store.put(key, data)
    return key


def end(
    door: Door,
    job: Job,
    state: State = "completed",
    result: JobResult | None = None,
    problem: Problem | None = None,
) -> Job:
    """The job as the dispatcher ends it."""
    now = datetime.now(UTC)
    ended = job.model_copy(
        update={
            "state": state,
            "started_at": now,
            "ended_at": now,
            "result": result,
            "problem": problem,
        }
    )
    door.jobs.end(ended)
    return ended


def image_made(door: Door, job: Job) -> JobResult:
    """A finished photo of the job."""
    folder = f"processed/{job.vehicle}/"
    photo = PhotoResult(
        source=0,
        category="exterior",
        category_confidence=0.97,
        angle="front-quarter",
        angle_confidence=0.91,
        quality=82,
        issues=("dark",),
        plates=1,
        picture=DrawnFile(
            key=put_picture(door, f"{folder}exterior_001_processed.jpg", b"finished"),
            type="image/jpeg",
            width=1600,
            height=1200,
        ),
        matte=DrawnFile(
            key=put_picture(door, f"{folder}exterior_001_mask.png", b"mask"),
            type="image/png",
            width=1600,
            height=1200,
        ),
        thumbnail_key=put_picture(door, f"{folder}thumbnails/exterior_001_thumb.jpg", b"small"),
    )
    return JobResult(photos=(photo,))


def spin_made(door: Door, job: Job, count: int = 8) -> JobResult:
    """A 360° view of the job."""
    folder = f"processed/{job.vehicle}/360-viewer/"
    frames = tuple(
        SpinFrameResult(
            key=put_picture(door, f"{folder}frame_{index + 1:03d}.jpg", b"frame %d" % index),
            thumbnail_key=put_picture(door, f"{folder}frame_{index + 1:03d}_640w.jpg", b"small"),
            azimuth_deg=(38 + index * 360 / count) % 360,
        )
        for index in range(count)
    )
    page = put_picture(door, f"{folder}index.html", b"<p>the page</p>")
    spin = SpinResult(frames=frames, viewer_key=page, width=1600, height=1200)
    return JobResult(spin=spin)


class Client:
    """Calls the door as one caller does."""

    def __init__(self, url: str, key: str = "okla") -> None:
        self.url, self.headers = url, {"X-Api-Key": key}

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        headers = self.headers | more.pop("headers", {})
        return requests.post(self.url + path, json=body, headers=headers, timeout=10, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, headers=self.headers, timeout=10, **more)
