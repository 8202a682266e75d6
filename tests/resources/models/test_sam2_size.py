"""SAM 2's networks, changed for a wide picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from okla_assets import sample
from okla_assets.imaging.photo import codec
from resources.errors import BrokenSetup
from resources.models import sam2_size
from resources.models.fused_matte import crop_of
from resources.models.onnx import load_session, weight_file
from resources.models.onnx_openvino import plain_onnx
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.sam2_size import COLUMNS, ROWS, SQUARE

ENCODER, DECODER = "sam2_hiera_tiny_encoder", "sam2_hiera_tiny_decoder"


@pytest.fixture(scope="module")
def encoder(weights: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder's file, as .onnx."""
    return plain_onnx(weight_file(ENCODER), tmp_path_factory.mktemp("sam2"))


def saved(model: Any, path: Path) -> Any:
    import onnx
    import onnxruntime

    onnx.save(model, str(path))
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.slow
@pytest.mark.weights
def test_as_a_square_the_encoder_is_what_it_was(encoder: Path, tmp_path: Path) -> None:
    """All that is written anew, the table of positions among it, comes out as it stood."""
    import onnx
    import onnxruntime

    model = onnx.load(str(encoder))
    sam2_size.wide_encoder(model, SQUARE, SQUARE)
    image = {"image": np.random.default_rng(0).random((1, 3, SQUARE, SQUARE), np.float32)}
    before = onnxruntime.InferenceSession(str(encoder), providers=["CPUExecutionProvider"])
    after = saved(model, tmp_path / "square.onnx")
    for theirs, ours in zip(before.run(None, image), after.run(None, image), strict=True):
        assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.weights
def test_as_a_square_the_decoder_is_what_it_was(weights: object) -> None:
    import onnx

    model = onnx.load(str(weight_file(DECODER)))
    grid = next(t for t in _tensors(model) if [*t.dims] == [64, 64, 2])
    before = onnx.numpy_helper.to_array(grid)
    sam2_size.wide_decoder(model, SQUARE, SQUARE)
    assert np.array_equal(onnx.numpy_helper.to_array(grid), before)


def _tensors(model: Any) -> list[Any]:
    return [n.attribute[0].t for n in model.graph.node if n.op_type == "Constant"]


@pytest.mark.weights
def test_its_features_cover_the_wide_picture(weights: object) -> None:
    session = load_session(ENCODER)
    found = session.run(None, {"image": np.zeros((1, 3, ROWS, COLUMNS), np.float32)})
    assert sorted(f.shape[1:] for f in found) == [
        (32, ROWS // 4, COLUMNS // 4),
        (64, ROWS // 8, COLUMNS // 8),
        (256, ROWS // 16, COLUMNS // 16),
    ]
    assert [port.shape for port in session.get_inputs()] == [(1, 3, ROWS, COLUMNS)]


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("name", ["IMG_0101", "IMG_0103", "IMG_0105"])
def test_it_sees_the_whole_vehicle(weights: object, name: str) -> None:
    """Front quarter, side and rear of the sample's car, whose true mattes are known."""
    (photo,) = (sample.FOLDER / "media" / "photos").glob(f"{name}.*")
    picture = codec.decode_trusted(photo.read_bytes())
    true = codec.decode_gray((sample.FOLDER / "mattes" / f"{name}.png").read_bytes()) > 127
    rows, columns = np.flatnonzero(true.any(1)), np.flatnonzero(true.any(0))
    x, y = float(columns[0]), float(rows[0])
    crop = crop_of(picture, (x, y, columns[-1] - x, rows[-1] - y))
    here = Sam2Onnx().logits(crop.pixels, crop.box) > 0
    there = crop.of_photo(true.astype(np.float32)) > 0
    assert (here & there).sum() / (here | there).sum() > 0.97


@pytest.mark.weights
def test_another_encoder_is_refused(encoder: Path) -> None:
    import onnx

    model = onnx.load(str(encoder))
    (name,) = [
        t.name for t in model.graph.initializer if [*t.dims] == [1, 96, SQUARE // 4, SQUARE // 4]
    ]
    table = next(t for t in model.graph.initializer if t.name == name)
    noise = np.random.default_rng(0).random((1, 96, SQUARE // 4, SQUARE // 4), np.float32)
    table.CopyFrom(onnx.numpy_helper.from_array(noise, name))
    with pytest.raises(BrokenSetup, match="okla models pull"):
        sam2_size.wide_encoder(model)
