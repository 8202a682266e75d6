"""Ids are parsed once and keys built in one place, so both are pinned here."""

import pytest

from okla_assets import keys
from okla_assets.keys import BadVehicleId, parse_vehicle_id
from tests.fakes import VEHICLE


@pytest.mark.parametrize(
    "text",
    [
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "1HGCM82633A004352",
        "7",
        "car_7-b",
        "x" * 64,
    ],
)
def test_uuids_vins_and_the_like_are_vehicle_ids(text: str) -> None:
    assert parse_vehicle_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "../other",
        "-x",
        "_x",
        ".hidden",
        "x" * 65,
        "coche-ñ",
        "٣٣",  # decimal digits to a regular expression, but not ASCII ones
        "a/b",
        "a\\b",
        "a b",
        "a\n",
        "\na",
        "a\0",
        "a%2fb",
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadVehicleId) as refusal:
        parse_vehicle_id(text)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize(
    ("folder", "vehicle"),
    [
        ("1HGCM82633A004352", "1HGCM82633A004352"),
        ("Toyota Corolla 2019", "Toyota-Corolla-2019-feb3c45c"),
        ("_año 2020 (rojo)", "a-o-2020-rojo-8bdd080e"),
        ("x" * 70, "x" * 55 + "-c71bd109"),
    ],
)
def test_a_folders_name_becomes_an_id(folder: str, vehicle: str) -> None:
    assert keys.vehicle_id_from_folder(folder) == vehicle


@pytest.mark.parametrize("folder", ["", "...", "___", "日本"])
def test_a_folders_name_without_a_usable_character_is_refused(folder: str) -> None:
    with pytest.raises(BadVehicleId):
        keys.vehicle_id_from_folder(folder)


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["IMG_10.jpg", "img_9.jpg", "IMG_2.jpg", "IMG_2 (1).jpg", "a.jpg", "2.jpg", "10.jpg"]
    assert sorted(names, key=keys.natural_order) == [
        "2.jpg",
        "10.jpg",
        "a.jpg",
        "IMG_2 (1).jpg",
        "IMG_2.jpg",
        "img_9.jpg",
        "IMG_10.jpg",
    ]


@pytest.mark.parametrize("odd", ["²", "½", "٣", "photo²3٣.jpg", "", "1" * 300])
def test_no_name_breaks_the_order(odd: str) -> None:
    names = [odd, "photo1.jpg", "1"]
    assert sorted(sorted(names, key=keys.natural_order)) == sorted(names)


def test_what_buyers_see_and_what_is_private_lie_apart() -> None:
    private = [
        keys.raw_photos(VEHICLE),
        keys.raw_videos(VEHICLE),
        keys.options(VEHICLE),
        keys.ready_marker(VEHICLE),
    ]
    public = [
        keys.processed_photo(VEHICLE, "exterior", 1, "jpg"),
        keys.thumbnail(VEHICLE, "interior", 2),
        keys.processed_mask(VEHICLE, "exterior", 1),
        keys.before_photo(VEHICLE, "exterior", 1),
        keys.gallery(VEHICLE),
        keys.spin_script(VEHICLE),
        keys.listing(VEHICLE),
    ]
    intermediate = [
        keys.table(VEHICLE, "masks"),
        keys.work_folder(VEHICLE, "masks"),
        keys.work_file(VEHICLE, "masks", "0" * 64, "png"),
    ]
    assert {k.startswith(keys.raw_folder(VEHICLE)) for k in private} == {True}
    assert {k.startswith(keys.processed_folder(VEHICLE)) for k in public} == {True}
    assert {k.startswith(f"work/{VEHICLE}/") for k in intermediate} == {True}
    every = private + public + intermediate
    assert len(set(every)) == len(every)


def test_the_layout_is_the_published_one() -> None:
    assert keys.processed_photo(VEHICLE, "exterior", 1, "jpg") == (
        "processed/1HGCM82633A004352/exterior_001_processed.jpg"
    )
    assert keys.processed_mask(VEHICLE, "exterior", 12) == (
        "processed/1HGCM82633A004352/masks/exterior_012_mask.png"
    )
    assert keys.listing(VEHICLE) == "processed/1HGCM82633A004352/listing.json"
    assert keys.raw_photos(VEHICLE) == "raw/1HGCM82633A004352/photos/"
    assert keys.raw_videos(VEHICLE) == "raw/1HGCM82633A004352/video/"
    assert keys.options(VEHICLE) == "raw/1HGCM82633A004352/options.json"
    assert keys.ready_marker(VEHICLE) == "raw/1HGCM82633A004352/_READY"


