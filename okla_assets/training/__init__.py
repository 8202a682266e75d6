"""Trains the view heads on labelled photos: the work behind `okla train-views`.

`labels` reads the tables, `augment` varies the photos, `samples` passes them through the network,
`fit` trains on the features and `measure` scores. Whole vehicles are held out to measure, then the
heads are trained again on everything; `train` puts it together. `calibrate` is that of
`okla calibrate-clip`.
"""

from okla_assets.training.calibrate import Calibrated, calibrate_clip
from okla_assets.training.labels import LabelError
from okla_assets.training.measure import HeldOut, Score
from okla_assets.training.train import Trained, train_views

__all__ = [
    "Calibrated",
    "HeldOut",
    "LabelError",
    "Score",
    "Trained",
    "calibrate_clip",
    "train_views",
]
