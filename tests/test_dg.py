"""`[tool.dg]` of pyproject.toml: Dagster's own command works in a checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

DG = shutil.which("dg", path=str(Path(sys.executable).parent))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(DG is None, reason="dagster-dg-cli is not installed"),
]


def dg(*arguments: str) -> str:
    done = subprocess.run(
        [str(DG), *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"DAGSTER_DISABLE_TELEMETRY": "1", "VIRTUAL_ENV": sys.prefix},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_definitions_load() -> None:
    assert "All definitions loaded successfully" in dg("check", "defs")


def test_definitions_are_listed() -> None:
    found = json.loads(dg("list", "defs", "--json"))
    names = {kind: {one.get("asset_key") or one["name"] for one in found[kind]} for kind in found}
    assert {"raw_photos", "composites", "listing"} <= names["assets"]
    assert names["jobs"] >= {"vehicle_media", "refresh_vehicles", "archive_vehicles"}
    assert {"uploads", "outcomes"} <= names["sensors"]
