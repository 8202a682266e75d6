"""What the upload sensors remember in Dagster's storage."""

import dagster as dg
import pytest

from okla_assets import keys
from sensors.upload_memory import Known, UploadMemory

A, B, C = (keys.parse_vehicle_id(name) for name in ("a", "b-1", "c_2"))


@pytest.fixture
def memory(instance: dg.DagsterInstance) -> UploadMemory:
    return UploadMemory(instance)


def test_rows_are_kept_also_where_new_ones_come_with_old(memory: UploadMemory) -> None:
    memory.remember({A: Known(done="1")})
    memory.remember({A: Known(done="2"), B: Known(seen="3", since=4.5)})
    expected = {A: Known(done="2"), B: Known(seen="3", since=4.5), C: Known()}
    assert memory.known([A, B, C]) == expected


def test_many_rows(memory: UploadMemory) -> None:
    many = [keys.parse_vehicle_id(f"car-{n}") for n in range(1200)]
    memory.remember({v: Known(done=f"{v}:1") for v in many[:700]})
    memory.remember({v: Known(done=f"{v}:2") for v in many[500:]})
    known = memory.known(many)
    assert [known[v].done[-1] for v in many] == ["1"] * 500 + ["2"] * 700


def test_a_mark_that_comes_later_stays(memory: UploadMemory) -> None:
    memory.mark([A, B])
    memory.mark([B])
    waiting = memory.waiting()
    assert {v: len(marks) for v, marks in waiting.items()} == {A: 1, B: 2}
    memory.mark([A])
    memory.unmark(mark for marks in waiting.values() for mark in marks)
    assert list(memory.waiting()) == [A]


def test_a_sentence_is_new_once(memory: UploadMemory) -> None:
    assert memory.not_yet_logged(["x", "y", "x"]) == ["x", "y"]
    memory.mark_logged(["x"])
    assert memory.not_yet_logged(["x", "y"]) == ["y"]
