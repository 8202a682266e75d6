"""A DAGSTER_HOME of the user's own decides what is asked of `okla up`, and that is told."""

import shutil
from pathlib import Path

import pytest

from okla_assets.runtime.instance import (
    BROKER_URL,
    POSTGRES_URL,
    dagster_home,
    open_instance,
    write_config,
)
from okla_assets.runtime.overruled import overruled
from tests.conftest import REPOSITORY


def test_what_a_dagster_home_of_the_users_own_overrules_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "media"
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    write_config(dagster_home(home), runs=3)
    with open_instance(home) as instance:
        assert list(overruled(instance, 3)) == []
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(own))
    with open_instance(home) as instance:  # as another project has it
        many, apart = overruled(instance, 3)
    assert "at a time (10), not" in many and "(3)" in many
    assert "two runs of one vehicle" in apart
    shutil.copy(REPOSITORY / "dagster.yaml", own)
    with open_instance(home) as instance:
        (fewer,) = overruled(instance, 3)
        assert "at a time (1), not" in fewer
        assert list(overruled(instance, 1)) == []
        monkeypatch.setenv(POSTGRES_URL, "postgresql://me@127.0.0.1:1/d")
        monkeypatch.setenv(BROKER_URL, "memory://")
        records, launcher = overruled(instance, 1)
    assert POSTGRES_URL in records and BROKER_URL in launcher
