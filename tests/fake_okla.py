"""The `okla` command on fake models, in a process of its own: `python -m tests.fake_okla ...`.

With OKLA_TEST_WAIT_AT=n it says so on stderr and waits for a minute, or OKLA_TEST_WAIT_SECONDS,
before photo n is searched for plates, by when the one before it is being written.
"""

import os
import sys
import time
from unittest import mock

from okla_assets import definitions
from okla_assets.assets import composites
from okla_assets.cli import app
from okla_assets.doors.jobs import lanes
from okla_assets.steps import drafts
from resources import weights
from resources.profiles import resources_for
from tests.fakes import fake_models


def main() -> None:
    """Runs the command line in `sys.argv`."""
    search, photos = drafts.look_for_plates, 0
    wait_at = int(os.environ.get("OKLA_TEST_WAIT_AT", "0"))

    def watched(*args: object) -> object:
        nonlocal photos
        photos += 1
        if photos == wait_at:
            sys.stderr.write("waiting\n")
            sys.stderr.flush()
            time.sleep(float(os.environ.get("OKLA_TEST_WAIT_SECONDS", "60")))
        return search(*args)  # type: ignore[arg-type]

    models = fake_models()
    with (
        mock.patch.object(composites, "look_for_plates", watched),
        mock.patch.object(definitions, "resources_for", lambda name: resources_for(name) | models),
        mock.patch.object(weights, "ensure", lambda *_: {}),
        mock.patch.object(lanes, "MODULE", "tests.fake_lane"),
    ):
        app.main()


if __name__ == "__main__":
    main()
