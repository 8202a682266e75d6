"""CLIP's temperatures on labelled photos: the work behind `okla calibrate-clip`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from okla_assets.imaging.types import Floats
from okla_assets.training.labels import LabelError, LabelledPhoto, read_labels
from okla_assets.training.samples import FindBox, Report, read_shot
from resources.errors import BadInput
from resources.models.clip_views import (
    TASKS,
    ClipLogits,
    ClipViews,
    fitted_temperature,
    load_prompts,
    nll,
    packaged_prompts,
    probabilities_at,
)

FEWEST = 50
"""Labelled photos from which a task's temperature is fitted."""
READ_AT_ONCE = 32

_TEMPERATURES = re.compile(r"^\[temperature\]\s*\n.*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Calibrated:
    """One task: on how many photos, how many of them right, and how far CLIP was from the truth
    (mean negative log-likelihood in nats) at its own temperature and at the fitted one.

    Where fewer than `FEWEST` photos are labelled, or all alike, the temperature stays 1.
    """

    task: str
    photos: int
    right: int
    temperature: float
    nll_before: float
    nll: float


def calibrate_clip(
    labels: Sequence[Path],
    clip: ClipViews,
    out: Path,
    *,
    find_box: FindBox | None = None,
    progress: Report | None = None,
) -> list[Calibrated]:
    """Fits the temperatures and writes them into `out` beside the prompts that `clip` asks with.

    A temperature changes how sure CLIP is and never what it takes for likeliest. Raises
    `LabelError` for a table that cannot be used or has too few labels, `BadInput` where `out`
    cannot be written.
    """
    report = progress or (lambda _step, _share: None)
    photos = [photo for table in labels for photo in read_labels(table)]
    found: list[ClipLogits] = []
    for start in range(0, len(photos), READ_AT_ONCE):
        report("features", start / len(photos))
        shots = [read_shot(p, find_box) for p in photos[start : start + READ_AT_ONCE]]
        found += clip.logits([s.picture for s in shots], [s.box for s in shots])
    fits = [_fit(task, photos, found) for task in TASKS]
    if all(fit.photos < FEWEST for fit in fits):
        raise LabelError(
            f"no temperature can be fitted: of {len(photos)} photos "
            + ", ".join(f"{fit.photos} tell their {fit.task}" for fit in fits)
            + f"; it takes {FEWEST}"
        )
    _write(clip, fits, out)
    return fits


def _fit(task: str, photos: Sequence[LabelledPhoto], found: Sequence[ClipLogits]) -> Calibrated:
    known: list[tuple[Floats, int]] = []
    for photo, logits in zip(photos, found, strict=True):
        label, said = getattr(photo, task), getattr(logits, task)
        if label is not None and said is not None:
            known.append((said, TASKS[task].index(label)))
    if not known:
        return Calibrated(task, 0, 0, 1.0, 0.0, 0.0)
    values = np.stack([said for said, _ in known])
    truth = [label for _, label in known]
    enough = len(known) >= FEWEST and len(set(truth)) > 1
    temperature = fitted_temperature(values, truth) if enough else 1.0
    return Calibrated(
        task,
        len(known),
        int((probabilities_at(values, temperature).argmax(axis=1) == truth).sum()),
        round(temperature, 3),
        nll(values, truth, 1.0),
        nll(values, truth, temperature),
    )


def _write(clip: ClipViews, fits: Sequence[Calibrated], out: Path) -> None:
    prompts = Path(clip.prompts).expanduser() if clip.prompts else packaged_prompts()
    text = prompts.read_text(encoding="utf-8")
    rows = "".join(f"{fit.task} = {fit.temperature}\n" for fit in fits)
    text = _TEMPERATURES.sub("", text).rstrip("\n") + f"\n\n[temperature]\n{rows}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{out}: cannot be written: {error.strerror}") from error
    load_prompts(out)
