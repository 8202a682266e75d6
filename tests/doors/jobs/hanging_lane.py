"""A lane that hangs: in its work, or with OKLA_TEST_LANE_STARTS=0 before it has started."""

import os
import sys
import time

from okla_assets.runtime.processes import READY

if __name__ == "__main__":
    if os.environ.get("OKLA_TEST_LANE_STARTS") != "0":
        sys.stdout.buffer.write(READY)
        sys.stdout.flush()
    time.sleep(600)
