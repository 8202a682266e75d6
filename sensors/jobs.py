"""Jobs of the doors that Dagster is to run become its runs."""

from itertools import islice

import dagster as dg

from okla_assets import keys
from okla_assets.asked_runs import AskedRun, asked_for
from okla_assets.code_links import code_link
from okla_assets.vehicle_runs import JOB_TAG, selection_of, tags_for, vehicle_media, vehicles
from resources.errors import Unreadable
from resources.storage.media_store import MediaStore
from sensors.upload_memory import UploadMemory, say_once

MOST_REQUESTS = 50
"""A tick; those behind wait for the next one."""


@dg.sensor(
    job=vehicle_media,
    minimum_interval_seconds=1,
    description="Jobs that came in by HTTP or RabbitMQ become runs of what they ask for.",
    metadata=code_link(__file__),
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def jobs(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[MediaStore]
) -> dg.SensorResult | dg.SkipReason:
    """Requests the run of each job that `okla serve` has left to Dagster; a run key is used once,
    so that one that is still there is not requested again. One whose files cannot be read is named
    once and does not stop the others."""
    after = context.cursor or ""
    sentences: list[str] = []
    found = list(islice(asked_for(store, after, sentences.append), MOST_REQUESTS))
    # Round and round: what was passed comes again, and its run key is known.
    context.update_cursor(found[-1][0] if len(found) == MOST_REQUESTS else "")
    requests: list[dg.RunRequest] = []
    wanted: set[str] = set()
    for _, run in found:
        try:
            requests.append(_request(run, store))
            wanted.add(run.vehicle)
        except Unreadable as error:
            sentences.append(f"{run.vehicle} is left alone: {error}")
    say_once(context.log, UploadMemory(context.instance), sentences)
    if not requests:
        return dg.SkipReason("no job waits for a run" if not sentences else "none can be run")
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[vehicles.build_add_request(sorted(wanted))],
    )


def _request(run: AskedRun, store: MediaStore) -> dg.RunRequest:
    vehicle = keys.parse_vehicle_id(run.vehicle)
    return dg.RunRequest(
        run_key=run.name,
        partition_key=vehicle,
        asset_selection=selection_of(run.assets),
        tags={JOB_TAG: run.name, **tags_for(vehicle, store, "job", run.assets)},
    )
