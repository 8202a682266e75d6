"""What a process needs from its parent to find the same media, models and records."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from okla_assets.runtime.instance import dagster_home
from resources.storage.stores import absolute

MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=2"}
"""How glibc allocates memory, on Linux. Large allocations lie in 2 MB pages, if the kernel leaves
the choice to the process: SAM 2 is 10 % faster. Two arenas instead of eight a core: threads that
pass pictures on would each hold what was freed in theirs, 210 of 3,370 MB for 8 photos of 12 MP.

glibc (2.35 and newer) reads it when a process starts, so it can only be inherited.
"""

OUR_DEFINITIONS = "okla_assets.definitions"
OUR_FOLDER = str(Path(__file__).parents[2])
"""Where `okla_assets`, `resources` and `sensors` lie."""
KEEPS_OUTPUT = "OKLA_KEEP_OUTPUT"
"""Variable of the processes that Dagster starts for runs, whose output is kept (`run_output`).
Others print to a person's terminal."""


PR_SET_PDEATHSIG = 1


def ends_with_parent() -> Callable[[], object] | None:
    """For `preexec_fn`: on Linux, has a process receive TERM when its parent is killed."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


READY = b"ready\n"
"""What a process of `speaking_process` says first, when it has started."""


def speaking_process(
    module: str, environment: Mapping[str, str], descriptors: Sequence[int] = ()
) -> "subprocess.Popen[bytes]":
    """One of our modules in a process of its own that is spoken with by lines of stdin and stdout.

    It has our environment with this one over it, and of our open files these. It ends with us, and
    Ctrl-C is ours to pass on.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
        pass_fds=descriptors,
        start_new_session=True,
        preexec_fn=ends_with_parent(),
    )


def definitions_module() -> str:
    """What Dagster's servers load: our definitions, or a module of the user's own."""
    from resources.settings import settings

    return settings().definitions or OUR_DEFINITIONS


def dagster_environment(media: str | Path, profile: str) -> dict[str, str]:
    """The environment of a Dagster process for this media folder or bucket, from any directory.

    Python finds our packages before any of the same name (`resources`, `sensors`) in the working
    directory, which is searched last, and only for definitions of the user's own.
    """
    own = [str(Path.cwd())] if definitions_module() != OUR_DEFINITIONS else []
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return (
        MALLOC
        | os.environ
        | {
            "OKLA_MEDIA_DIR": absolute(str(media)),
            "OKLA_PROFILE": profile,
            "DAGSTER_HOME": str(dagster_home(media)),
            KEEPS_OUTPUT: "1",
            "PYTHONSAFEPATH": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [OUR_FOLDER, *given, *own])),
        }
    )
