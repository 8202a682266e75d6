"""A job's sources become uploads of its vehicle, named by their content.

What came with a request, what lies at a URL and what was uploaded before are the same from here on:
files below raw/VEHICLE/. Doing it twice changes nothing, so that a killed intake is begun again.
"""

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from okla_assets import keys
from okla_assets.doors.fetching.addresses import CannotFetch
from okla_assets.doors.fetching.fetch import Fetcher
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Source
from okla_assets.doors.jobs.results import Problem
from okla_assets.imaging.photo.signatures import (
    AVIF_BRANDS,
    HEAD_BYTES,
    HEIF_BRANDS,
    MediaKind,
    iso_brands,
    media_kind,
    raw_head,
)
from okla_assets.options import StudioOptions, merge_options, save_options
from resources.ahead import mapped
from resources.storage.media_store import MediaStore
from resources.storage.odd_entries import BadKey, check_key

NAME_DIGITS = 16
"""Of a file's SHA-256, which its name is made of."""

_MARKING = threading.Lock()
"""Held until a vehicle is marked, before any job stores a file of it: all jobs are taken over by
one process."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8", "jpg"),
    (b"\x89PNG", "png"),
    (b"GIF8", "gif"),
    (b"II", "tif"),
    (b"MM", "tif"),
    (b"8BPS", "psd"),
    (b"BM", "bmp"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\0\0\0\x0cjP  ", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\x1a\x45\xdf\xa3", "mkv"),
    (b"\x30\x26\xb2\x75", "wmv"),
    (b"\0\0\1", "mpg"),
    (b"FLV", "flv"),
    (b"OggS", "ogv"),
    (b".RMF", "rm"),
)


class Unusable(Exception):
    """One source that nothing can be made of, and why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.problem = Problem(code=code, detail=detail)


def take(job: Job, store: MediaStore, fetcher: Fetcher) -> Job:
    """The job with `uploads` and `refusals`, one of the two for each source, in their order.

    Fetches what has to be fetched, and stores it. A job that has its uploads already is returned
    as it is. The codes of refusals are those of `CannotFetch`, and not_an_image, not_a_video,
    invalid_key and not_found. Raises BadInput for options that cannot be used, and what the store
    raises.
    """
    if job.uploads or job.refusals:
        return job
    _options(job, store)  # before anything is fetched
    intake = _Intake(job, store, fetcher)
    found = mapped(range(len(job.request.sources)), intake.upload_of, "intake")
    return job.model_copy(
        update={
            "uploads": tuple(one if isinstance(one, str) else None for one in found),
            "refusals": {i: one for i, one in enumerate(found) if isinstance(one, Problem)},
        }
    )


def give_options(job: Job, store: MediaStore) -> None:
    """Adds the job's options to its vehicle's, from which its run reads them.

    When the run begins, and not before: meanwhile another job of the vehicle may be made by other
    options, or its seller set some. Whoever makes the run gives them once more where it begins, as
    a lane may still load its models, and Dagster let the run wait. Raises as `take` does.
    """
    options = _options(job, store)
    if options is not None:
        save_options(job.vehicle_id, store, options)


def _options(job: Job, store: MediaStore) -> StudioOptions | None:
    """The vehicle's options with those of the job over them; None where it asks for none."""
    given = job.request.options
    return merge_options(None, job.vehicle_id, store, given) if given else None


