"""What went wrong in a run, and how it shows in the listing of a failed vehicle."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from pydantic import ValidationError

from okla_assets import keys
from okla_assets.contract import Cost, Listing, PipelineInfo
from okla_assets.options import read_options
from okla_assets.viewer import pages
from resources.storage.media_store import MediaStore

FAILED_RUN = "the last run failed"
"""How the reason begins that a failed run leaves: the next one replaces it."""
_OUR_ERRORS = re.compile(r"(okla_assets|resources|sensors)\.[\w.]+: ")
MOST_CHARACTERS = 300


@dataclass(frozen=True)
class Problem:
    """The step that failed (`run` where it was none) and the error's first line.

    `interrupted` where somebody stopped the run: Dagster takes Ctrl-C for a step that failed.
    """

    step: str
    error: str
    interrupted: bool = False


def problem_of(instance: dg.DagsterInstance, run_id: str) -> Problem:
    """Why a run failed: its first failed step, else the message of the run's failure."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    found = instance.get_records_for_run(run_id, of_type=kinds, limit=20)
    events = [r.event_log_entry.dagster_event for r in found.records]
    failed = [event for event in events if event is not None]
    for event in sorted(failed, key=lambda event: not event.is_step_failure):
        error = getattr(event.event_specific_data, "error", None)
        if error is None:
            return Problem("run", _first_line(event.message or "no reason was recorded"))
        stopped = error.cls_name == dg.DagsterExecutionInterruptedError.__name__
        while error.cause is not None:
            error = error.cause
        return Problem(event.step_key or "run", _first_line(error.message), stopped)
    return Problem("run", "no reason was recorded")


def _first_line(message: str) -> str:
    """Without the class of our own errors, whose message is a sentence."""
    line = next(iter(message.strip().splitlines()), "")
    return _OUR_ERRORS.sub("", line, count=1)[:MOST_CHARACTERS]


def mark_failed(
    vehicle: keys.VehicleId, run_id: str, problem: Problem, store: MediaStore
) -> Listing | None:
    """Makes a failed run visible in listing.json; None where it is left as it was.

    A good listing stays, files and all, and becomes `needs_review`: what buyers see is still true
    of the photos it was made of, and taking a car off the market because a disk was full would
    cost more than it saves; but newer uploads may be missing, so a person must look. Only a vehicle
    that has no listing gets one, `failed` and empty. The next run that succeeds replaces either.
    The error's message is not in it: the listing is public, and a message may hold paths.
    """
    reason = f"{FAILED_RUN} at {problem.step} (run {run_id[:8]}); see it in Dagster"
    key = keys.listing(vehicle)
    if store.stat(key) is None:
        marked = _empty(vehicle, reason, store)
    else:
        try:
            had = Listing.model_validate_json(store.get(key))
        except ValidationError:  # of another version: it holds the photos' numbers
            return None
        kept = tuple(r for r in had.reasons if not r.startswith(FAILED_RUN))
        status = "failed" if had.status == "failed" else "needs_review"
        marked = had.model_copy(update={"status": status, "reasons": (*kept, reason)})
    for page, (data, content_type) in pages.outputs(
        marked, pages.addresses(vehicle, store)
    ).items():
        store.put(page, data, content_type)
    store.put(key, marked.model_dump_json(indent=2).encode(), "application/json")
    return marked


def _empty(vehicle: keys.VehicleId, reason: str, store: MediaStore) -> Listing:
    from importlib.metadata import version

    options, problems = read_options(vehicle, store)
    return Listing(
        schema_version=1,
        vehicle_id=vehicle,
        status="failed",
        reasons=(*problems, reason),
        generated_at=datetime.now(UTC).replace(microsecond=0),
        pipeline=PipelineInfo(version=version("okla-media"), profile="none", models=()),
        options=options,
        cost=Cost(seconds={}, usd=None),
        photos=(),
        refused=(),
        spin=None,
        spin_reason=FAILED_RUN,
        promo=None,
        promo_reason=FAILED_RUN,
        hotspots=(),
    )
