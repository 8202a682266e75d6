"""CLIP's temperatures on labelled photos: the work behind `okla calibrate-clip`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from okla_assets.imaging.types import Floats
from okla_assets.training.labels import LabelError, LabelledPhoto, read_labels
from okla_assets.training.output import check_writable
from okla_assets.training.samples import FindBox, Report, check_photos, read_shot
from okla_assets.training.temperature import FEWEST, fitted_temperature, nll
from resources.errors import BadInput
from resources.models.clip_views import (
    TASKS,
    ClipLogits,
    ClipViews,
    load_prompts,
    packaged_prompts,
    probabilities_at,
)

READ_AT_ONCE = 32

_TEMPERATURES = re.compile(r"^\[temperature\]\s*\n.*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Calibrated:
    """One task: its labelled photos, how many of them CLIP classified right, and its mean negative
    log-likelihood in nats at temperature 1 and at the fitted one.

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

    A temperature changes CLIP's confidence and never its likeliest class. Raises
    `LabelError` for a table that cannot be used or has too few labels, `BadInput` where `out`
    cannot be written.
    """
    report = progress or (lambda _step, _share: None)
    photos = [photo for table in labels for photo in read_labels(table)]
    if out.is_dir():
        raise BadInput(f"{out}: is a folder, not the file to write")
    check_writable(out.parent)
    check_photos(photos, report)
    found: list[ClipLogits] = []
    for start in range(0, len(photos), READ_AT_ONCE):
        report("features", start / len(photos))
        shots = [read_shot(p, find_box) for p in photos[start : start + READ_AT_ONCE]]
        found += clip.logits([s.picture for s in shots], [s.box for s in shots])
    fits = [_fit(task, photos, found) for task in TASKS]
    if all(fit.photos < FEWEST for fit in fits):
        raise LabelError(
            f"no temperature can be fitted: of {len(photos)} photos "
            + ", ".join(f"{fit.photos} have a label for {fit.task}" for fit in fits)
            + f"; {FEWEST} are needed"
        )
    _write(clip, fits, out)
    return fits


def _fit(task: str, photos: Sequence[LabelledPhoto], found: Sequence[ClipLogits]) -> Calibrated:
    known: list[tuple[Floats, int]] = []
    for photo, logits in zip(photos, found, strict=True):
        label, answer = getattr(photo, task), getattr(logits, task)
        if label is not None and answer is not None:
            known.append((answer, TASKS[task].index(label)))
    if not known:
        return Calibrated(task, 0, 0, 1.0, 0.0, 0.0)
    values = np.stack([answer for answer, _ in known])
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
    text = prompts.read_text(encoding="utf-8-sig")
    rows = "".join(f"{fit.task} = {fit.temperature}\n" for fit in fits)
    text = _TEMPERATURES.sub("", text).rstrip("\n") + f"\n\n[temperature]\n{rows}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{out}: cannot be written: {error.strerror}") from error
    load_prompts(out)
