"""A result counts only while it is whole, unchanged, and of the shape that is asked for."""

from collections.abc import Iterator, Mapping

import pytest
from pydantic import BaseModel, ConfigDict

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.options import StudioOptions
from okla_assets.steps.step_cache import StepCache
from resources.storage.media_store import LocalMediaStore, ObjectInfo
from tests.fakes import VEHICLE

DIGEST, OTHER = digest_of("one"), digest_of("two")
OUTPUT = keys.processed_photo(VEHICLE, "exterior", 1, "jpg")


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


class LaterRow(Row):
    angle: str


def row_of(cache: StepCache[Row], digest: str) -> Row | None:
    entry = cache.get(digest)
    return None if entry is None else entry.row


@pytest.fixture
def cache(store: LocalMediaStore) -> StepCache[Row]:
    return StepCache(store, VEHICLE, "steps", Row)


def test_a_result_is_found_again_by_what_it_was_made_from(cache: StepCache[Row]) -> None:
    assert cache.get(DIGEST) is None
    assert cache.put(DIGEST, Row(number=1), {OUTPUT: b"picture"}).row == Row(number=1)
    assert row_of(cache, DIGEST) == Row(number=1)
    assert cache.get(OTHER) is None


def test_the_files_are_written(cache: StepCache[Row], store: LocalMediaStore) -> None:
    cache.put(DIGEST, Row(number=1), {OUTPUT: b"picture"})
    assert store.get(OUTPUT) == b"picture"


def test_a_changed_file_is_made_again(cache: StepCache[Row], store: LocalMediaStore) -> None:
    cache.put(DIGEST, Row(number=1), {OUTPUT: b"picture"})
    store.put(OUTPUT, b"another")
    assert cache.get(DIGEST) is None


def test_a_lost_file_is_made_again(cache: StepCache[Row], store: LocalMediaStore) -> None:
    cache.put(DIGEST, Row(number=1), {OUTPUT: b"picture"})
    store.delete(OUTPUT)
    assert cache.get(DIGEST) is None
    cache.put(DIGEST, Row(number=1), {OUTPUT: b"picture"})
    assert row_of(cache, DIGEST) == Row(number=1)


def test_what_others_did_before_the_step_began_counts(store: LocalMediaStore) -> None:
    for digest in (DIGEST, OTHER):
        StepCache(store, VEHICLE, "steps", Row).put(digest, Row(number=1), {OUTPUT: b"picture"})
    # The second write of the same file is another one to a folder, and so a new ETag.
    assert StepCache(store, VEHICLE, "steps", Row).get(DIGEST) is None
    assert row_of(StepCache(store, VEHICLE, "steps", Row), OTHER) == Row(number=1)


def test_what_the_step_itself_wrote_counts(store: LocalMediaStore) -> None:
    cache = StepCache(store, VEHICLE, "steps", Row)
    assert cache.get(DIGEST) is None  # lists the folders
    cache.put(DIGEST, Row(number=1), {OUTPUT: b"picture"})
    assert row_of(cache, DIGEST) == Row(number=1)
    cache.put(OTHER, Row(number=2), {OUTPUT: b"another"})
    assert cache.get(DIGEST) is None
    cache.prune()
    assert row_of(StepCache(store, VEHICLE, "steps", Row), OTHER) == Row(number=2)


