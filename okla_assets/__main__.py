"""`python -m okla_assets` and `okla`: commands that run models start with glibc's malloc tuned."""

import os
import sys

from okla_assets.runtime.processes import MALLOC


def start() -> None:
    """Entry point. glibc reads its settings at start, so such a command replaces its process."""
    wanted = sys.platform == "linux" and sys.argv[1:2] in (["process"], ["demo"], ["bench"])
    if wanted and not MALLOC.keys() <= os.environ.keys():
        os.execve(sys.executable, sys.orig_argv, os.environ | MALLOC)
    from okla_assets.cli.app import main

    main()


if __name__ == "__main__":
    start()
