"""What a person at a terminal sees of `okla keys`."""

import json
from pathlib import Path

import pytest

from okla_assets.doors.callers import records as caller_records
from resources.storage.media_store import LocalMediaStore
from tests.cli.conftest import Command


@pytest.fixture
def okla(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.setenv("OKLA_MEDIA_DIR", str(tmp_path / "media"))
    return command


def test_a_key_is_made_shown_once_renewed_and_revoked(okla: Command, tmp_path: Path) -> None:
    made = okla("keys", "create", "dealer", "--days", "30", "--pictures-a-month", "100")
    assert made.code == 0
    assert caller_records.KEY.fullmatch(made.out.strip())
    assert "cannot be shown again" in made.err
    (told,) = json.loads(okla("keys", "list", "--json").out)
    assert told["name"] == "dealer"
    assert told["key"] == "good"
    assert told["scopes"] == "jobs, vehicles"
    assert told["pictures a month"] == "100"
    assert made.out.strip()[-64:] not in okla("keys", "list").out
    renewed = okla("keys", "renew", "dealer")
    assert renewed.out != made.out
    assert okla("keys", "revoke", "dealer").code == 0
    assert "revoked" in okla("keys", "list").out
    record = caller_records.find(LocalMediaStore(root=str(tmp_path / "media")), "dealer")
    assert record is not None
    assert record.pictures_a_month == 100


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "A B"], "cannot be a caller's name"),
        (["create", "a", "--scope", "all"], "there is no scope 'all'"),
        (["create", "a", "--days", "inf"], "should be less than or equal to 36500"),
        (["create", "a", "--days", "nan"], "should be less than or equal to 36500"),
        (["create", "a", "--days", "100000000"], "should be less than or equal to 36500"),
        (["renew", "nobody", "--overlap-hours", "inf"], "should be less than or equal to 876000"),
        (["renew", "nobody"], "there is no media folder"),
        (["revoke", "nobody"], "there is no media folder"),
    ],
)
def test_mistakes_are_one_sentence(okla: Command, arguments: list[str], sentence: str) -> None:
    result = okla("keys", *arguments)
    assert result.code == 2
    assert sentence in " ".join(result.err.replace("│", " ").split())
    assert "Traceback" not in result.err
