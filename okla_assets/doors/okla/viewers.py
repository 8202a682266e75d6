"""360° views as OKLA's three generations of pages and services read them: one document for all.

It is made of the vehicle's listing; while there is none, of its newest job that makes a view.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from okla_assets import keys
from okla_assets.contract import Listing, Spin
from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.okla.jobs import KEY_FRAMES, makes_spin, progress
from okla_assets.doors.okla.words import (
    VIEW_STATUS,
    Url,
    frames_wanted,
    spin_error_message,
    spin_made,
    spin_problem,
)
from okla_assets.viewer import gallery

PAGES = "/api/vehicle360/pages/"
TURN_MILLISECONDS = 5000
MOST_SEARCHED = 20
"""Of a vehicle's newest jobs, for the one that makes a view."""
MOST_ZOOM = 5
"""Of our own viewer, for those that bring theirs."""


@dataclass(frozen=True)
class Frame:
    """A picture of the view; `azimuth` in degrees on the vehicle."""

    key: str
    thumbnail_key: str
    azimuth: float


@dataclass(frozen=True)
class View:
    """What there is of a vehicle's 360° view: its frames, or how far its job is."""

    vehicle: keys.VehicleId
    status: str
    frames: tuple[Frame, ...] = ()
    made_from: str = "video"
    created_at: datetime | None = None
    job: Job | None = None
    error: str | None = None
    spots: tuple[dict[str, Any], ...] = ()


def view_of(door: Door, vehicle: keys.VehicleId, caller: Caller | None) -> View | None:
    """The vehicle's view; None where there is nothing of it. `caller` None sees all."""
    listing = _listing(door, vehicle)
    job = _newest(door, vehicle, caller)
    if listing is not None and listing.spin is not None:
        return View(
            vehicle,
            "Completed",
            _frames(listing.spin),
            "photos" if listing.spin.made_from == "photos" else "video",
            listing.generated_at,
            job,
            spots=tuple(_spots(listing, listing.spin)),
        )
    if job is not None:
        return of_job(job)
    if listing is not None:
        return View(vehicle, "Failed", created_at=listing.generated_at, error=listing.spin_reason)
    return None


def of_job(job: Job) -> View:
    """What a job tells of the view that it makes."""
    made = spin_made(job)
    frames = () if made is None else made.frames
    lacks = job.state == "completed" and not frames
    return View(
        job.vehicle_id,
        "Failed" if lacks else VIEW_STATUS[job.state],
        tuple(Frame(frame.key, frame.thumbnail_key, frame.azimuth_deg) for frame in frames),
        "video" if _has_video(job) else "photos",
        job.created_at,
        job,
        spin_error_message(job),
    )


def _has_video(job: Job) -> bool:
    """Whether it is made of a video: one file is, as one photo makes no view."""
    sources = job.request.sources
    return len(sources) == 1 or any(source.video for source in sources)


def _listing(door: Door, vehicle: keys.VehicleId) -> Listing | None:
    try:
        return Listing.model_validate_json(door.store.get(keys.listing(vehicle)))
    except FileNotFoundError:
        return None


def _newest(door: Door, vehicle: keys.VehicleId, caller: Caller | None) -> Job | None:
    for one in islice(door.jobs.of_vehicle(vehicle), MOST_SEARCHED):
        job = door.jobs.find(one.id)
        if job is None or not makes_spin(job):
            continue
        if caller is None or caller.sees in (None, job.request.caller):
            return job
    return None


def _frames(spin: Spin) -> tuple[Frame, ...]:
    small: Sequence[str] = spin.frames
    if spin.sizes:  # the narrowest, and JPEG where that comes in two formats: every page shows it
        small = min(spin.sizes, key=lambda size: (size.width, size.type != "image/jpeg")).frames
    return tuple(map(Frame, spin.frames, small, spin.azimuths_deg))


def _spots(listing: Listing, spin: Spin) -> list[dict[str, Any]]:
    """Hotspots on frames; `x` and `y` in percent, `degrees` of turning until the frame shows."""
    photos = {photo.number: photo for photo in listing.photos}
    step = 360 / len(spin.frames)
    return [
        {
            "id": f"photo-{spot.photo}-frame-{spot.on_frame}",
            "x": round(spot.x * 100, 2),
            "y": round(spot.y * 100, 2),
            "degrees": round(spot.on_frame * step, 2),
            "label": gallery.close_up_name(photos[spot.photo]).es,
            "description": gallery.close_up_name(photos[spot.photo]).en,
            "type": "feature",
            "key": photos[spot.photo].processed_key,
        }
        for spot in listing.hotspots
        if spot.on_frame is not None and photos[spot.photo].processed_key is not None
    ]


def page_url(door: Door, vehicle: keys.VehicleId, base: str) -> str:
    """The page that turns the vehicle, for an <iframe> that has no key: the address is signed, and
    the names that the page loads are relative to it."""
    if door.store.public_base() is not None:
        return door.store.url(keys.spin_page(vehicle))
    signed = parse_qs(urlsplit(door.links.path(keys.processed_folder(vehicle))).query)
    token = f"{signed['expires'][0]}-{signed['signature'][0]}"
    path = keys.spin_page(vehicle).removeprefix(keys.processed_folder(vehicle))
    return f"{base.rstrip('/')}{PAGES}{quote(vehicle)}/{token}/{path}"


