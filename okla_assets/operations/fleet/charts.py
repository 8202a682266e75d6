"""The figures as one picture, which Dagster's UI shows with each report."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from okla_assets.operations.fleet.figures import Name

COLOURS = ("#16643d", "#d09a1d", "#a81f15", "#676d74")
COLOURS_KEPT = 16
MARGINS = {
    "left": 0.08,
    "right": 0.98,
    "top": 0.95,
    "bottom": 0.05,
    "wspace": 0.42,
    "hspace": 0.3,
}
MOST_WEEKS = 26
DPI = 72


def picture(found: Mapping[Name, pd.DataFrame]) -> bytes:
    """A PNG with six charts: how vehicles stand, straight-through rate, treatments, missing views,
    quality, seconds by step."""
    # Not pyplot: it keeps every figure, and would look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(12, 6.4))
    FigureCanvasAgg(figure)
    # Set by hand: matplotlib's own layout draws everything twice.
    axes = figure.subplots(2, 3, gridspec_kw=MARGINS)
    _bars(axes[0][0], "vehicles", found["status"], "status", "vehicles")
    _weeks(axes[0][1], found["weeks"])
    _treatments(axes[0][2], found["treatments"])
    _bars(axes[1][0], "vehicles that lack a view", found["missing_views"], "view", "vehicles")
    _bars(axes[1][1], "photos by quality", found["quality"], "quality", "photos")
    _steps(axes[1][2], found["steps"])
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    drawn, out = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    # The event log keeps it for ever: few colours make it a quarter as large.
    Image.open(drawn).convert("RGB").quantize(COLOURS_KEPT).save(out, "png", optimize=True)
    return out.getvalue()


def _bars(axis: Any, title: str, table: pd.DataFrame, name: str, of: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.barh(table[name][::-1], table[of][::-1], color=COLOURS[0])


def _weeks(axis: Any, weeks: pd.DataFrame) -> None:
    axis.set_title("ready without a person, by week", fontsize=10)
    last = weeks.tail(MOST_WEEKS)
    axis.plot(last["week"], 100 * last["straight_through"], marker="o", color=COLOURS[0])
    axis.set_ylim(0, 105)
    axis.set_ylabel("%", fontsize=8)
    every = max(1, len(last) // 3)
    axis.set_xticks(range(0, len(last), every), last["week"][::every])


def _treatments(axis: Any, treatments: pd.DataFrame) -> None:
    axis.set_title("photos by category and treatment", fontsize=10)
    by_kind = treatments.pivot_table(
        index="category", columns="treatment", values="photos", fill_value=0
    )
    start = 0 * by_kind.sum(axis=1)
    for colour, treatment in zip(COLOURS, by_kind.columns, strict=False):
        axis.bar(by_kind.index, by_kind[treatment], bottom=start, color=colour, label=treatment)
        start = start + by_kind[treatment]
    if len(by_kind):
        axis.legend(fontsize=8, frameon=False)


def _steps(axis: Any, steps: pd.DataFrame) -> None:
    axis.set_title("seconds an image, by step", fontsize=10)
    for shift, (machine, some) in enumerate(steps.groupby("machine")):
        place = [index + 0.4 * shift for index in range(len(some))]
        seconds, colour = some["seconds_an_image"], COLOURS[shift]
        axis.barh(place, seconds, height=0.4, color=colour, label=machine)
        axis.set_yticks(place, some["step"])
    if len(steps):
        axis.invert_yaxis()
        axis.margins(x=0.3)  # room for the legend
        axis.legend(fontsize=8, frameon=False, loc="center right")
