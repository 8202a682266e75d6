"""The contract of every media store, and what the local folder promises beyond it.

A store is held to it by a subclass of `MediaStoreContract` with a fixture `store`.
"""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.errors import BrokenSetup, Unreadable
from resources.storage import odd_entries, whole_files
from resources.storage.media_store import LocalMediaStore, MediaStore, Replaced
from resources.storage.odd_entries import BadKey, OddEntry
from resources.storage.stores import store_for
from resources.storage.whole_files import TEMP_FOLDER
from tests.denied import deny

ODD_NAMES = ["photo 1.jpg", "niño.jpg", "日本.png", "a+b&c=d?.jpg", "100%.jpg", "'\"#.jpg"]
BAD_KEYS = ["", "/etc/passwd", "..", "a/../b", "../a", "a//b", "a/", "a/.", ".hidden", "a/.b/c"]
BAD_KEYS += ["a\\b", "a\0b", "\udcff.jpg"]


class MediaStoreContract:
    """What the pipeline relies on, whatever the store."""

    def test_it_is_a_media_store(self, store: MediaStore) -> None:
        assert isinstance(store, MediaStore)

    def test_what_is_put_is_got(self, store: MediaStore) -> None:
        data = bytes(range(256)) * 40
        etag = store.put("raw/v/photos/a.jpg", data, "image/jpeg")
        assert store.get("raw/v/photos/a.jpg") == data
        info = store.stat("raw/v/photos/a.jpg")
        assert info is not None
        assert (info.key, info.size, info.etag) == ("raw/v/photos/a.jpg", len(data), etag)

    def test_an_empty_object_is_an_object(self, store: MediaStore) -> None:
        store.put("raw/v/_READY", b"")
        assert store.get("raw/v/_READY") == b""
        assert [(i.key, i.size) for i in store.list("raw/")] == [("raw/v/_READY", 0)]

    def test_the_head_is_the_first_bytes_or_all(self, store: MediaStore) -> None:
        store.put("a.bin", b"0123456789")
        store.put("empty.bin", b"")
        assert store.head("a.bin", 4) == b"0123"
        assert store.head("a.bin", 4096) == b"0123456789"
        assert store.head("empty.bin", 4) == b""
        with pytest.raises(FileNotFoundError, match="nowhere"):
            store.head("nowhere/at/all", 4)

    def test_a_part_is_of_the_object_that_was_found(self, store: MediaStore) -> None:
        store.put("a.bin", b"0123456789")
        info = store.stat("a.bin")
        assert info is not None
        assert store.part(info, 3, 4) == b"3456"
        assert store.part(info, 8, 100) == b"89"
        store.put("a.bin", b"abcdefghij")
        with pytest.raises(Replaced):
            store.part(info, 3, 4)
        store.delete("a.bin")
        with pytest.raises(FileNotFoundError, match=r"a\.bin"):
            store.part(info, 3, 4)

    def test_a_file_on_disk_is_copied_in_and_stays(self, store: MediaStore, tmp_path: Path) -> None:
        path = tmp_path / "upload.jpg"
        path.write_bytes(b"picture")
        etag = store.put_file("a/b.jpg", path)
        assert store.get("a/b.jpg") == path.read_bytes() == b"picture"
        info = store.stat("a/b.jpg")
        assert info is not None
        assert (info.key, info.size, info.etag) == ("a/b.jpg", 7, etag)

    def test_a_file_that_is_not_there_leaves_nothing(
        self, store: MediaStore, tmp_path: Path
    ) -> None:
        with pytest.raises(FileNotFoundError, match="no-such-file"):
            store.put_file("a/b.jpg", tmp_path / "no-such-file")
        assert store.stat("a/b.jpg") is None
        assert list(store.list("")) == []

    def test_what_is_to_be_new_is_written_once(self, store: MediaStore) -> None:
        assert store.put_new("inbox/a.json", b"first", "application/json") is True
        assert store.put_new("inbox/a.json", b"second", "application/json") is False
        assert store.get("inbox/a.json") == b"first"
        store.delete("inbox/a.json")
        assert store.put_new("inbox/a.json", b"third") is True
        assert store.get("inbox/a.json") == b"third"

    def test_of_many_who_write_what_is_to_be_new_one_does(self, store: MediaStore) -> None:
        with ThreadPoolExecutor(8) as writers:
            for key in (f"inbox/{n}.json" for n in range(10)):
                wrote = list(
                    writers.map(lambda n, key=key: store.put_new(key, bytes([n]) * 9), range(8))
                )
                assert wrote.count(True) == 1
                assert store.get(key) == bytes([wrote.index(True)]) * 9

    def test_what_is_durable_is_an_object_like_others(
        self, store: MediaStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "upload.jpg"
        path.write_bytes(b"picture")
        etags = store.put("a/b.json", b"1", durable=True), store.put_file("c", path, durable=True)
        assert etags == tuple(info.etag for info in store.list(""))
        assert (store.get("a/b.json"), store.get("c")) == (b"1", b"picture")

    def test_missing_objects_are_named(self, store: MediaStore) -> None:
        store.put("raw/v/a.jpg", b"1")
        for key in ("raw/v/b.jpg", "nowhere/at/all", "raw/v", "raw/v/a.jpg/below"):
            assert store.stat(key) is None
            with pytest.raises(FileNotFoundError, match=key):
                store.get(key)

    def test_deleting_twice_is_no_error(self, store: MediaStore) -> None:
        store.put("a/b/c.jpg", b"1")
        store.put("a/d.jpg", b"2")
        store.delete("a/b/c.jpg")
        store.delete("a/b/c.jpg")
        store.delete("never/was")
        assert [i.key for i in store.list("")] == ["a/d.jpg"]
        assert list(store.folders("a/")) == []

    def test_the_etag_changes_with_the_bytes(self, store: MediaStore) -> None:
        # Same length, and as quickly after each other as a machine can.
        etags = [store.put("a.bin", bytes([n])) for n in range(100)]
        assert len(set(etags)) == 100
        last = store.stat("a.bin")
        assert last is not None
        assert last.etag == etags[-1]

    def test_the_etag_stays_while_nobody_writes(self, store: MediaStore) -> None:
        etag = store.put("a.bin", b"1")
        store.get("a.bin")
        store.put("b.bin", b"1")
        assert [i.etag for i in store.list("a")] == [etag]

    def test_modified_is_now_and_in_utc(self, store: MediaStore) -> None:
        store.put("a.bin", b"1")
        (info,) = store.list("")
        modified = info.modified
        assert modified.tzinfo is UTC or modified.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - modified) < timedelta(seconds=5)

    def test_listing_by_prefix(self, store: MediaStore) -> None:
        for key in ("raw/v1/a.jpg", "raw/v1/b/c.jpg", "raw/v10/a.jpg", "raw/w/a.jpg", "top.txt"):
            store.put(key, b"1")
        for prefix, expected in {
            "": ["raw/v1/a.jpg", "raw/v1/b/c.jpg", "raw/v10/a.jpg", "raw/w/a.jpg", "top.txt"],
            "raw/v1/": ["raw/v1/a.jpg", "raw/v1/b/c.jpg"],
            "raw/v1": ["raw/v1/a.jpg", "raw/v1/b/c.jpg", "raw/v10/a.jpg"],
            "raw/v1/b": ["raw/v1/b/c.jpg"],
            "raw/v1/a.j": ["raw/v1/a.jpg"],
            "raw/v1/a.jpg": ["raw/v1/a.jpg"],
            "to": ["top.txt"],
            "raw/x": [],
            "raw/v1/a.jpg/": [],
            "nowhere/": [],
        }.items():
            assert [i.key for i in store.list(prefix)] == expected, prefix

    def test_listing_is_in_the_order_of_whole_keys(self, store: MediaStore) -> None:
        keys = ["a-b/1", "a.jpg", "a/1", "a/b/1", "a/b.jpg", "a/ñ", "a/日", "a0", "B", "b c", "b"]
        for key in keys:
            store.put(key, b"1")
        assert [i.key for i in store.list("")] == sorted(keys)
        assert [i.key for i in store.list("a")] == sorted(k for k in keys if k.startswith("a"))

    def test_a_listing_goes_on_where_one_stopped(self, store: MediaStore) -> None:
        keys = ["a-b/1", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b/1", "c"]
        for key in keys:
            store.put(key, b"1")
        for after in ["", "0", "a", "a/", "a/2", "a/2/", "a/20", "a0", "b/0", "z", *keys]:
            listed = [i.key for i in store.list("", after)]
            assert listed == [k for k in keys if k > after], after
            within = [i.key for i in store.list("a/", after)]
            assert within == [k for k in keys if k > after and k.startswith("a/")], after

    def test_listing_tells_the_same_as_stat(self, store: MediaStore) -> None:
        for key in ("a/1", "a/2"):
            store.put(key, key.encode() * 3)
        assert list(store.list("a/")) == [store.stat("a/1"), store.stat("a/2")]

    def test_a_listing_may_be_emptied_while_it_is_read(self, store: MediaStore) -> None:
        for n in range(20):
            store.put(f"a/{n % 4}/{n}", b"1")
        for info in store.list("a/"):
            store.delete(info.key)
        assert list(store.list("")) == []

    def test_folders(self, store: MediaStore) -> None:
        for key in ("raw/v2/photos/a.jpg", "raw/v1/b.jpg", "raw/v10/c.jpg", "raw/file.txt"):
            store.put(key, b"1")
        assert list(store.folders("raw/")) == ["v1", "v10", "v2"]
        assert list(store.folders("raw/v2/")) == ["photos"]
        assert list(store.folders("raw/v1/")) == []
        assert list(store.folders("nowhere/")) == []

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_names_are_kept_as_they_are(self, store: MediaStore, name: str) -> None:
        key = f"raw/v/photos/{name}"
        store.put(key, name.encode())
        assert store.get(key) == name.encode()
        assert [i.key for i in store.list("raw/v/")] == [key]
        assert store.url(key)
        store.delete(key)
        assert store.stat(key) is None

    @pytest.mark.parametrize("key", BAD_KEYS, ids=repr)
    def test_keys_that_lead_astray_are_refused(
        self, store: MediaStore, key: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"1")
        for use in (
            lambda: store.put(key, b"1"),
            lambda: store.put_file(key, path),
            lambda: store.get(key),
            lambda: store.stat(key),
            lambda: store.delete(key),
        ):
            with pytest.raises(BadKey) as refusal:
                use()
            assert repr(key) in str(refusal.value)
        assert list(store.list("")) == []

    def test_a_reader_sees_the_old_bytes_or_the_new(self, store: MediaStore) -> None:
        size = 300_000
        store.put("a.bin", b"\0" * size)
        torn: list[str] = []
        done = {"reader": 0, "writer": 0, "other writer": 0}
        end = threading.Event()

        def read() -> None:
            while not end.is_set():
                data = store.get("a.bin")
                done["reader"] += 1
                if len(data) != size or data.count(data[0]) != size:
                    torn.append(f"{len(data)} bytes, not all alike")

        def write(name: str) -> None:
            while not end.is_set():
                done[name] += 1
                store.put("a.bin", bytes([done[name] % 256]) * size)

        threads = [threading.Thread(target=read)]
        threads += [threading.Thread(target=write, args=(n,)) for n in done if n != "reader"]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 20
        while min(done.values()) <= 5 and time.monotonic() < until:
            time.sleep(0.1)
        end.set()
        for thread in threads:
            thread.join()
        assert not torn
        assert min(done.values()) > 5


class TestLocalMediaStore(MediaStoreContract):
    """The local folder keeps the contract."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> MediaStore:
        return LocalMediaStore(root=str(tmp_path / "media"))


class TestS3MediaStore(MediaStoreContract):
    """A bucket keeps it too; what it promises beyond is in `test_s3_store.py`."""

    @pytest.fixture
    def store(self, s3_place: str) -> MediaStore:
        return store_for(s3_place)


# --- what is no object ----------------------------------------------------------------------------


@pytest.fixture
def odd_store(store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch) -> LocalMediaStore:
    """Two vehicles with a photo each, and beside and in them all that may lie in a folder."""
    for key in ("raw/a/photos/1.jpg", "raw/b/photos/1.jpg", "raw/b/shut/1.jpg", "raw/z/shut.jpg"):
        store.put(key, b"1")
    raw = store.folder / "raw"
    (raw / "a" / "photos" / "loop.jpg").symlink_to("loop.jpg")
    (raw / "a" / "photos" / "nowhere.jpg").symlink_to("gone.jpg")
    (raw / "a" / "photos" / "again").symlink_to(raw / "a")
    (raw / "a" / "photos" / "back\\slash.jpg").write_bytes(b"1")
    (raw / "a" / ".hidden").mkdir()
    os.mkfifo(raw / "a" / "photos" / "pipe.jpg")
    (raw / "loop").symlink_to("loop")
    deny(monkeypatch, raw / "b" / "shut", raw / "z" / "shut.jpg")
    return store


def test_what_is_no_object_is_told_and_the_rest_is_listed(odd_store: LocalMediaStore) -> None:
    odd: list[OddEntry] = []
    listed = [info.key for info in odd_store.list("raw/", odd=odd.append)]
    assert listed == ["raw/a/photos/1.jpg", "raw/b/photos/1.jpg", "raw/z/shut.jpg"]
    assert {entry.key: entry.reason for entry in odd} == {
        "raw/a/.hidden/": "hidden",
        "raw/a/photos/again/": "not_a_file",
        "raw/a/photos/back\\slash.jpg": "unusable_name",
        "raw/a/photos/loop.jpg": "not_a_file",
        "raw/a/photos/nowhere.jpg": "not_a_file",
        "raw/a/photos/pipe.jpg": "not_a_file",
        "raw/b/shut/": "unreadable",
        "raw/loop": "not_a_file",
    }
    assert all(entry.key in entry.detail or "slash" in entry.detail for entry in odd)
    assert list(odd_store.folders("raw/")) == ["a", "b", "z"]
    assert odd_store.stat("raw/loop") is None


def test_a_link_upwards_brings_no_other_vehicle_in(odd_store: LocalMediaStore) -> None:
    (odd_store.folder / "raw" / "b" / "up").symlink_to(odd_store.folder)
    assert [info.key for info in odd_store.list("raw/b/")] == ["raw/b/photos/1.jpg"]


def test_each_is_logged_once(
    odd_store: LocalMediaStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odd_entries, "_told", set())  # other tests have told of such keys, too
    for _ in range(3):
        list(odd_store.list("raw/"))
    # Servers of other tests, in threads of this process, may still have something to say.
    ours = [record for record in caplog.records if record.name == odd_entries.log.name]
    told = [record.getMessage() for record in ours]
    assert len(told) == len(set(told)) == 7
    assert not any(".hidden" in sentence for sentence in told)


def test_a_folder_that_is_asked_for_and_may_not_be_read_is_never_empty(
    odd_store: LocalMediaStore,
) -> None:
    for ask in (
        lambda: list(odd_store.list("raw/b/shut/")),
        lambda: list(odd_store.folders("raw/b/shut/")),
        lambda: odd_store.get("raw/z/shut.jpg"),
        lambda: odd_store.head("raw/z/shut.jpg", 1),
    ):
        with pytest.raises(Unreadable, match=r"shut.* may not be read: give"):
            ask()


def in_another_process(root: Path) -> subprocess.Popen[str]:
    """A process that has written all of raw/v/new.jpg but not yet given it its name."""
    code = f"""
import time
from pathlib import Path
from resources.storage.media_store import LocalMediaStore

def replace(self, target):
    print("about to rename", flush=True)
    time.sleep(60)

Path.replace = replace
LocalMediaStore(root={str(root)!r}).put("raw/v/new.jpg", b"x" * 1000)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "about to rename\n"
    return child


@pytest.fixture
def another_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with in_another_process(tmp_path / "media") as child:
        try:
            yield child
        finally:
            child.kill()


def test_a_killed_writer_leaves_nothing_behind(
    store: LocalMediaStore,
    another_process: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def temps_after_a_write() -> list[str]:
        monkeypatch.setattr(whole_files, "_swept", set())  # as in a process that has just started
        store.put("raw/v/mine.jpg", b"1")
        return [path.name for path in (store.folder / TEMP_FOLDER).iterdir()]

    (half_written,) = (store.folder / TEMP_FOLDER).iterdir()
    assert [i.key for i in store.list("")] == []
    # Its writer lives: it is not ours to remove.
    assert temps_after_a_write() == [half_written.name]
    another_process.kill()
    another_process.wait()
    assert temps_after_a_write() == []
    assert [i.key for i in store.list("")] == ["raw/v/mine.jpg"]


def test_the_etag_changes_also_by_a_coarse_clock(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def write_at_once(path: Path, data: bytes) -> int:
        count = write(path, data)
        os.utime(path, (1_000_000_000, 1_000_000_000))
        return count

    monkeypatch.setattr(Path, "write_bytes", write_at_once)
    etags = [store.put("a.bin", bytes([n])) for n in range(5)]
    assert len(set(etags)) == 5
    assert [i.etag for i in store.list("a")] == etags[-1:]


def test_temps_of_other_machines_go_after_a_day(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.folder / TEMP_FOLDER
    folder.mkdir(parents=True)
    for name, hours in {"fresh": 23, "stale": 25}.items():
        path = folder / f"another-machine.1.{name}"
        path.write_bytes(b"1")
        os.utime(path, (time.time() - hours * 3600,) * 2)
    monkeypatch.setattr(whole_files, "_swept", set())
    store.put("a", b"1")
    assert [path.name for path in folder.iterdir()] == ["another-machine.1.fresh"]


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError("the disk is full"), BrokenSetup), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_write_that_fails_leaves_nothing(
    store: LocalMediaStore,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    told: type[BaseException],
) -> None:
    store.put("a.bin", b"old")
    write = Path.write_bytes

    def interrupted(path: Path, data: bytes) -> int:
        write(path, data[:2])
        raise error

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(told):
        store.put("a.bin", b"newer")
    assert store.get("a.bin") == b"old"
    assert list((store.folder / TEMP_FOLDER).iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000 + "x"], ids=["name", "path"])
def test_a_key_that_no_file_can_have_names_nothing(store: LocalMediaStore, name: str) -> None:
    """Callers of the doors may ask for whatever they like."""
    store.put("raw/CAR-1/photos/a.jpg", b"x")
    key = f"raw/CAR-1/photos/{name}"
    assert store.stat(key) is None
    with pytest.raises(FileNotFoundError):
        store.get(key)
    with pytest.raises(FileNotFoundError):
        store.head(key, 1)


def test_an_upload_counts_from_when_it_arrived(store: LocalMediaStore, tmp_path: Path) -> None:
    # Copies keep the time at which a photo was taken (cp -p, unzip, a file manager), and cameras'
    # clocks run fast as well as slow. The quiet period of the sensor needs the time of arrival.
    for name, when in {"slow.jpg": 1_000_000_000, "fast.jpg": 4_000_000_000}.items():
        path = tmp_path / name
        path.write_bytes(b"1")
        os.utime(path, (when, when))
        (store.folder / "raw").mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, store.folder / "raw" / name)
    ages = [datetime.now(UTC) - info.modified for info in store.list("raw/")]
    assert len(ages) == 2
    assert all(abs(age) < timedelta(seconds=5) for age in ages)


def test_files_that_no_key_can_name_are_left_alone_and_told(
    store: LocalMediaStore, caplog: pytest.LogCaptureFixture
) -> None:
    folder = store.folder / "raw" / "v"
    folder.mkdir(parents=True)
    for name in ("good.jpg", "back\\slash.jpg", "latin\udce9.jpg", ".hidden.jpg"):
        (folder / name).write_bytes(b"1")
    assert [i.key for i in store.list("raw/")] == ["raw/v/good.jpg"]
    assert "back\\\\slash.jpg" in caplog.text
    assert "latin" in caplog.text


def test_the_folder_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKLA_MEDIA_DIR", str(tmp_path / "elsewhere"))
    LocalMediaStore().put("a", b"1")
    assert (tmp_path / "elsewhere" / "a").read_bytes() == b"1"
    assert LocalMediaStore().url("a") == (tmp_path / "elsewhere" / "a").as_uri()


def test_a_folder_that_others_empty_is_written_to(store: LocalMediaStore) -> None:
    """Whoever deletes the last file of a folder removes it, at any moment of a write."""

    def write_and_delete(number: int) -> None:
        for _ in range(150):
            store.put(f"inbox/deep/{number}", b"1")
            assert store.put_new(f"inbox/deep/new-{number}", b"1")
            store.delete(f"inbox/deep/{number}")
            store.delete(f"inbox/deep/new-{number}")

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write_and_delete, range(4)))
    assert list(store.list("")) == []


