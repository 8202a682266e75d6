"""What a person at the console of `okla up` sees."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from okla_assets.cli.up import Console
from okla_assets.operations.run_news import News
from okla_assets.runtime import instance as records
from resources.errors import BrokenSetup
from tests.cli.conftest import Command

STARTED = News("car-1", "started", "0123456789", detail="upload")
DONE = News("car-1", "done", "0123456789", status="needs_review", seconds=23.4)
FAILED = News("car-2", "failed", "abcdef012345", seconds=3.0, detail="masks: the disk is full")


class Told:
    """News that are told one call after the other."""

    def __init__(self, *news: News) -> None:
        self.news = [*news]

    def poll(self, instance: dg.DagsterInstance) -> Iterator[News]:
        yield from self.news
        self.news.clear()


@pytest.fixture(autouse=True)
def down(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Reasons for which the records cannot be read, one a call."""
    reasons: list[str] = []

    @contextmanager
    def opened(_: str) -> Iterator[None]:
        if reasons:
            raise BrokenSetup(reasons.pop(0))
        yield None

    monkeypatch.setattr(records, "open_instance", opened)
    return reasons


def console(*news: News, as_json: bool = False, quiet: bool = False) -> Console:
    return Console("media", as_json, quiet, Told(*news))  # type: ignore[arg-type]


def test_a_line_tells_of_a_vehicle(capsys: pytest.CaptureFixture[str]) -> None:
    console(STARTED, DONE, FAILED).look()
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "car-1: started (upload)",
        "car-1: needs_review, 23 s; why: okla status --vehicle car-1",
        "car-2: failed: masks: the disk is full, 3 s (run abcdef01)",
    ]


def test_quiet_tells_of_problems_only(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = console(STARTED, DONE, FAILED, quiet=True)
    quiet.say("put photos somewhere")
    quiet.look()
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    told = console(STARTED, DONE, as_json=True)
    told.say("put photos somewhere")
    told.look()
    told.tell("daemon", "warning: a cursor")
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in objects] == ["info", "started", "done", "server"]
    assert (objects[2]["vehicle"], objects[2]["status"]) == ("car-1", "needs_review")
    assert objects[2]["seconds"] == 23.4


def test_records_that_go_away_are_told_once(
    down: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = console()
    down += ["the database is gone"] * 50
    for _ in range(51):
        told.look()
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert "the database is gone" in printed.err
    assert [line.split(" ", 1)[1] for line in printed.out.splitlines()] == [
        "Dagster's records can be read again"
    ]


@pytest.mark.parametrize(
    ("arguments", "variable", "sentence", "code"),
    [
        (["-v", "-q"], {}, "give -v or -q, not both", 2),
        (["--port", "70000"], {}, "'--port'", 2),
        (["--files-port", "0"], {}, "'--files-port'", 2),
        ([], {"OKLA_RUNS": "0"}, "OKLA_RUNS", 1),
        ([], {"OKLA_QUIET_SECONDS": "-1"}, "OKLA_QUIET_SECONDS is '-1'; give the seconds", 1),
        ([], {"OKLA_BACKFILL_CRON": "nightly"}, "OKLA_BACKFILL_CRON='nightly'", 1),
        ([], {"OKLA_REPORT_CRON": "daily"}, "OKLA_REPORT_CRON='daily'", 1),
        ([], {"OKLA_BACKFILL_TIMEZONE": "Mars"}, "OKLA_BACKFILL_TIMEZONE='Mars'", 1),
        ([], {"OKLA_FILES_URL": "my-files"}, "OKLA_FILES_URL is 'my-files'; give the addr", 1),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_started(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    variable: dict[str, str],
    sentence: str,
    code: int,
) -> None:
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    result = command("up", *arguments)
    assert sentence in result.err
    assert result.code == code
    assert "Traceback" not in result.err
