import pytest

from resources.models import onnx
from resources.weights import WeightsMissing

pytestmark = pytest.mark.weights


def test_a_large_session_is_warm_until_it_is_let_go(weights: object) -> None:
    small, large = onnx.load_session("ppocr_rec"), onnx.load_session("u2net")
    assert onnx.load_session("u2net") is large
    assert {"ppocr_rec", "u2net"} <= _warm()
    onnx.let_go()
    assert "u2net" not in _warm()
    assert large.get_inputs()  # whoever still has it may go on
    assert onnx.load_session("u2net") is not large
    assert onnx.load_session("ppocr_rec") is small


def _warm() -> set[str]:
    return {name for names in onnx.loaded().values() for name in names}


def test_where_nothing_large_is_warm_nothing_is_collected(
    weights: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all of Dagster in memory it takes a tenth of a second, at each of eleven steps."""
    collected = []
    onnx.load_session("u2net")
    monkeypatch.setattr("gc.collect", lambda: collected.append(True))
    onnx.let_go()
    assert collected == [True]
    onnx.let_go()
    assert collected == [True]


def test_what_is_loaded_ahead_stays_until_it_was_asked(weights: object) -> None:
    onnx.load_session("u2net")
    onnx.let_go()
    onnx.load_ahead([("u2net", 0, "cpu")]).join()
    onnx.let_go()
    assert "u2net" in _warm()
    onnx.load_session("u2net")
    onnx.let_go()
    assert "u2net" not in _warm()


def test_what_cannot_be_loaded_ahead_is_told_to_who_asks(weights: object) -> None:
    onnx.load_ahead([("nowhere.onnx", 0, "cpu"), ("u2net", 0, "cpu")]).join()
    with pytest.raises(WeightsMissing, match=r"nowhere\.onnx"):
        onnx.load_session("nowhere.onnx")
