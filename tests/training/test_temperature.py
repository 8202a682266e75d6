import numpy as np
import pytest

from okla_assets.training.temperature import fitted_temperature
from resources.models.view_heads import softmax


def test_the_temperature_under_which_labels_were_drawn_is_found_again() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 6, (4000, 3)).astype(np.float32)
    labels = [int(rng.choice(3, p=p / p.sum())) for p in softmax(logits / 2.5).astype(float)]
    assert fitted_temperature(logits, labels) == pytest.approx(2.5, rel=0.1)
    two_views = np.stack([logits, logits], axis=1)
    assert fitted_temperature(two_views, labels) == pytest.approx(2.5, rel=0.1)
    assert fitted_temperature(logits, labels, 0.6, 2.0) == pytest.approx(2.0, rel=0.01)
