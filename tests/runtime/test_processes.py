"""Dagster's processes find the same media and records as their parent."""

from pathlib import Path

import pytest

from okla_assets.runtime.processes import MALLOC, dagster_environment
from resources.profiles import resources_for
from resources.storage.s3_store import S3MediaStore


def test_what_the_user_set_for_glibc_is_handed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert dagster_environment(tmp_path, "local").items() >= MALLOC.items()
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")
    own = dagster_environment(tmp_path, "local")
    assert own["GLIBC_TUNABLES"] == "glibc.malloc.arena_max=2"
    assert own["OKLA_MEDIA_DIR"] == str(tmp_path)


def test_dagsters_processes_find_the_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    environment = dagster_environment("s3://okla-media/cars", "local")
    assert environment["OKLA_MEDIA_DIR"] == "s3://okla-media/cars"
    monkeypatch.setenv("OKLA_MEDIA_DIR", environment["OKLA_MEDIA_DIR"])
    store = resources_for("local")["store"]
    assert isinstance(store, S3MediaStore)
    assert (store.bucket, store.prefix) == ("okla-media", "cars")