@pytest.mark.parametrize("category", ["exterior", "interior", "misc"])
@pytest.mark.parametrize("number", [1, 999, 1000])
def test_photo_outputs_are_known_as_such(category: str, number: int) -> None:
    assert keys.is_photo_output(keys.processed_photo(VEHICLE, category, number, "webp"))
    assert keys.is_photo_output(keys.thumbnail(VEHICLE, category, number))
    assert keys.is_photo_output(keys.processed_mask(VEHICLE, category, number))
    assert keys.is_photo_output(keys.before_photo(VEHICLE, category, number))
    sized = keys.sized_photo(VEHICLE, category, number, 800, b"1", "webp")
    assert keys.is_photo_output(sized)
    assert keys.photo_shown(sized) == number
    assert keys.named_by_content(sized)
    assert not keys.named_by_content(keys.processed_photo(VEHICLE, category, number, "webp"))


def test_sizes_of_spin_frames_are_known_as_such_and_named_by_their_bytes() -> None:
    first, second = (keys.sized_frame(VEHICLE, 7, 640, data, "webp") for data in (b"1", b"2"))
    assert first != second
    assert keys.is_spin_frame(first)
    assert keys.is_spin_frame(keys.spin_frame(VEHICLE, 7))
    assert not keys.is_spin_frame(keys.spin_folder(VEHICLE) + "frame_cover.jpg")


@pytest.mark.parametrize(
    "name",
    [
        "listing.json",
        "index.html",
        "promo.mp4",
        "promo_poster.jpg",
        "360-viewer/frame_001.jpg",
        "360-viewer/okla-spin.js",
        "exterior_001.jpg",
        "exterior_01_processed.jpg",
        "my_exterior_001_processed.jpg",
        "exterior_001_processed.jpg.bak",
        "exterior_001_processed.jpg\n",
        "exterior_001_processed/notes.txt",
    ],
)
def test_other_files_are_not_taken_for_photo_outputs(name: str) -> None:
    assert not keys.is_photo_output(keys.processed_folder(VEHICLE) + name)


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("a.JPG", True),
        ("a.tar.heic", True),
        ("a.mov", True),
        ("IMG_3.HIF", True),
        ("IMG_1.DNG", True),
        ("clip.3gp", True),
        ("IMG_11.JPG. .", True),
        ("a.txt", False),
        ("jpg", False),
        ("folder.jpg/readme", False),
        ("_READY", False),
    ],
)
def test_media_are_known_by_suffix(name: str, media: bool) -> None:
    assert keys.is_media(keys.raw_photos(VEHICLE) + name) is media


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (".hidden.jpg", "hidden_file"),
        (".thumbnails/1.jpg", "hidden_file"),
        ("._IMG_1.jpg", "hidden_file"),
        ("Thumbs.db", "system_file"),
        ("__MACOSX/IMG_1.jpg", "system_file"),
        ("IMG_1.AAE", "sidecar"),
        ("MVI_1.THM", "sidecar"),
        ("IMG_1.jpg.part", "unfinished"),
        ("IMG_1", None),
        ("party.jpg", None),
        ("IMG_1.JPG.", None),
    ],
)
def test_some_names_are_passed_over_by_a_rule(path: str, rule: str | None) -> None:
    assert keys.ignored_by_name(path) == rule


@pytest.mark.parametrize(
    ("path", "looked_at"),
    [
        ("photos/a.jpg", True),
        ("photos/deep/er/a.jpg", True),
        ("video/a.jpg", True),
        ("a.jpg", True),
        ("DCIM/100APPLE/a.jpg", True),
        ("interior/a.jpg", True),
        ("124/photos/a.jpg", False),
        ("Golf/a.jpg", False),
    ],
)
def test_a_folder_of_another_name_may_be_another_cars(path: str, looked_at: bool) -> None:
    assert keys.lies_where_uploads_do(keys.raw_folder(VEHICLE) + path) is looked_at


def test_many_names_are_counted() -> None:
    names = [f"{n}.txt" for n in range(10_000)]
    assert keys.in_short(names) == "0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 9,995 more"
    assert keys.in_short(names[:5]) == "0.txt, 1.txt, 2.txt, 3.txt, 4.txt"
    assert keys.in_short(["a"], 3) == "a and 2 more"
