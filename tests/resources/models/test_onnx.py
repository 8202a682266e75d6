import pytest

from resources.models import onnx

pytestmark = pytest.mark.weights


def test_a_session_is_warm_until_it_is_let_go(weights: object) -> None:
    first = onnx.load_session("ppocr_rec")
    assert onnx.load_session("ppocr_rec") is first
    assert "ppocr_rec" in [name for names in onnx.loaded().values() for name in names]
    onnx.let_go()
    assert onnx.loaded() == {}
    assert first.get_inputs()  # whoever still has it may go on
    assert onnx.load_session("ppocr_rec") is not first
