"""Dagster's home beside the media: where runs are recorded, and how to open it.

Records are files that change all the time: those of a bucket stay on this machine.
"""

import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from resources.stores import bucket_of

if TYPE_CHECKING:
    import dagster as dg

HOME_FOLDER = ".dagster"
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Large allocations in 2 MB pages, where the kernel leaves that to us: SAM 2 is 10 % faster.

Read by glibc when a process starts (2.35 and newer), so it can only be handed down.
"""

PROCESS_TAG = "okla/process"
"""Tag of the process that makes a run itself, as `okla process` does."""


def dagster_home(place: str | Path) -> Path:
    """DAGSTER_HOME if set, else `.dagster` in the media folder, with our dagster.yaml in it.

    For a bucket it is a folder of the bucket's in the working directory's `okla-media/.dagster`.
    """
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given)
    bucket = bucket_of(str(place))
    if bucket is None:
        home = Path(place, HOME_FOLDER).resolve()
    else:
        # One folder a place, for homes must not lie in each other; no bucket has a comma.
        name = ",".join(filter(None, (bucket.name, *bucket.prefix.split("/"))))
        home = Path("okla-media", HOME_FOLDER, name).resolve()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(packaged_config(), home / "dagster.yaml")
    return home


def packaged_config() -> Path:
    """Our dagster.yaml: inside the package when installed, at the top of a checkout."""
    here = Path(__file__).parent
    installed = here / "dagster.yaml"
    return installed if installed.exists() else here.parent / "dagster.yaml"


def this_process() -> str:
    """Names this process for `PROCESS_TAG`: host, pid and start, since pids come again."""
    import psutil

    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.0f}"


def close_dead_runs(instance: "dg.DagsterInstance", *, only_processes: bool) -> int:
    """Reports runs failed whose process is gone, so that they hold no slot; returns how many.

    Nothing else would: a killed process cannot say so, and dagster's default launcher has no
    health check. `only_processes` looks at runs of `okla process`; without it, at every unfinished
    run, which is right only while no daemon runs on the instance.
    """
    import dagster as dg

    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
        ]
    )
    closed = 0
    for run in instance.get_runs(unfinished):
        owner = run.tags.get(PROCESS_TAG)
        if (owner is None and only_processes) or (owner is not None and _lives(owner)):
            continue
        instance.report_run_failed(run, "the process of this run is gone; run it again to go on")
        closed += 1
    return closed


def _lives(owner: str) -> bool:
    """Whether a process named by `this_process` still runs, or runs where we cannot look."""
    import psutil

    host, pid, started = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started)) < 2
    except psutil.NoSuchProcess:
        return False


def open_instance(place: str | Path) -> "dg.DagsterInstance":
    """The instance that `okla up` shows for the media at this place."""
    import dagster as dg

    return dg.DagsterInstance.from_config(str(dagster_home(place)))
