"""`python -m okla_assets` and `okla`: the command in a process with huge pages."""

import os
import sys

from okla_assets.cli import main
from okla_assets.instance import HUGE_PAGES


def start() -> None:
    """Entry point. `okla process` on Linux first starts over with one more variable."""
    wanted = sys.platform == "linux" and sys.argv[1:2] == ["process"]
    if wanted and not HUGE_PAGES.keys() <= os.environ.keys():
        os.execve(sys.executable, sys.orig_argv, os.environ | HUGE_PAGES)
    main()


if __name__ == "__main__":
    start()
