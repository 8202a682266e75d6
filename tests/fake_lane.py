"""A lane on fake models: `python -m tests.fake_lane`.

With OKLA_TEST_LANE_WAITS set to a file's path, it waits before each unit while the file is there.
With OKLA_TEST_LANE_ANSWERS set it makes nothing: every job is completed at once.
"""

import os
import time
from pathlib import Path
from unittest import mock

from okla_assets import definitions
from okla_assets.cli import lane
from okla_assets.doors.jobs.results import JobResult
from okla_assets.doors.jobs.work import Ended, Unit, Worker
from resources.profiles import resources_for
from tests.fakes import fake_models


def main() -> None:
    """A lane's main on fake models."""
    models, make = fake_models(), Worker.make
    wait = os.environ.get("OKLA_TEST_LANE_WAITS", "")

    def waited(self: Worker, unit: Unit) -> Ended:
        while wait and Path(wait).exists():
            time.sleep(0.05)
        if os.environ.get("OKLA_TEST_LANE_ANSWERS"):
            return Ended(results={job.id: JobResult() for job in unit.jobs})
        return make(self, unit)

    with (
        mock.patch.object(definitions, "resources_for", lambda name: resources_for(name) | models),
        mock.patch.object(Worker, "make", waited),
    ):
        lane.main()


if __name__ == "__main__":
    main()
