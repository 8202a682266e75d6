"""A small dispatcher for tests: takes jobs from the inbox, cuts out on fake models, ends them."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from okla_assets import keys
from okla_assets.assets.masks import keep_matte, look
from okla_assets.assets.raw_photos import take_in
from okla_assets.doors.jobs.cut_out import cut_outs
from okla_assets.doors.jobs.record import Job, Jobs
from okla_assets.doors.jobs.requests import CutOutOptions, JobRequest, Operation, Source
from okla_assets.doors.jobs.results import DrawnFile, JobResult, PhotoResult, Problem
from okla_assets.steps.pictures import read_picture
from okla_assets.tables import Masks, RawPhotos
from resources.models.base import Segmenter, VehicleDetector, ViewClassifier
from resources.storage.media_store import LocalMediaStore
from tests.fakes import FakeDetector, FakeSegmenter, FakeViews, QuickDecoder, Quiet


@dataclass
class Cutting:
    """Does jobs of `remove-background`; `urls` are the files that can be fetched."""

    store: LocalMediaStore
    urls: Mapping[str, bytes] = field(default_factory=dict)
    detector: VehicleDetector = field(default_factory=FakeDetector)
    segmenter: Segmenter = field(default_factory=FakeSegmenter)
    views: ViewClassifier = field(default_factory=FakeViews)
    done: list[Job] = field(default_factory=list)

    def job(self, *files: bytes, options: CutOutOptions | None = None) -> Job:
        """A job of these files, taken in."""
        request = JobRequest(
            operation=Operation.cut_out,
            sources=tuple(Source(url=f"https://x/{i}") for i in range(len(files))),
            cut_out=options,
        )
        job, _ = Jobs(self.store).accept(request)
        return self.taken(job, dict(enumerate(files)))

    def taken(self, job: Job, files: Mapping[int, bytes]) -> Job:
        """The job with its files among the uploads of its vehicle."""
        uploads: list[str | None] = []
        refusals: dict[int, Problem] = {}
        for index in range(len(job.request.sources)):
            data = files.get(index)
            if data is None:
                refusals[index] = Problem(code="download_failed", detail="the address has no file")
                uploads.append(None)
                continue
            name = f"{hashlib.sha256(data).hexdigest()[:16]}.jpg"
            options = job.request.cut_out
            behind = options is not None and options.background_source == index
            folder = keys.raw_photos(job.vehicle_id)
            if behind:
                folder = f"{keys.raw_folder(job.vehicle_id)}backgrounds/"
            uploads.append(folder + name)
            self.store.put(folder + name, data)
        return job.model_copy(update={"uploads": tuple(uploads), "refusals": refusals})

    def tables(self, job: Job) -> tuple[RawPhotos, Masks]:
        """What the first two assets make of the vehicle."""
        raw, _ = take_in(job.vehicle_id, self.store, QuickDecoder(), Quiet())
        pictures = [read_picture(self.store, photo.work_key) for photo in raw.photos]
        rows = []
        for photo, seen in zip(
            raw.photos, look(self.detector, self.segmenter, self.views, pictures), strict=True
        ):
            row, files = keep_matte(job.vehicle_id, photo, photo.digest, seen)
            for key, data in files.items():
                self.store.put(key, data)
            rows.append(row)
        return raw, Masks(rows=tuple(rows))

    def cut(self, job: Job) -> dict[int, DrawnFile | Problem]:
        """The job's cut-outs."""
        return cut_outs(job, self.store, *self.tables(job), self.segmenter, QuickDecoder())

    def result(self, job: Job) -> JobResult:
        """The same as a worker tells it."""
        photos = []
        made = self.cut(job)
        for index in range(len(job.uploads)):
            drawn = made.get(index, job.refusals.get(index))
            if isinstance(drawn, DrawnFile):
                photos.append(PhotoResult(source=index, picture=drawn))
            elif drawn is not None:
                photos.append(PhotoResult(source=index, refusal=drawn.code, detail=drawn.detail))
        return JobResult(photos=tuple(photos))

    def end(self, job: Job) -> None:
        """Does the job and writes how it ended."""
        files = {}
        for index, source in enumerate(job.request.sources):
            if source.file is not None:
                files[index] = self.store.get(source.file)
            elif source.url is not None and source.url in self.urls:
                files[index] = self.urls[source.url]
        job = self.taken(job, files)
        job = job.model_copy(
            update={
                "state": "completed",
                "ended_at": datetime.now(UTC),
                "result": self.result(job),
            }
        )
        Jobs(self.store).end(job)
        self.done.append(job)


@contextmanager
def working(cutting: Cutting) -> Iterator[None]:
    """Jobs of the inbox are done beside the test."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(0.02):
            for job in list(Jobs(cutting.store).unfinished()):
                cutting.end(job)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
