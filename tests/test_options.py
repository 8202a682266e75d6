"""options.json as editors and systems write it: encodings, damage, and names from a Mac."""

import codecs
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from okla_assets import keys
from okla_assets.assets.promo_video import find_music
from okla_assets.options import StudioOptions, hotspot_problems, merge_options, read_options
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.fakes import VEHICLE, Pipeline

TEXT = '{"promo_title": "Räder", "max_width": 800}'
ENCODINGS = {
    "a byte order mark": codecs.BOM_UTF8 + TEXT.encode(),
    "UTF-16 with a mark": TEXT.encode("utf-16"),
    "UTF-16, big end first": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "UTF-16 without a mark": TEXT.encode("utf-16-le"),
    "UTF-32": TEXT.encode("utf-32"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_options_are_read_in_every_encoding_of_json(
    store: LocalMediaStore, tmp_path: Path, encoding: str
) -> None:
    right = StudioOptions(promo_title="Räder", max_width=800)
    (tmp_path / "options.json").write_bytes(ENCODINGS[encoding])
    assert merge_options(tmp_path, VEHICLE, store, {}) == right
    store.put(keys.options(VEHICLE), ENCODINGS[encoding])
    assert read_options(VEHICLE, store) == (right, ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT.encode("latin-1"), "options.json is not in UTF-8; save it again in that encoding"),
        (b'{"hotspots": ' * 100_000, "options.json is no JSON: recursion limit exceeded"),
        (b'{"max_width": ' + b"9" * 5000 + b"}", "options.json is no JSON: number out of range"),
        (b'{"promo_title": "\\ud83d"}', "options.json is no JSON: unexpected end of hex escape"),
        (b'{"%s": 1}' % (b"x" * 9999), f"options.json: {'x' * 80}...: Extra inputs"),
        (b"", "options.json is no JSON: EOF while parsing"),
    ],
)
def test_options_that_cannot_be_read_cost_a_sentence_and_not_the_vehicle(
    store: LocalMediaStore, tmp_path: Path, text: bytes, says: str
) -> None:
    store.put(keys.options(VEHICLE), text)
    options, problems = read_options(VEHICLE, store)
    assert options == StudioOptions()
    assert len(problems) == 1
    assert problems[0].startswith(says)
    assert len(json.dumps(problems[0], ensure_ascii=False).encode()) < 300
    store.delete(keys.options(VEHICLE))
    (tmp_path / "options.json").write_bytes(text)
    with pytest.raises(BadInput):
        merge_options(tmp_path, VEHICLE, store, {})


@given(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: json.dumps(text).encode()))
def test_no_bytes_stop_a_vehicle(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    store = LocalMediaStore(root=str(tmp_path_factory.getbasetemp() / "any-bytes"))
    store.put(keys.options(VEHICLE), text)
    options, problems = read_options(VEHICLE, store)
    assert options == StudioOptions()
    json.dumps(problems, ensure_ascii=False).encode()


# --- names --------------------------------------------------------------------------------------

COMPOSED = "Räder.jpg"
FROM_A_MAC = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stored", "named"), [(FROM_A_MAC, COMPOSED), (COMPOSED, FROM_A_MAC)], ids=["file", "options"]
)
def test_a_hotspot_finds_its_photo_however_an_umlaut_is_written(
    pipeline: Pipeline, stored: str, named: str
) -> None:
    spot = {"photo": named, "on": "front.jpg", "x": 0.3, "y": 0.7}
    pipeline.upload(
        {stored: pictures.jpeg(pictures.cropped_car()), "front.jpg": pictures.jpeg(pictures.car(2))}
    )
    options = json.dumps({"promo": False, "hotspots": [spot]}).encode()
    pipeline.store.put(keys.options(VEHICLE), options)
    listing = pipeline.run().listing
    assert [problem for problem in listing.reasons if "options.json" in problem] == []
    assert any(spot.by_hand for spot in listing.hotspots)


def test_music_is_found_however_an_umlaut_is_written(store: LocalMediaStore) -> None:
    own = keys.own_music(VEHICLE, unicodedata.normalize("NFD", "Räder.mp3"))
    brand = keys.brand_music(unicodedata.normalize("NFD", "Märchen.mp3"))
    for key in (own, brand):
        store.put(key, b"1")
    for name, key in (("Räder.mp3", own), ("Märchen.mp3", brand)):
        options = StudioOptions(promo_music=unicodedata.normalize("NFD", name))
        assert find_music(VEHICLE, options.promo_music, store) == (key, None)
        assert find_music(VEHICLE, name, store) == (key, None)


@pytest.mark.testdata
def test_reported_names_and_options_hold(testdata: Path, store: LocalMediaStore) -> None:
    options = merge_options(testdata / "reports" / "nfd", VEHICLE, store, {})
    photos = {keys.nfc(path.name) for path in (testdata / "reports" / "nfd").glob("*.jpg")}
    assert list(hotspot_problems(options, photos)) == []
    store.put(keys.options(VEHICLE), (testdata / "reports" / "options_bom.json").read_bytes())
    assert read_options(VEHICLE, store) == (StudioOptions(promo=False, max_width=800), ())


def test_pictures_on_no_scene_do_not_depend_on_its_shape() -> None:
    wide = StudioOptions(aspect="16:9", margin=0.1, background_id="dark_studio")
    assert wide.without_scene == StudioOptions().without_scene
    assert wide.of_photo == StudioOptions().of_photo
    assert wide.of_vehicle != StudioOptions().of_vehicle
    assert StudioOptions(max_width=800).without_scene != StudioOptions().without_scene


def test_the_turn_is_jpeg_on_a_canvas_of_its_own() -> None:
    usual = StudioOptions()
    assert StudioOptions(margin=0.1, output_format="png").of_turn == usual.of_turn
    for changed in (StudioOptions(aspect="16:9"), StudioOptions(output_quality=80)):
        assert changed.of_turn != usual.of_turn
