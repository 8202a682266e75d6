"""`python -m okla_assets` and `okla`: models run in a process that keeps memory as they like it."""

import os
import sys

from okla_assets.cli.app import main
from okla_assets.runtime.processes import MALLOC


def start() -> None:
    """Entry point. On Linux, commands that run models first start over with one more variable."""
    wanted = sys.platform == "linux" and sys.argv[1:2] in (["process"], ["demo"], ["bench"])
    if wanted and not MALLOC.keys() <= os.environ.keys():
        os.execve(sys.executable, sys.orig_argv, os.environ | MALLOC)
    main()


if __name__ == "__main__":
    start()
