"""What a person at a terminal sees of `okla export`."""

import json
from pathlib import Path

import pytest

from resources.storage.media_store import LocalMediaStore
from tests.cli.conftest import Command
from tests.fakes import VEHICLE
from tests.operations.test_export import store_vehicle


@pytest.fixture
def okla(
    command: Command, monkeypatch: pytest.MonkeyPatch, store: LocalMediaStore, tmp_path: Path
) -> Command:
    monkeypatch.setenv("OKLA_MEDIA_DIR", store.root)
    monkeypatch.chdir(tmp_path)
    store_vehicle(store)
    return command


def test_the_files_and_what_is_left_out_are_told(okla: Command, tmp_path: Path) -> None:
    result = okla("export", VEHICLE, "--channel", "autotrader_uk")
    assert result.code == 0
    folder = Path("okla-export") / "autotrader_uk" / VEHICLE
    assert f"{folder}: 4 pictures for autotrader_uk" in result.out
    assert "photo 3 is left out: it repeats photo 1" in result.err
    assert len(list((tmp_path / folder).glob("*.jpg"))) == 4


def test_json_is_for_programs(okla: Command) -> None:
    result = okla("export", VEHICLE, "--channel", "okla_listing", "--to", "there", "--json")
    told = json.loads(result.out)
    assert told["accepted"] == [2, 1, 4, 5]
    assert told["files"] == [f"{VEHICLE}_{position:02d}.jpg" for position in range(1, 5)]
    assert told["broken"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((VEHICLE, "--channel", "ebay"), 2, "there is no channel 'ebay'; known are okla_listing"),
        (("nobody", "--channel", "okla_listing"), 2, "there is no vehicle nobody"),
        (("a b", "--channel", "okla_listing"), 2, "vehicle id 'a b' is not usable"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    okla: Command, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    result = okla("export", *arguments)
    assert result.code == code
    assert sentence in result.err


def test_a_vehicle_of_which_nothing_is_taken_fails(okla: Command, store: LocalMediaStore) -> None:
    listing = store_vehicle(store)
    none = listing.model_copy(
        update={
            "photos": tuple(
                photo.model_copy(update={"processed_key": None}) for photo in listing.photos
            ),
            "order": (),
        }
    )
    key = f"processed/{VEHICLE}/listing.json"
    store.put(key, none.model_dump_json().encode(), "application/json")
    result = okla("export", VEHICLE, "--channel", "okla_listing")
    assert result.code == 1
    assert "would take none of the pictures" in result.err
