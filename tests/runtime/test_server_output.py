"""What a person sees of what the servers print."""

import io
from pathlib import Path

import pytest

from okla_assets.runtime.server_output import ServerOutput

LINES = """\
2026-11-29 03:20:01 +0000 - dagster.daemon.SensorDaemon - WARNING - cursor 17 was not kept
2026-11-29 03:20:06 +0000 - dagster.daemon.SensorDaemon - WARNING - cursor 18 was not kept
2026-11-29 03:20:06 +0000 - dagster.daemon - INFO - a tick
Traceback (most recent call last):
  File "psycopg2/__init__.py", line 122, in connect
psycopg2.OperationalError: server closed the connection
2026-11-29 03:20:07 +0000 - dagster - ERROR - vehicle_media - 3f2a - 12 - RUN_FAILURE - it failed
2026-11-29 03:20:08 +0000 - dagster.daemon - ERROR - the database is gone
"""


def told(tmp_path: Path, lines: str, everything: bool = False) -> list[str]:
    found: list[str] = []
    output = ServerOutput(tmp_path, lambda name, line: found.append(line), everything=everything)
    output.follow("daemon", io.BytesIO(lines.encode())).join(10)
    assert output.last_lines("daemon").splitlines() == lines.splitlines()[-15:]
    return found


def test_each_warning_is_told_once_and_all_is_in_the_log(tmp_path: Path) -> None:
    assert told(tmp_path, LINES) == [
        "warning: cursor 17 was not kept",
        "error: the database is gone",
    ]
    assert (tmp_path / "daemon.log").read_text() == LINES


def test_a_database_that_is_gone_makes_one_line_of_thousands(tmp_path: Path) -> None:
    assert len(told(tmp_path, LINES * 500)) == 2


def test_a_full_disk_is_not_told_with_each_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "daemon.log").symlink_to("/dev/full")
    assert len(told(tmp_path, LINES)) == 2
    assert capsys.readouterr().err == ""


def test_all_is_told_where_it_is_wanted(tmp_path: Path) -> None:
    assert told(tmp_path, LINES, everything=True) == LINES.splitlines()