def test_a_folder_that_goes_while_it_is_made_is_made_again(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("top", b"1")
    real, gone = os.mkdir, list[Path]()

    def mkdir(path: Path, *rest: int) -> None:
        if Path(path).name == "inbox" and not gone:
            gone.append(path)
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        real(path, *rest)

    monkeypatch.setattr(os, "mkdir", mkdir)
    store.put("inbox/a", b"1")
    assert gone
    assert store.get("inbox/a") == b"1"


def test_what_is_durable_is_on_the_disk_before_it_has_its_name(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("top", b"1")
    calls: list[str] = []

    def noted(name: str) -> None:
        real = getattr(os, name)

        def call(*args: object) -> object:
            at = Path(f"/dev/fd/{args[0]}").resolve() if name == "fsync" else Path(str(args[-1]))
            said = "temp" if at.parent.name == TEMP_FOLDER else at.name
            calls.append(f"{name} {said}")
            return real(*args)

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "link", "replace"):
        noted(name)
    assert store.put_new("inbox/jobs/a.json", b"1")
    folders = ["fsync jobs", "fsync inbox", f"fsync {store.folder.name}"]
    assert [*dict.fromkeys(calls)] == ["fsync temp", "link a.json", *folders]  # tried twice
    calls.clear()
    store.put("inbox/jobs/a.json", b"2", durable=True)
    assert calls == ["fsync temp", "replace a.json"]
    calls.clear()
    store.put("inbox/jobs/a.json", b"3")
    assert calls == ["replace a.json"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_what_is_to_be_new_is_so_without_hard_links(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_links)
    assert store.put_new("a/b", b"1") is True
    assert store.put_new("a/b", b"2") is False
    assert store.get("a/b") == b"1"
    assert list((store.folder / TEMP_FOLDER).iterdir()) == []
