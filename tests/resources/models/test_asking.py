"""How models are asked: batches, and two at a time."""

import threading
from collections.abc import Iterator

import pytest

from resources.models import asking
from resources.models.asking import asked, batch_size, in_batches


class Model:
    def __init__(self, batch: int = 1, in_threads: bool = False) -> None:
        self.batch, self.in_threads = batch, in_threads


def test_a_step_takes_as_many_as_its_models_do() -> None:
    assert batch_size([Model(8), Model(3)]) == 3
    assert batch_size([Model(8), object()]) == 1
    assert batch_size([]) == 1


def test_batches_are_in_order_and_the_last_one_is_short() -> None:
    assert [list(b) for b in in_batches(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(in_batches([], 2)) == []


@pytest.mark.parametrize(
    ("models", "cores", "at_once"),
    [
        ([Model(in_threads=True)], 2, 2),
        ([Model(in_threads=True), Model(in_threads=True)], 8, 2),
        ([Model(in_threads=True)], 1, 1),
        ([Model(in_threads=True), Model()], 2, 1),
        ([Model(8, in_threads=True)], 2, 1),
        ([], 2, 1),
    ],
)
def test_two_are_asked_about_at_a_time_where_every_model_may_be(
    monkeypatch: pytest.MonkeyPatch, models: list[Model], cores: int, at_once: int
) -> None:
    monkeypatch.setattr(asking, "usable_cores", lambda: cores)
    now, most, drawn_by = set[int](), list[int](), set[int]()
    both = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(6):
            drawn_by.add(threading.get_ident())
            yield number

    def ask(number: int) -> int:
        now.add(number)
        most.append(len(now))
        both.wait(0.05 if len(now) < at_once else 0)
        now.remove(number)
        return 2 * number

    assert asked(numbers(), models, ask) == [0, 2, 4, 6, 8, 10]
    assert max(most) == at_once
    assert drawn_by == {threading.get_ident()}  # as a pipe that is read in order has to be


def test_what_goes_wrong_about_one_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "usable_cores", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        asked([1, 0, 2], [Model(in_threads=True)], lambda number: 1 / number)
