"""The whole training: labels, samples, features, figures, heads file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from okla_assets.training.fit import fit_heads
from okla_assets.training.labels import check_classes, choose_held_out, read_labels
from okla_assets.training.measure import HeldOut, find_temperatures, measure
from okla_assets.training.output import check_writable
from okla_assets.training.samples import FindBox, Report, check_photos, collect_samples
from resources.models import tiny_vit
from resources.models.onnx import load_session
from resources.models.view_heads import FILE_NAME, save_heads


@dataclass(frozen=True)
class Trained:
    """The heads file, what it was trained on, and the method's scores on held-out vehicles."""

    heads: Path
    digest: str
    photos: int
    vehicles: int
    held_out: HeldOut
    seconds: float


def train_views(
    labels: Sequence[Path],
    out_dir: Path,
    *,
    seed: int = 0,
    threads: int = 0,
    held_out_share: float = 0.2,
    ensemble: int = 3,
    steps: int | None = None,
    find_box: FindBox | None = None,
    progress: Report | None = None,
) -> Trained:
    """Trains heads on the photos of one or more labels tables and writes them into `out_dir`.

    An exterior's vehicle is taken from the table's box, else its mask, else `find_box`, else the
    whole picture. `ensemble` angle heads are trained, each with `steps` batches (None: enough). The
    same tables, seed and machine give the same file. Nearly all of the time is the network's: 3-5
    augmented samples a photo, each about 0.04 s on one core. `progress` gets the step's name and
    the share of it done, in [0, 1].

    All that cannot be used is looked for first. Raises `LabelError` for an unusable table, a photo
    that cannot be read, a class that no photo shows and too few vehicles, `BadInput` where
    `out_dir` cannot be written, `WeightsMissing` without TinyViT.
    """
    started = time.monotonic()
    report = progress or (lambda _step, _share: None)
    photos = [photo for table in labels for photo in read_labels(table)]
    held = choose_held_out(photos, held_out_share, np.random.default_rng(seed))
    check_classes(photos)
    check_writable(out_dir)
    check_photos(photos, report)
    session = load_session(tiny_vit.WEIGHT, threads)
    rng = np.random.default_rng(seed + 1)
    samples = collect_samples(session, photos, held, find_box, rng, report)
    seeds = range(seed, seed + ensemble)
    report("measure", 0.0)
    trial = fit_heads(samples.without(held), seeds, steps)
    held_out = measure(trial, samples.clean)
    temperatures = find_temperatures(trial, samples.clean)
    report("train", 0.0)
    final = fit_heads(samples, seeds, steps)
    path = out_dir / FILE_NAME
    saved = save_heads(replace(final, angles=tuple(map(temperatures.cool, final.angles))), path)
    report("train", 1.0)
    return Trained(
        heads=path,
        digest=saved.digest,
        photos=len(photos),
        vehicles=len({photo.vehicle for photo in photos}),
        held_out=held_out,
        seconds=time.monotonic() - started,
    )
