"""Pretrained weights: a catalogue, a fetcher, and the folder they are stored in.

`weight_path` is what models call; it never downloads. `ensure` and `pull` fetch.
"""

from resources.weights.entries import catalogue, find, names_for
from resources.weights.progress import rich_progress
from resources.weights.puller import ensure, pull
from resources.weights.store import (
    PickleRefused,
    WeightsMissing,
    digest,
    models_dir,
    status,
    weight_path,
)

__all__ = [
    "PickleRefused",
    "WeightsMissing",
    "catalogue",
    "digest",
    "ensure",
    "find",
    "models_dir",
    "names_for",
    "pull",
    "rich_progress",
    "status",
    "weight_path",
]
