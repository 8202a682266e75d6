"""What a person at a terminal sees of the report over all vehicles."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from okla_assets import keys
from okla_assets.runtime.instance import open_instance
from resources.storage.media_store import LocalMediaStore
from tests.cli.conftest import Command
from tests.operations.fleet import made

MANY = 20


@pytest.fixture
def okla(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """`okla` on a media folder with some listings."""
    store = LocalMediaStore(root=str(tmp_path))
    for number in range(MANY):
        vehicle = keys.parse_vehicle_id(made.vehicle_name(number))
        store.put(keys.listing(vehicle), made.listing(number).model_dump_json().encode())
    monkeypatch.setenv("OKLA_MEDIA_DIR", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return command


@pytest.mark.slow
def test_figures_and_rows(okla: Command, tmp_path: Path) -> None:
    """As tables, as JSON of one dealer, as CSV of photos; each is recorded in Dagster."""
    shown = okla("report")
    assert shown.code == 0
    assert (tmp_path / "processed/_fleet/index.html").as_uri() in shown.out
    assert re.search(rf"│ LOPEZ +│ {MANY // 5} ", shown.out)
    with open_instance(tmp_path) as instance:
        (run,) = instance.get_runs()
        assert run.tags["okla/source"] == "report"

    figures = json.loads(okla("report", "--dealer", "LOPEZ", "--format", "json").out)
    assert [row["dealer"] for row in figures["dealers"]] == ["LOPEZ"]
    assert sum(row["vehicles"] for row in figures["status"]) == MANY // 5

    of_photos = okla("report", "--format", "csv", "--photos", "--dealer", "LOPEZ")
    rows = list(csv.DictReader(io.StringIO(of_photos.out)))
    assert len(rows) == sum(row["photos"] for row in figures["photos"])
    assert {row["vehicle"].split("-")[0] for row in rows} == {"LOPEZ"}


def test_what_cannot_be_asked_for(okla: Command) -> None:
    wrong = okla("report", "--photos")
    assert wrong.code == 2
    assert "--format csv or parquet" in wrong.err
    wrong = okla("report", "--since", "yesterday")
    assert wrong.code == 2
    assert "yesterday" in wrong.err