def test_a_folder_is_listed_once(store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnail = keys.thumbnail(VEHICLE, "exterior", 1)
    outputs = {OUTPUT: b"picture", thumbnail: b"small"}
    StepCache(store, VEHICLE, "steps", Row).put(DIGEST, Row(number=1), outputs)
    asked: list[str] = []
    listing = LocalMediaStore.list

    def counted(self: LocalMediaStore, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        asked.append(prefix)
        return listing(self, prefix, after)

    monkeypatch.setattr(LocalMediaStore, "list", counted)
    monkeypatch.setattr(LocalMediaStore, "stat", None)
    cache = StepCache(store, VEHICLE, "steps", Row)
    assert row_of(cache, DIGEST) == Row(number=1)
    assert [cache.get(digest_of(n)) for n in range(9)] == [None] * 9
    cache.prune()
    assert sorted(asked) == sorted(
        (
            keys.work_folder(VEHICLE, "steps"),
            keys.private_folder(VEHICLE, "steps"),
            keys.processed_folder(VEHICLE),
        )
    )


def test_a_row_of_another_version_of_the_code_is_made_again(store: LocalMediaStore) -> None:
    StepCache(store, VEHICLE, "steps", Row).put(DIGEST, Row(number=1), {})
    later = StepCache(store, VEHICLE, "steps", LaterRow)
    assert later.get(DIGEST) is None
    later.put(DIGEST, LaterRow(number=1, angle="side"), {})
    assert StepCache(store, VEHICLE, "steps", Row).get(DIGEST) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"row": {"number": 1}}'])
def test_a_damaged_record_is_made_again(store: LocalMediaStore, damage: bytes) -> None:
    cache = StepCache(store, VEHICLE, "steps", Row)
    cache.put(DIGEST, Row(number=1), {})
    (record,) = store.list(keys.work_folder(VEHICLE, "steps"))
    store.put(record.key, damage)
    assert cache.get(DIGEST) is None


def test_the_record_comes_last(store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put = LocalMediaStore.put
    written: list[str] = []

    def failing(
        self: LocalMediaStore, key: str, data: bytes, content_type: str | None = None
    ) -> object:
        if written:
            raise OSError("the disk is full")
        written.append(key)
        return put(self, key, data, content_type)

    monkeypatch.setattr(LocalMediaStore, "put", failing)
    cache = StepCache(store, VEHICLE, "steps", Row)
    with pytest.raises(OSError, match="disk is full"):
        cache.put(DIGEST, Row(number=1), {OUTPUT: b"one", f"{OUTPUT}.second": b"two"})
    assert written == [OUTPUT]
    assert cache.get(DIGEST) is None


def test_pruning_removes_only_what_nobody_asked_for(store: LocalMediaStore) -> None:
    first = StepCache(store, VEHICLE, "steps", Row)
    neighbour = StepCache(store, VEHICLE, "steps2", Row)
    other_vehicle = StepCache(store, keys.parse_vehicle_id(f"{VEHICLE}2"), "steps", Row)
    for cache in (first, neighbour, other_vehicle):
        for digest in (DIGEST, OTHER):
            matte = keys.work_file(VEHICLE, "steps", digest, "png")
            cache.put(digest, Row(number=1), {matte: b"matte"} if cache is first else {})
    first.put(OTHER, Row(number=2), {OUTPUT: b"published"})

    second = StepCache(store, VEHICLE, "steps", Row)
    assert row_of(second, DIGEST) == Row(number=1)
    second.prune()

    kept = StepCache(store, VEHICLE, "steps", Row)
    assert row_of(kept, DIGEST) == Row(number=1)
    assert kept.get(OTHER) is None
    left = [info.key for info in store.list(keys.work_folder(VEHICLE, "steps"))]
    assert left == sorted(
        keys.work_file(VEHICLE, "steps", DIGEST, suffix) for suffix in ("json", "png")
    )
    assert store.get(OUTPUT) == b"published"
    assert row_of(neighbour, OTHER) == row_of(other_vehicle, OTHER) == Row(number=1)


def test_a_digest_is_the_same_on_every_machine() -> None:
    # Pinned: if it changes, every vehicle of every user is computed again.
    assert digest_of("mask", "1", 3, 0.5, None, True, ("a", "b"), Row(number=1)) == (
        "7fa70c76d3868d05a8e64cfd481f9c6fce3b440082cc11b6753c6de1b312d6fc"
    )


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("ab", "c"), ("a", "bc")),
        ((1,), ("1",)),
        ((None,), ("null",)),
        (({"a": 1},), ({"a": 2},)),
        ((StudioOptions(),), (StudioOptions(max_width=800),)),
    ],
)
def test_different_parts_give_different_digests(
    one: tuple[object, ...], two: tuple[object, ...]
) -> None:
    assert digest_of(*one) != digest_of(*two)


@pytest.mark.parametrize("mapping", [{"a": 1, "b": 2}, {"b": 2, "a": 1}])
def test_the_order_of_names_does_not_count(mapping: Mapping[str, int]) -> None:
    assert digest_of(mapping) == digest_of({"a": 1, "b": 2})


def test_what_has_no_stable_text_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        digest_of(object())
