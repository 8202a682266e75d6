"""Every upload is in the record once, as what it holds and not as what it is called."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from okla_assets import keys
from okla_assets.steps.uploads import SourceFolder, Sources, uploads_of
from okla_assets.tables import IgnoredFiles, RefusedFile
from resources.storage.media_store import LocalMediaStore
from tests.denied import deny
from tests.fakes import VEHICLE

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40)
MTS = b"".join(bytes(4) + b"\x47" + bytes(187) for _ in range(8))
JUNK = b"nothing that a camera writes"
RAW = keys.raw_folder(VEHICLE)


def kinds(store: LocalMediaStore) -> dict[str, str]:
    """What became of each upload, by its path in the vehicle's folder."""
    found = uploads_of(VEHICLE, store)
    return (
        {info.key.removeprefix(RAW): "photo" for info in found.photos}
        | {info.key.removeprefix(RAW): "video" for info in found.videos}
        | {file.source_key.removeprefix(RAW): file.reason for file in found.refused}
        | {name: group.rule for group in found.ignored for name in group.examples}
    )


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("photos/IMG_4", JPEG, "photo"),
        ("photos/IMG_11.JPG.", JPEG, "photo"),
        ("photos/IMG_11.JPG ", JPEG, "photo"),
        ("photos/IMG_1.DNG", JPEG, "photo"),
        ("photos/IMG_2.jxl", b"\xff\x0a" + bytes(20), "photo"),
        ("photos/IMG_3.HIF", b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "photo"),
        ("photos/clip.mp4", JPEG, "photo"),
        ("video/IMG_1.jpg", JPEG, "photo"),
        ("video/walk.jpg", MP4, "video"),
        ("photos/walk.mp4", MP4, "video"),
        ("photos/clip.3gp", b"\0\0\0\x14ftyp3gp5\0\0\0\0" + b"3gp5", "video"),
        ("video/00001.MTS", MTS, "video"),
        ("video/a.wmv", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(20), "video"),
        ("video/a.mpg", b"\0\0\1\xba" + bytes(20), "video"),
        ("IMG_1.jpg", JPEG, "photo"),
        ("DCIM/100APPLE/IMG_3.jpg", JPEG, "photo"),
        # Of what the bytes say nothing, the name says whether it is refused or passed over.
        ("photos/empty.jpg", b"", "photo"),
        ("photos/text.dng", JUNK, "photo"),
        ("photos/text.mts", JUNK, "video"),
        ("photos/photos.zip", b"PK\x03\x04", "photo"),
        ("photos/empty", b"", "not_media"),
        ("photos/notes.txt", JUNK, "not_media"),
        ("photos/voice.m4a", b"\0\0\0\x18ftypM4A \0\0\0\0", "not_media"),
        ("photos/IMG_1.AAE", JUNK, "sidecar"),
        ("photos/MVI_1.THM", JPEG, "sidecar"),
        ("photos/IMG_1.jpg.part", JPEG, "unfinished"),
        ("photos/Thumbs.db", JUNK, "system_file"),
        ("124/photos/IMG_1.jpg", JPEG, "elsewhere"),
    ],
)
def test_what_a_file_is_its_bytes_say(
    store: LocalMediaStore, path: str, data: bytes, kind: str
) -> None:
    store.put(RAW + path, data)
    assert list(kinds(store).values()) == [kind]
    assert kinds(store) == kinds(store)  # the second time from memory


def test_markers_options_and_their_music_are_no_uploads(store: LocalMediaStore) -> None:
    for key in keys.records(VEHICLE) - {RAW}:
        store.put(key, b"{}")
    store.put(keys.options(VEHICLE), b'{"promo_music": "song.mp4"}')
    store.put(keys.own_music(VEHICLE, "song.mp4"), MP4)
    assert kinds(store) == {}


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.jpg", "2.jpg", "shut/3.jpg"):
        store.put(keys.raw_photos(VEHICLE) + name, JPEG)
    folder = store.folder / keys.raw_photos(VEHICLE)
    (folder / "loop").symlink_to("loop")
    (folder / ".trash").mkdir()
    deny(monkeypatch, folder / "shut", folder / "2.jpg")
    assert kinds(store) == {
        "photos/1.jpg": "photo",
        "photos/2.jpg": "unreadable",
        "photos/loop": "not_a_file",
        "photos/shut/": "unreadable",
        ".trash/": "hidden_file",
    }


def test_ten_thousand_are_one_line(store: LocalMediaStore) -> None:
    store.put(f"{keys.raw_photos(VEHICLE)}1.jpg", JPEG)
    folder = store.folder / keys.raw_photos(VEHICLE)
    for number in range(10_000):
        (folder / f"{number}.txt").touch()
    found = uploads_of(VEHICLE, store)
    examples = tuple(f"{number}.txt" for number in range(5))
    assert found.ignored == (IgnoredFiles(rule="not_media", count=10_000, examples=examples),)
    assert len(found.photos) == 1


def test_what_okla_process_left_in_its_folder_is_in_the_record(store: LocalMediaStore) -> None:
    left = IgnoredFiles(rule="not_media", count=2, examples=("a.txt", "b.txt"))
    shut = RefusedFile(source_key=f"{RAW}photos/c.jpg", reason="unreadable", detail="Shut.")
    sources = Sources(folders=(SourceFolder(path="/car", ignored=(left,), refused=(shut,)),))
    store.put(keys.source_record(VEHICLE), sources.model_dump_json().encode())
    store.put(f"{RAW}photos/notes.txt", JUNK)
    found = uploads_of(VEHICLE, store)
    assert found.refused == (shut,)
    assert [(g.count, g.examples) for g in found.ignored] == [(3, ("notes.txt", "a.txt", "b.txt"))]
    store.put(keys.source_record(VEHICLE), b"not ours")
    assert uploads_of(VEHICLE, store).refused == ()


PARTS = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
ENDINGS = st.sampled_from(["", ".", " ", ".jpg", ".JPG.", ".mp4", ".txt", ".HIF", ".MTS", ".part"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["", "photos/", "video/", "DCIM/", "x/"]), PARTS, ENDINGS),
        st.sampled_from([JPEG, MP4, JUNK, b""]),
        max_size=6,
    )
)
def test_nothing_is_left_out_and_nothing_is_told_twice(
    files: dict[tuple[str, str, str], bytes],
) -> None:
    with tempfile.TemporaryDirectory() as root:
        store = LocalMediaStore(root=root)
        expected = 0
        for (place, name, ending), data in files.items():
            path = Path(root, RAW, place, name + ending)
            if path.name in ("_READY", "_ARCHIVED", "_SOURCE", "options.json"):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for _, folders, names in os.walk(Path(root, RAW)):
            hidden = [name for name in folders if name.startswith(".")]
            folders[:] = [name for name in folders if name not in hidden]
            expected += len(names) + len(hidden)
        found = uploads_of(VEHICLE, store)
        told = [*(i.key for i in (*found.photos, *found.videos))]
        told += [file.source_key for file in found.refused]
        assert len(told) == len(set(told))
        assert len(told) + sum(group.count for group in found.ignored) == expected