def file_of_page(door: Door, vehicle: str, token: str, path: str) -> str | None:
    """The key of a file that such a page loads; None where the address is none of ours."""
    try:
        folder = keys.processed_folder(keys.parse_vehicle_id(vehicle))
    except keys.BadVehicleId:
        return None
    expires, _, signature = token.partition("-")
    if not door.links.allows(folder, expires, signature):
        return None
    return folder + path


def frames_told(view: View, url: Url) -> list[dict[str, Any]]:
    """The frames with all names that their readers have for the same things."""
    step = 360 / len(view.frames) if view.frames else 0
    told = []
    for index, frame in enumerate(view.frames):
        picture, small = url(frame.key), url(frame.thumbnail_key)
        name = f"{round(index * step)}°"
        told.append(
            {
                "index": index,
                "angle": round(index * step, 2),
                "azimuth": frame.azimuth,
                "name": name,
                "label": name,
                "imageUrl": picture,
                "url": picture,
                "thumbnailUrl": small,
                "thumbnail": small,
                "isKeyFrame": index % KEY_FRAMES == 0,
            }
        )
    return told


def document(view: View, url: Url, page: str) -> dict[str, Any]:
    """The one document. What is unknown is left out."""
    frames = frames_told(view, url)
    pictures = [frame["imageUrl"] for frame in frames]
    first = frames[0] if frames else None
    name = view.vehicle if view.job is None else view.job.id
    ready = bool(frames)
    expires = parse_qs(urlsplit(pictures[0]).query).get("expires") if pictures else None
    told: dict[str, Any] = {
        "id": name,
        "viewId": name,
        "jobId": None if view.job is None else view.job.id,
        "vehicleId": view.vehicle,
        "type": view.made_from,
        "status": view.status,
        "isReady": ready,
        "progressPercent": 100 if ready or view.job is None else progress(view.job),
        "errorMessage": None if ready else view.error,
        "frameCount": len(frames),
        "totalFrames": len(frames),
        "extractedFrameCount": len(frames),
        "frameUrls": pictures,
        "extractedFrameUrls": pictures,
        "frames": frames,
        "thumbnailUrl": first and first["thumbnailUrl"],
        "primaryImageUrl": first and first["imageUrl"],
        "spinViewerUrl": page if ready else None,
        "spinEmbedCode": _embed(page) if ready else None,
        "hotspots": [
            {name: value for name, value in spot.items() if name != "key"}
            | {"imageUrl": url(spot["key"])}
            for spot in view.spots
        ],
        "config": {
            "initialFrame": 0,
            "autoRotate": True,
            "autoRotateSpeed": TURN_MILLISECONDS,
            "allowZoom": True,
            "maxZoom": MOST_ZOOM,
            "showControls": True,
            "invertDrag": False,
            "allowDrag": True,
            "showThumbnails": True,
            "hasTransparentBackground": False,
        },
        "createdAt": None if view.created_at is None else view.created_at.isoformat(),
        "expiresAt": _moment(int(expires[0])) if expires else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _embed(page: str) -> str:
    return (
        f'<iframe src="{escape(page)}" title="360°" width="800" height="600" loading="lazy" '
        'style="border:0;max-width:100%" allow="fullscreen"></iframe>'
    )


def job_document(job: Job, url: Url, page: str, job_id: str) -> dict[str, Any]:
    """A job that makes a view; `progress` is a number, for those who want more see
    `progress_told`. `job_id` is the one that was asked for."""
    view, problem = of_job(job), spin_problem(job)
    frames = frames_told(view, url)
    ready = bool(frames)
    total = len(frames) or frames_wanted(job)
    told = {
        "jobId": job_id,
        "id": job_id,
        "vehicleId": view.vehicle,
        "status": view.status,
        "progress": progress(job),
        "progressPercent": progress(job),
        "isComplete": ready,
        "isFailed": view.status in ("Failed", "Cancelled"),
        "totalFrames": total,
        "processedFrames": len(frames),
        "frames": frames,
        "thumbnailUrl": frames[0]["thumbnailUrl"] if frames else None,
        "spinViewerUrl": page if ready else None,
        "errorMessage": view.error,
        "errorCode": None if problem is None else problem.code,
        "createdAt": job.created_at.isoformat(),
        "startedAt": job.started_at and job.started_at.isoformat(),
        "updatedAt": (job.ended_at or job.started_at or job.created_at).isoformat(),
        "completedAt": job.ended_at and job.ended_at.isoformat(),
        "processingTimeMs": job.milliseconds,
    }
    return {name: value for name, value in told.items() if value is not None}


STEPS = {"Pending": "Queued", "Processing": "Making the 360° view", "Completed": "Done"}


def progress_told(told: dict[str, Any]) -> dict[str, Any]:
    """The job's document as the old page polls it: `progress` is an object, and its status has no
    word for a cancelled job."""
    status = "Failed" if told["status"] == "Cancelled" else told["status"]
    return told | {
        "status": status,
        "progress": {
            "percentage": told["progress"],
            "currentStep": STEPS.get(status, status),
            "processedFrames": told["processedFrames"],
            "totalFrames": told["totalFrames"],
        },
    }