@dataclass(frozen=True)
class _Intake:
    job: Job
    store: MediaStore
    fetcher: Fetcher

    def upload_of(self, index: int) -> str | Problem:
        """Key of the upload that a source has become, or what is wrong with it."""
        source = self.job.request.sources[index]
        try:
            if source.url is not None:
                with self.fetcher.file(source.url, source.video) as fetched:
                    with fetched.path.open("rb") as file:
                        head = file.read(HEAD_BYTES)
                    here = nullcontext(fetched.path)
                    return self._stored(index, fetched.sha256, head, lambda: here)
            if source.file is not None:
                return self._stored_file(index, source.file)
            return self._there(index, source.key or "")
        except CannotFetch as error:
            return Problem(code=error.code, detail=error.detail)
        except Unusable as error:
            return error.problem

    def _stored_file(self, index: int, key: str) -> str:
        ours = keys.inbox_files(self.job.job_id)
        digest = key.removeprefix(ours)
        if not key.startswith(ours) or not _SHA256.fullmatch(digest):
            raise Unusable("invalid_key", "a file has to come with the request itself")
        try:
            head = self.store.head(key, HEAD_BYTES)
        except FileNotFoundError:
            raise Unusable("not_found", "the file is gone; send the request again") from None
        return self._stored(index, digest, head, partial(self.store.as_file, key))

    def _there(self, index: int, key: str) -> str:
        """An upload of before, which stays where it is."""
        vehicle = self.job.vehicle_id
        try:
            check_key(key)
        except BadKey:
            usable = False
        else:
            usable = (
                key.startswith(keys.raw_folder(vehicle))
                and key not in keys.records(vehicle)
                and keys.ignored_by_name(key) is None
                and keys.lies_where_uploads_do(key)
            )
        if not usable:
            raise Unusable("invalid_key", f"a key has to name an upload in raw/{vehicle}/")
        try:
            head = self.store.head(key, HEAD_BYTES)
        except FileNotFoundError:
            raise Unusable("not_found", f"there is no upload {keys.upload_name(key)}") from None
        self._kind(self.job.request.sources[index], head)
        return key

    def _stored(
        self, index: int, digest: str, head: bytes, at: Callable[[], AbstractContextManager[Path]]
    ) -> str:
        kind = self._kind(self.job.request.sources[index], head)
        vehicle = self.job.vehicle_id
        name = f"{digest[:NAME_DIGITS]}.{suffix_of(head, kind)}"
        cut_out = self.job.request.cut_out
        if cut_out is not None and cut_out.background_source == index:
            key = keys.job_background(vehicle, name)
        elif kind == "photo":
            key = keys.raw_photos(vehicle) + name
        else:
            key = keys.raw_videos(vehicle) + name
        if self.store.stat(key) is None:
            self._mark()
            with at() as path:
                self.store.put_file(key, path, durable=True)
        return key

    def _kind(self, source: Source, head: bytes) -> MediaKind:
        """Photo or video, by its first bytes; a photo where single photos are asked for."""
        if not head:
            raise Unusable("empty_file", "the file is empty; send it again")
        kind = media_kind(head)
        if source.video and kind != "video":
            raise Unusable("not_a_video", "the file is no video; give MP4, MOV, WebM or AVI")
        if kind is None:
            raise Unusable("not_an_image", "the file is no photo; give JPEG, PNG, WebP or HEIC")
        if kind == "video" and self.job.request.operation.is_quick:
            raise Unusable("not_an_image", "the file is a video; give a photo")
        return kind

    def _mark(self) -> None:
        """Says that jobs ask for the vehicle's runs, unless it has uploads that came otherwise."""
        vehicle = self.job.vehicle_id
        marker = keys.jobs_marker(vehicle)
        with _MARKING:
            if self.store.stat(marker) is None and not self._has_others():
                self.store.put(marker, b"")
                if self._has_others():  # it came while we looked: whoever sent it waits for a run
                    self.store.delete(marker)

    def _has_others(self) -> bool:
        """Whether the vehicle, of which no job has stored anything yet, has uploads."""
        ours = keys.records(self.job.vehicle_id)
        uploads = self.store.list(keys.raw_folder(self.job.vehicle_id))
        return any(info.key not in ours for info in uploads)


def suffix_of(head: bytes, kind: MediaKind) -> str:
    """What a file with such first bytes is usually called; `kind` is that of `media_kind`."""
    if (raw := raw_head(head)) is not None:
        return raw.lower()
    if head.startswith(b"RIFF"):
        return "webp" if kind == "photo" else "avi"
    brands = iso_brands(head)
    if kind == "photo" and brands & AVIF_BRANDS:
        return "avif"
    if kind == "photo" and brands & HEIF_BRANDS:
        return "heic"
    if brands:
        return "mov" if head[8:12] == b"qt  " else "mp4"
    known = next((suffix for start, suffix in _SUFFIXES if head.startswith(start)), None)
    return known or ("ts" if head[:1] == b"\x47" or head[4:5] == b"\x47" else "mov")
