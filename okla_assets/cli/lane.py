"""A lane's process (see `doors/jobs/lanes.py`): a unit of jobs a line on stdin, what came of
it a line on stdout. Everything else that this process prints goes to stderr.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from okla_assets.runtime.processes import READY, definitions_module
from resources.settings import settings
from resources.storage.stores import location_of, store_for

if TYPE_CHECKING:
    import dagster as dg

    from okla_assets.doors.jobs.work import Worker


def main() -> None:
    """Answers units until stdin ends."""
    from okla_assets.definitions import runner_of
    from okla_assets.doors.jobs.work import Ended, Unit, Worker, WorkerUnavailable
    from okla_assets.runtime.instance import close_dead_runs, open_instance, waited_out

    passing: tuple[type[Exception], ...] = (WorkerUnavailable, *waited_out())
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    store = store_for(settings().media_dir)
    definitions = lane_definitions()
    with open_instance(location_of(store)) as instance:
        close_dead_runs(instance, only_processes=True)
        resources = definitions.resources or {}
        worker = Worker(runner_of(definitions), store, instance, resources["segmenter"])
        warm_up(worker, resources)
        answers.write(READY)
        answers.flush()
        for line in sys.stdin.buffer:
            try:
                ended = worker.make(Unit.model_validate_json(line))
            except passing as error:
                ended = Ended(unavailable=" ".join(str(error).split())[:500])
            answers.write(ended.model_dump_json(exclude_defaults=True).encode() + b"\n")
            answers.flush()


def lane_definitions() -> "dg.Definitions":
    """Ours, or those of the user's own module."""
    loaded = import_module(definitions_module()).defs
    return loaded() if callable(loaded) else loaded  # type: ignore[no-any-return]


def warm_up(worker: "Worker", resources: "object") -> None:
    """Has the models loaded that nearly every job asks, by one small picture."""
    import numpy as np

    from resources.models.base import Subject

    assert isinstance(resources, dict)
    grey = np.full((240, 320, 3), 127, np.uint8)
    resources["detector"].detect([grey])
    resources["views"].classify([grey], [None])
    worker.segmenter.segment([grey], [Subject((80.0, 60.0, 160.0, 120.0))])


if __name__ == "__main__":
    main()
