"""Pretrained weights: a catalogue, a fetcher, and the folder they are stored in.

`weight_path` is what models call; it never downloads. `ensure` and `pull` fetch.
"""

from resources.weights.entries import catalogue as catalogue, find as find, names_for as names_for
from resources.weights.progress import rich_progress as rich_progress
from resources.weights.puller import ensure as ensure, pull as pull
from resources.weights.store import (
    PickleRefused as PickleRefused,
    WeightsMissing as WeightsMissing,
    digest as digest,
    models_dir as models_dir,
    status as status,
    weight_path as weight_path,
)
