"""Two machines never lead the same bucket; what was killed keeps nobody away for long."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from okla_assets import keys
from okla_assets.doors import service
from okla_assets.runtime import leading, servers
from okla_assets.runtime.leading import alone_in_bucket
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore, MediaStore
from resources.storage.stores import store_for
from tests.running import wait_for


@pytest.fixture
def bucket(s3_place: str) -> MediaStore:
    return store_for(s3_place)


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Those of two machines."""
    made = tmp_path / "a", tmp_path / "b"
    for home in made:
        home.mkdir()
    yield made


def objects(store: MediaStore) -> list[str]:
    return [info.key for info in store.list(keys.LEADERS)]


def test_another_machine_is_told_who_leads(bucket: MediaStore, homes: tuple[Path, Path]) -> None:
    with alone_in_bucket(bucket, "up", homes[0]):
        with (
            pytest.raises(
                BadInput, match=r"another `okla up` works on s3://.*process \d+ of .*stop"
            ),
            alone_in_bucket(bucket, "up", homes[1]),
        ):
            pass
        with alone_in_bucket(bucket, "serve", homes[1]):  # another task
            assert len(objects(bucket)) == 2
    assert objects(bucket) == []
    with alone_in_bucket(bucket, "up", homes[1]):
        pass


def test_what_was_killed_is_in_nobodys_way_for_long(
    bucket: MediaStore, homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as killed:
        killed.enter_context(alone_in_bucket(bucket, "up", homes[0]))
        (left,) = objects(bucket)
    bucket.put(left, b"process 1 of another")
    with alone_in_bucket(bucket, "up", homes[0]):  # the same records, started again
        pass
    bucket.put(left, b"process 1 of another")
    with (
        pytest.raises(BadInput, match="process 1 of another"),
        alone_in_bucket(bucket, "up", homes[1]),
    ):
        pass
    monkeypatch.setattr(leading, "GONE_SECONDS", 0.0)
    with alone_in_bucket(bucket, "up", homes[1]):
        assert left not in objects(bucket)


def test_a_leader_is_heard_again_and_again(
    bucket: MediaStore, homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "BEAT_SECONDS", 0.05)
    with alone_in_bucket(bucket, "up", homes[0]):
        bucket.delete(objects(bucket)[0])
        wait_for(lambda: len(objects(bucket)) == 1, 20)
    assert objects(bucket) == []
    assert "_beat" not in str(threading.enumerate())


def test_a_folder_is_left_to_the_lock_of_its_machine(
    store: LocalMediaStore, homes: tuple[Path, Path]
) -> None:
    with alone_in_bucket(store, "up", homes[0]), alone_in_bucket(store, "up", homes[1]):
        assert objects(store) == []


def test_up_and_serve_begin_on_no_bucket_that_another_machine_leads(
    bucket: MediaStore, s3_place: str, homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(homes[1]))

    def no(*_: object) -> None: ...

    ups = servers.Plan(s3_place, "local", 0, None, None, 1, None, no, no, no)
    with alone_in_bucket(bucket, "up", homes[0]), pytest.raises(BadInput, match="okla up"):
        servers.run(ups)
    doors = service.Plan(s3_place, "local", "127.0.0.1", 0, 1, False, False, no, no)  # type: ignore[arg-type]
    with alone_in_bucket(bucket, "serve", homes[0]), pytest.raises(BadInput, match="okla serve"):
        service.run(doors, bucket)
