"""What a run printed is there after it failed, also where native code or the system ended it."""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from okla_assets.runtime import run_output
from okla_assets.runtime.processes import KEEPS_OUTPUT
from okla_assets.runtime.run_output import LONGEST, KeptOutput, shorten, tidy
from tests.conftest import REPOSITORY

KEY = ["run-1", "compute_logs", "steps"]
CODE = """
import os, sys
from okla_assets.runtime.run_output import KeptOutput
manager = KeptOutput(sys.argv[1])
with manager.capture_logs(["run-1", "compute_logs", "steps"]):
    print("a library's warning", file=sys.stderr)
    os.write(1, b"native code\\n")
    sys.stdout.flush()
    if sys.argv[2:]:
        os.abort()
print("back on the terminal")
"""


def in_a_run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", CODE, str(folder), *arguments],
        cwd=REPOSITORY,
        env=os.environ | {KEEPS_OUTPUT: "1"},
        capture_output=True,
        text=True,
    )


def kept(folder: Path, ending: str) -> str:
    return Path(KeptOutput(str(folder)).get_captured_local_path(KEY, ending)).read_text()


def test_a_native_crash_leaves_its_last_words(tmp_path: Path) -> None:
    done = in_a_run(tmp_path, "crash")
    assert done.returncode < 0
    assert "a library's warning" in kept(tmp_path, "err")
    assert "Fatal Python error: Aborted" in kept(tmp_path, "err")
    assert kept(tmp_path, "out") == "native code\n"


def test_after_the_run_the_process_prints_to_its_terminal_again(tmp_path: Path) -> None:
    done = in_a_run(tmp_path)
    assert (done.returncode, done.stdout) == (0, "back on the terminal\n")
    assert kept(tmp_path, "out") == "native code\n"
    assert KeptOutput(str(tmp_path)).is_capture_complete(KEY)


def test_a_person_at_a_terminal_sees_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEEPS_OUTPUT, raising=False)
    with KeptOutput(str(tmp_path)).capture_logs(KEY):
        print("a bar")
    assert list(tmp_path.iterdir()) == []


def test_what_is_long_is_cut_and_what_is_empty_goes(tmp_path: Path) -> None:
    long, empty = tmp_path / "long", tmp_path / "empty"
    long.write_bytes(b"first" + b"x" * LONGEST + b"last")
    empty.touch()
    shorten(long)
    shorten(empty)
    assert long.stat().st_size < LONGEST + 100
    assert long.read_bytes().endswith(b"last")
    assert b"first" not in long.read_bytes()
    assert not empty.exists()


def test_runs_that_begin_and_end_beside_do_not_matter(tmp_path: Path) -> None:
    """Output without a word goes at a run's end, while the next one looks what to delete."""
    ended = threading.Event()

    def begin_and_end() -> None:
        while not ended.is_set():
            for number in range(20):
                folder = tmp_path / f"run-{number}" / "compute_logs"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "steps.err").touch()
            for number in range(20):
                shutil.rmtree(tmp_path / f"run-{number}")

    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(begin_and_end)
        try:
            until = time.monotonic() + 1
            while time.monotonic() < until:
                tidy(tmp_path)
        finally:
            ended.set()
        running.result()


def test_old_output_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_output, "MOST_FILES", 2)
    now = time.time()
    for name, age in (("old", 40 * 86400), ("third", 300), ("second", 200), ("first", 100)):
        file = tmp_path / name / "compute_logs" / "steps.err"
        file.parent.mkdir(parents=True)
        file.write_text(name)
        os.utime(file, (now - age, now - age))
    tidy(tmp_path)
    assert not (tmp_path / "old").exists()
    assert sorted(p.parent.parent.name for p in tmp_path.rglob("*.err")) == ["first", "second"]
