"""The process that answers HTTP (see `doors/http_process.py`): what to serve in the first line of
stdin, how many jobs have not ended in each after it, accepted jobs on stdout.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from functools import partial

from okla_assets.cli.terminal import log_doors
from okla_assets.runtime.processes import READY
from resources.settings import Settings, settings
from resources.storage.stores import location_of, store_for

SWITCH_SECONDS = 0.0005
"""For which a thread may go on while another waits: the one that answers waits at each write, and
Python's own 5 ms would add up where others work."""


def main() -> None:
    """Answers until TERM, or until stdin ends."""
    import uvicorn

    from okla_assets.doors.callers.stored import callers_for
    from okla_assets.doors.connections import server_config
    from okla_assets.doors.door import Door
    from okla_assets.doors.fetching.fetch import Fetcher
    from okla_assets.doors.http_process import Served, tell_accepted
    from okla_assets.doors.jobs.record import Jobs
    from okla_assets.doors.links import Links, secret_of
    from okla_assets.doors.server import make_app
    from okla_assets.runtime.instance import dagster_home, open_instance

    sys.setswitchinterval(SWITCH_SECONDS)
    told = os.dup(1)
    os.dup2(2, 1)
    served = Served.model_validate_json(sys.stdin.buffer.readline())
    log_doors(served.verbose)
    chosen = settings()
    store = store_for(chosen.media_dir)
    place = location_of(store)
    waiting = Waiting()
    with open_instance(place) as instance:
        door = Door(
            store,
            Jobs(store),
            callers_for(store, chosen),
            Links(store, secret_of(chosen.api_secret, dagster_home(place))),
            chosen.api_url,
            chosen.api_wait_seconds,
            woken=partial(tell_accepted, told),
            counts=lambda: waiting.counts,
            check_url=Fetcher.of(chosen).rules.check,
            instance=lambda: instance,
        )
        app = make_app(door, origins_of(chosen))
        os.write(told, READY)
        os.set_blocking(told, False)
        threading.Thread(target=waiting.read, daemon=True).start()
        uvicorn.Server(server_config(app)).run([socket.socket(fileno=served.socket)])


class Waiting:
    """How many jobs have not ended, as stdin last said."""

    def __init__(self) -> None:
        self.counts: Mapping[str, int] = {}

    def read(self) -> None:
        """Reads until stdin ends, and ends the process then: nobody leads jobs any more."""
        for line in sys.stdin.buffer:
            self.counts = json.loads(line)
        os.kill(os.getpid(), signal.SIGTERM)


def origins_of(chosen: Settings) -> tuple[str, ...]:
    """Pages of other origins that may call."""
    return tuple(filter(None, (one.strip() for one in chosen.api_origins.split(","))))


if __name__ == "__main__":
    main()
