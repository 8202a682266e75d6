"""What a worker does for jobs: the assets that they need, and from their tables the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from okla_assets import keys
from okla_assets.doors.jobs.intake import give_options
from okla_assets.doors.jobs.outcome import Made, result_of
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.jobs.results import DrawnFile, JobResult, Problem
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.tables import Masks, RawPhotos
from okla_assets.vehicle_runs import FINISHED_PHOTOS, JOB_TAG
from resources.errors import BadInput, Unreadable
from resources.models.base import Segmenter
from resources.storage.media_store import MediaStore
from resources.storage.table_io import read_table

INTAKE = ("raw_photos", "walkaround_frames")
VISION = (*INTAKE, "masks", "classifications")
ASSETS: Mapping[Operation, tuple[str, ...] | None] = {
    Operation.cut_out: (*INTAKE, "masks"),
    Operation.segment: VISION,
    Operation.classify: VISION,
    Operation.mask_plate: (*VISION, "license_plates"),
    Operation.correct_colours: FINISHED_PHOTOS,
    Operation.background: FINISHED_PHOTOS,
    Operation.full: None,
    Operation.spin: None,
}
"""What each operation needs to be made, None for all: the angle of a vehicle is that of its box,
so that what classifies looks for the vehicle first."""


class WorkerLost(Exception):
    """Who made a unit has gone in the middle of it."""


class WorkerUnavailable(Exception):
    """Nothing can be made at present: it is no job's fault, and may be mended while they wait."""


class Unit(BaseModel):
    """Jobs of one vehicle and operation that one run answers."""

    model_config = ConfigDict(frozen=True)

    jobs: tuple[Job, ...]

    @property
    def vehicle(self) -> keys.VehicleId:
        """Of all of them."""
        return self.jobs[0].vehicle_id

    @property
    def operation(self) -> Operation:
        """Of all of them."""
        return self.jobs[0].request.operation


class Ended(BaseModel):
    """How a unit's run ended: a result or a problem for each of its jobs, by id.

    `again` says that the run was broken off and may be started anew, `cancelled` that a person has
    ended it, `unavailable` why nothing can be made at present.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str = ""
    results: dict[str, JobResult] = Field(default={})
    problems: dict[str, Problem] = Field(default={})
    again: bool = False
    cancelled: bool = False
    unavailable: str = ""


@dataclass(frozen=True)
class Worker:
    """Makes units in this process, with whatever models are warm in it."""

    runner: VehicleRunner
    store: MediaStore
    instance: dg.DagsterInstance
    segmenter: Segmenter

    def make(self, unit: Unit) -> Ended:
        """Runs what the unit needs; a vehicle's failure is told, not raised.

        Raises `WorkerUnavailable` where the setup is broken.
        """
        try:
            give_options(unit.jobs[0], self.store)  # which are those of all
        except (BadInput, Unreadable) as error:
            unusable = Problem(code="bad_input", detail=str(error))
            return Ended(problems={job.id: unusable for job in unit.jobs})
        ran = self.runner.run(
            unit.vehicle,
            self.store,
            self.instance,
            "job",
            ASSETS[unit.operation],
            {JOB_TAG: unit.jobs[0].id},
        )
        if ran.broken_setup:
            raise WorkerUnavailable(ran.problem)
        if ran.interrupted:
            return Ended(run_id=ran.run_id, again=True)
        if ran.problem:
            failed = Problem(code="processing_failed", detail=ran.problem)
            return Ended(run_id=ran.run_id, problems={job.id: failed for job in unit.jobs})
        return self.told(unit, ran.run_id)

    def told(self, unit: Unit, run_id: str) -> Ended:
        """What came of a run that has ended well."""
        made = Made.of(unit.vehicle, unit.operation, self.store)
        drawn: Mapping[str, Mapping[int, DrawnFile | Problem]] = {}
        if unit.operation in (Operation.cut_out, Operation.segment):
            drawn = self._drawn(unit)
        results: dict[str, JobResult] = {}
        problems: dict[str, Problem] = {}
        for job in unit.jobs:
            result = result_of(job, made, drawn.get(job.id, {}))
            if isinstance(result, Problem):
                problems[job.id] = result
            else:
                results[job.id] = result
        return Ended(run_id=run_id, results=results, problems=problems)

    def _drawn(self, unit: Unit) -> Mapping[str, Mapping[int, DrawnFile | Problem]]:
        """The cut-outs of each job, by its id."""
        from okla_assets.doors.jobs.cut_out import cut_outs

        raw = read_table(self.store, keys.table(unit.vehicle, "raw_photos"), RawPhotos)
        masks = read_table(self.store, keys.table(unit.vehicle, "masks"), Masks)
        return {job.id: cut_outs(job, self.store, raw, masks, self.segmenter) for job in unit.jobs}


def fits(unit: Sequence[Job], job: Job) -> bool:
    """Whether a job may join others in one run: same vehicle and operation, and same options."""
    first = unit[0]
    return (
        job.vehicle == first.vehicle
        and job.request.operation is first.request.operation
        and job.request.options == first.request.options
    )
