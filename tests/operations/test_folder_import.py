"""One car's folder becomes its uploads; another car's never joins them unasked."""

import os
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from okla_assets import keys
from okla_assets.operations.folder_import import Imported, cars_in, import_folder
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore
from resources.storage.stores import store_for
from tests.denied import deny
from tests.fakes import VEHICLE, contents

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40)


def fill(folder: Path, *names: str, data: bytes = JPEG) -> Path:
    """The folder with files that all differ."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data + str(path).encode())
    return folder


def uploaded(store: LocalMediaStore) -> list[str]:
    photos, videos = keys.raw_photos(VEHICLE), keys.raw_videos(VEHICLE)
    return [i.key for i in store.list(keys.RAW) if i.key.startswith((photos, videos))]


# --- two cars -------------------------------------------------------------------------------------


def test_another_folder_is_not_mixed_in(tmp_path: Path, store: LocalMediaStore) -> None:
    one = fill(tmp_path / "123" / "photos", "IMG_0001.jpg", "IMG_0002.jpg")
    other = fill(tmp_path / "124" / "photos", "IMG_0001.jpg", "IMG_0003.jpg")
    import_folder(one, VEHICLE, store)
    before = contents(store, "")
    with pytest.raises(BadInput, match=rf"{other} may be of another car.*{one}.*--add"):
        import_folder(other, VEHICLE, store)
    assert contents(store, "") == before
    import_folder(one, VEHICLE, store)
    assert contents(store, "") == before


def test_the_first_photo_may_come_before_the_others(tmp_path: Path, store: LocalMediaStore) -> None:
    folder = fill(tmp_path / "123", "10.jpg", "2.jpg")
    fill(folder, "1.mp4", data=MP4)
    (folder / "notes.txt").write_text("no photo")
    first = import_folder(folder, VEHICLE, store, first_only=True)
    assert uploaded(store) == [f"{keys.raw_photos(VEHICLE)}2.jpg"] == list(first.uploaded)
    assert import_folder(folder, VEHICLE, store).earlier == ()
    assert uploaded(store) == [
        f"{keys.raw_photos(VEHICLE)}10.jpg",
        f"{keys.raw_photos(VEHICLE)}2.jpg",
        f"{keys.raw_videos(VEHICLE)}1.mp4",
    ]


def test_another_folder_is_added_where_that_is_meant(
    tmp_path: Path, store: LocalMediaStore
) -> None:
    one = fill(tmp_path / "monday", "IMG_0001.jpg", "IMG_0002.jpg")
    other = fill(tmp_path / "tues day", "IMG_0001.jpg", "walk.mp4")
    import_folder(one, VEHICLE, store)
    first = contents(store, keys.raw_photos(VEHICLE))
    import_folder(other, VEHICLE, store, add=True)
    after = contents(store, keys.RAW)
    # Nothing is overwritten, though both have an IMG_0001.jpg.
    assert first.items() <= after.items()
    assert len(uploaded(store)) == 4
    for folder in (one, other):  # both are known now
        assert import_folder(folder, VEHICLE, store).earlier == ()
        assert contents(store, keys.RAW) == after
    (other / "IMG_0001.jpg").unlink()
    (left,) = import_folder(other, VEHICLE, store).earlier
    assert left.endswith("IMG_0001.jpg")
    assert "tues-day" in left


def test_a_folder_that_was_filled_with_another_car_is_told(
    tmp_path: Path, store: LocalMediaStore
) -> None:
    folder = fill(tmp_path / "car", "IMG_0001.jpg", "IMG_0002.jpg")
    import_folder(folder, VEHICLE, store)
    for path in folder.iterdir():
        path.write_bytes(JPEG + b"another car")
    before = contents(store, "")
    with pytest.raises(BadInput, match=r"none of the files .* another car.*--vehicle-id"):
        import_folder(folder, VEHICLE, store)
    assert contents(store, "") == before
    import_folder(folder, VEHICLE, store, add=True)


def test_a_folder_that_was_moved_or_copied_is_the_same_car(
    tmp_path: Path, store: LocalMediaStore
) -> None:
    folder = fill(tmp_path / "a" / "car", "1.jpg", "2.jpg")
    import_folder(folder, VEHICLE, store)
    moved = folder.rename(tmp_path / "car")
    fill(moved, "3.jpg")
    assert len(import_folder(moved, VEHICLE, store).uploaded) == 3
    with pytest.raises(BadInput, match="another car"):
        import_folder(fill(folder, "1.jpg"), VEHICLE, store)


def test_uploads_that_came_by_another_way_are_not_mixed_with_a_folder(
    tmp_path: Path, store: LocalMediaStore
) -> None:
    folder = fill(tmp_path / "car", "1.jpg")
    store.put(f"{keys.raw_photos(VEHICLE)}1.jpg", (folder / "1.jpg").read_bytes())
    import_folder(folder, VEHICLE, store)  # the very same
    store.delete(keys.source_record(VEHICLE))
    store.put(f"{keys.raw_photos(VEHICLE)}other.jpg", JPEG)
    with pytest.raises(BadInput, match=r"has files that are not in it.*--add"):
        import_folder(folder, VEHICLE, store)


def test_a_bucket_remembers_too(tmp_path: Path, s3_place: str) -> None:
    store = store_for(s3_place)
    import_folder(fill(tmp_path / "a", "1.jpg"), VEHICLE, store)
    with pytest.raises(BadInput, match="another car"):
        import_folder(fill(tmp_path / "b", "1.jpg"), VEHICLE, store)


@pytest.mark.parametrize(
    ("paths", "cars"),
    [
        (["1.jpg", "a/2.jpg", "b/3.jpg"], []),
        (["DCIM/100APPLE/1.jpg", "Photos/2.jpg", "interior/3.jpg"], []),
        (["Golf/1.jpg"], []),
        (["Golf/1.jpg", "DCIM/2.jpg"], []),
        (["rear/1.jpg", "front/2.jpg", "Day 2/3.jpg"], []),
        (["123/1.jpg", "124/1.jpg"], ["123", "124"]),
        (["Golf/1.jpg", "Audi A4/1.jpg"], ["Golf", "Audi A4"]),
        (["stock/photos/123/1.jpg", "stock/photos/124/1.jpg"], ["123", "124"]),
        (["logo.jpg", "123/photos/1.jpg", "124/photos/1.jpg"], ["123", "124"]),
    ],
)
def test_folders_in_a_folder_may_be_of_several_cars(paths: list[str], cars: list[str]) -> None:
    assert cars_in([tuple(path.split("/")) for path in paths]) == cars


def test_a_folder_of_several_cars_is_told(tmp_path: Path, store: LocalMediaStore) -> None:
    stock = fill(tmp_path / "stock", "123/photos/1.jpg", "124/photos/1.jpg")
    with pytest.raises(BadInput, match=r"several cars: 123, 124; process each"):
        import_folder(stock, VEHICLE, store)
    assert list(store.list("")) == []
    assert len(import_folder(stock, VEHICLE, store, add=True).uploaded) == 2


# --- whatever lies in it --------------------------------------------------------------------------


def named(imported: Imported) -> dict[str, str]:
    return {file.source_key.rsplit("/", 1)[-1]: file.reason for file in imported.refused}


def test_files_go_where_they_belong_by_content(tmp_path: Path, store: LocalMediaStore) -> None:
    folder = tmp_path / "car"
    fill(folder, "IMG_4", "IMG_1.DNG", "IMG_11.JPG.", "clip.3gp", "video/cover.mp4", "notes.txt")
    fill(folder, "DCIM/100APPLE/IMG_3.HIF", "interior/IMG_2.jpg")
    fill(folder, "photos/walk.jpg", "walk around", data=MP4)
    (folder / "read me.txt").write_text("hello")
    imported = import_folder(folder, VEHICLE, store)
    photos, videos = keys.raw_photos(VEHICLE), keys.raw_videos(VEHICLE)
    assert set(uploaded(store)) == {
        *(f"{photos}{n}" for n in ("IMG_4", "IMG_1.DNG", "IMG_11.JPG.", "clip.3gp", "cover.mp4")),
        *(f"{photos}{n}" for n in ("DCIM/100APPLE/IMG_3.HIF", "interior/IMG_2.jpg", "notes.txt")),
        *(f"{videos}{name}" for name in ("walk.jpg", "walk around")),
    }
    assert [(g.rule, g.examples) for g in imported.ignored] == [("not_media", ("read me.txt",))]


def test_one_bad_entry_never_stops_the_rest(
    tmp_path: Path, store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "car", "1.jpg", "2.jpg", "shut/3.jpg", ".trash/4.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "nowhere.jpg").symlink_to("gone.jpg")
    (folder / "again").symlink_to(folder)
    (folder / "up").symlink_to(fill(tmp_path, "other car.jpg"))
    os.mkfifo(folder / "pipe.jpg")
    deny(monkeypatch, folder / "2.jpg", folder / "shut")
    imported = import_folder(folder, VEHICLE, store)
    assert uploaded(store) == [f"{keys.raw_photos(VEHICLE)}1.jpg"]
    assert named(imported) == {
        "2.jpg": "unreadable",
        "shut": "unreadable",
        "again": "not_a_file",
        "up": "not_a_file",
        "loop.jpg": "not_a_file",
        "nowhere.jpg": "not_a_file",
        "pipe.jpg": "not_a_file",
    }
    assert [(g.rule, g.examples) for g in imported.ignored] == [("hidden_file", (".trash",))]


def test_where_nothing_can_be_read_it_says_so(
    tmp_path: Path, store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "car", "1.jpg")
    deny(monkeypatch, folder / "1.jpg")
    with pytest.raises(BadInput, match=r"no photo that can be read.*1\.jpg"):
        import_folder(folder, VEHICLE, store)
    deny(monkeypatch, folder)
    with pytest.raises(BadInput, match="may not be read"):
        import_folder(folder, VEHICLE, store)


def test_what_okla_writes_is_not_read_back(tmp_path: Path) -> None:
    folder = fill(tmp_path / "car", "1.jpg")
    for media in ("okla-media", "elsewhere"):
        store = LocalMediaStore(root=str(folder / media))
        for _ in range(2):
            import_folder(folder, VEHICLE, store)
            store.put("processed/x/exterior_001_processed.jpg", JPEG)
            assert uploaded(store) == [f"{keys.raw_photos(VEHICLE)}1.jpg"]


# --- the inputs of public reports -----------------------------------------------------------------


@pytest.mark.testdata
def test_the_reports_folders(testdata: Path, store: LocalMediaStore) -> None:
    reports = testdata / "reports"
    import_folder(reports / "nested", keys.parse_vehicle_id("nested"), store)
    assert len(list(store.list("raw/nested/photos/"))) == 4
    import_folder(reports / "endings", keys.parse_vehicle_id("endings"), store)
    assert len(list(store.list("raw/endings/photos/"))) == 7
    import_folder(reports / "stock" / "123" / "photos", VEHICLE, store)
    with pytest.raises(BadInput, match="another car"):
        import_folder(reports / "stock" / "124" / "photos", VEHICLE, store)


def test_a_stored_copy_that_cannot_be_read_is_written_anew(
    tmp_path: Path, store: LocalMediaStore
) -> None:
    folder = fill(tmp_path / "car", "1.jpg", "2.jpg")
    import_folder(folder, VEHICLE, store)
    before = contents(store, keys.RAW)
    stored = store.folder / keys.raw_photos(VEHICLE) / "1.jpg"
    etag = before[keys.raw_photos(VEHICLE) + "1.jpg"][1].etag
    with pytest.MonkeyPatch.context() as patch:
        deny(patch, stored)
        import_folder(folder, VEHICLE, store)
    after = contents(store, keys.RAW)
    assert {key: data for key, (data, _) in after.items()} == {
        key: data for key, (data, _) in before.items()
    }
    assert after[keys.raw_photos(VEHICLE) + "1.jpg"][1].etag != etag


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_folder_that_came_by_a_mac_is_the_same(
    tmp_path: Path, store: LocalMediaStore, forms: tuple[Literal["NFC", "NFD"], ...]
) -> None:
    first, second = (unicodedata.normalize(form, "R\u00e4der.jpg") for form in forms)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / first).write_bytes(JPEG)
    (tmp_path / "b" / second).write_bytes(JPEG)
    assert import_folder(tmp_path / "a", VEHICLE, store).uploaded == (
        keys.raw_photos(VEHICLE) + first,
    )
    again = import_folder(tmp_path / "b", VEHICLE, store)
    assert (again.uploaded, again.earlier) == ((keys.raw_photos(VEHICLE) + first,), ())
    assert uploaded(store) == [keys.raw_photos(VEHICLE) + first]
