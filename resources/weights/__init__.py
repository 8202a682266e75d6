"""Pretrained weights: a catalogue, a fetcher, and the folder they are kept in.

`weight_path` is what a model asks; it never downloads. `ensure` and `pull` fetch.
"""

from resources.weights.entries import Source, Weight, catalogue, find, names_for
from resources.weights.progress import Progress, quiet, rich_progress
from resources.weights.puller import PullFailed, ensure, pull
from resources.weights.store import (
    PickleRefused,
    Status,
    WeightsDamaged,
    WeightsMissing,
    digest,
    models_dir,
    status,
    weight_path,
)

__all__ = [
    "PickleRefused",
    "Progress",
    "PullFailed",
    "Source",
    "Status",
    "Weight",
    "WeightsDamaged",
    "WeightsMissing",
    "catalogue",
    "digest",
    "ensure",
    "find",
    "models_dir",
    "names_for",
    "pull",
    "quiet",
    "rich_progress",
    "status",
    "weight_path",
]
