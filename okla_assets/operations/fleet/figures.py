"""What the fleet's two tables tell: small tables of figures, as pandas DataFrames.

A photo counts as one image; the pipeline's seconds for 360° views, films and pages are in its cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from okla_assets.operations.fleet.rows import SEPARATOR, STEPS
from okla_assets.operations.fleet.tables import FleetTables
from okla_assets.steps.costs import Prices
from okla_assets.steps.selling import VIEWS

if TYPE_CHECKING:
    import pandas as pd

VENDOR_CENTS = (5.0, 20.0)
VENDOR_SECONDS = (60.0, 120.0)
"""What a vendor asks for an image, in cents, and how long it takes: from, to."""

MACHINES: Mapping[str, tuple[float, ...]] = {
    "cpu": (0.05, 0.1, 0.2, 0.45),
    "gpu": (0.5, 1.0, 2.5, 4.0),
}
"""Prices of an hour, in dollars, that the cost table goes through beside the owner's own."""

MOST_REASONS = 20
MOST_DEALERS = 20
QUALITY_BANDS = (0, 20, 40, 60, 80, 101)

Name = Literal[
    "status",
    "reasons",
    "refused",
    "photos",
    "angles",
    "treatments",
    "quality",
    "issues",
    "missing_views",
    "retakes",
    "dealers",
    "weeks",
    "costs",
    "steps",
    "machines",
    "code",
    "models",
]


@dataclass(frozen=True)
class InUse:
    """What would make the next listing: the pipeline's fingerprint and the models' names."""

    code: str
    models: frozenset[str]


@dataclass(frozen=True)
class Frames:
    """The two tables as DataFrames; texts are categories."""

    vehicles: pd.DataFrame
    photos: pd.DataFrame


def frames_of(tables: FleetTables) -> Frames:
    """The tables as DataFrames."""
    return Frames(tables.vehicles.to_pandas(), tables.photos.to_pandas())


def figures(frames: Frames, in_use: InUse, prices: Prices) -> dict[Name, pd.DataFrame]:
    """Every table of figures by name, in the order in which a person reads them."""
    vehicles, photos = frames.vehicles, frames.photos
    made = vehicles[vehicles["status"] != "unreadable"]
    costs = _costs(made, prices)
    return {
        "status": _counted(vehicles["status"], "status", "vehicles", order=STATUSES),
        "reasons": _cells(vehicles["reasons"], "reason", "vehicles").head(MOST_REASONS),
        "refused": _cells(vehicles["refused"], "reason", "files"),
        "photos": _counted(photos["category"], "category", "photos"),
        "angles": _counted(photos["angle"], "angle", "photos"),
        "treatments": _treatments(photos),
        "quality": _quality(photos),
        "issues": _cells(photos["issues"], "issue", "photos").drop(columns="vehicles"),
        "missing_views": _missing_views(made),
        "retakes": _cells(vehicles["retakes"], "issue", "hints"),
        "dealers": _dealers(made).head(MOST_DEALERS),
        "weeks": _weeks(made),
        "costs": costs,
        "steps": _steps(made),
        "machines": _machines(costs, prices),
        "code": _code(made, in_use),
        "models": _models(made, in_use),
    }


STATUSES = ("ready", "needs_review", "failed", "unreadable")


def _counted(
    column: pd.Series, name: str, of: str, order: Iterable[str] | None = None
) -> pd.DataFrame:
    """How often each value stands in a column, with its share of all values: the most frequent
    first."""
    counts = column.astype(object).value_counts()
    if order is not None:
        counts = counts.reindex([value for value in order if value in counts.index])
    else:
        counts = counts.loc[sorted(counts.index, key=lambda value: (-counts[value], value))]
    return _shares(counts, name, of, int(column.count()))


def _cells(column: pd.Series, name: str, of: str) -> pd.DataFrame:
    """The same of columns whose cells hold several values, where one may stand twice in a cell:
    how often each is there in all, in how many rows, and in which share of them.

    Cells that are alike are taken apart once.
    """
    import pandas as pd

    counts: dict[str, int] = {}
    rows: dict[str, int] = {}
    for cell, times in column.astype(object).value_counts().items():
        values = [value for value in str(cell).split(SEPARATOR) if value]
        for value in values:
            counts[value] = counts.get(value, 0) + times
        for value in set(values):
            rows[value] = rows.get(value, 0) + times
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    of_rows = pd.Series({value: rows[value] for value in ordered}, dtype="int64")
    found = _shares(of_rows, name, "vehicles", len(column))
    if of != "vehicles":
        found.insert(1, of, [counts[value] for value in ordered])
    return found


def _shares(counts: pd.Series, name: str, of: str, total: int) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            name: [str(value) for value in counts.index],
            of: counts.to_numpy("int64"),
            "share": counts.to_numpy("float64") / max(1, total),
        }
    )


def _treatments(photos: pd.DataFrame) -> pd.DataFrame:
    """Photos by category and treatment; `withheld` are those without a finished picture."""
    groups = photos.groupby(["category", "treatment"], observed=True)["published"]
    found = groups.agg(photos="size", published="sum").reset_index()
    found["withheld"] = found["photos"] - found.pop("published")
    return found.astype({"category": str, "treatment": str})


def _quality(photos: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    bands = pd.cut(photos["quality"], QUALITY_BANDS, right=False)
    counts = bands.value_counts(sort=False)
    counts.index = [f"{band.left:.0f} to {min(100, band.right - 1):.0f}" for band in counts.index]
    return _shares(counts, "quality", "photos", len(photos))


def _missing_views(made: pd.DataFrame) -> pd.DataFrame:
    """In the order of a listing; all views, also those that no vehicle lacks."""
    found = _cells(made["missing_views"], "view", "vehicles").set_index("view")
    rows = found.reindex(VIEWS, fill_value=0).reset_index(names="view")
    return rows.astype({"vehicles": "int64", "share": "float64"})


def _dealers(made: pd.DataFrame) -> pd.DataFrame:
    """Hints to take photos again by dealer, most hints first; ids without a dealer are one."""
    import pandas as pd

    counted = pd.DataFrame(
        {
            "dealer": made["dealer"].astype(str),
            "photos": made["photo_count"],
            "hints": _values_in(made["retakes"]),
            "ready": made["status"] == "ready",
        }
    )
    found = counted.groupby("dealer").agg(
        vehicles=("ready", "size"),
        photos=("photos", "sum"),
        hints=("hints", "sum"),
        ready=("ready", "sum"),
    )
    found["hints_a_vehicle"] = found["hints"] / found["vehicles"]
    found["ready_share"] = found.pop("ready") / found["vehicles"]
    found = found.reset_index().sort_values(["hints", "dealer"], ascending=[False, True])
    return found.reset_index(drop=True)


def _values_in(column: pd.Series) -> pd.Series:
    """How many values each cell holds."""
    cells = column.astype(object)
    counts = {cell: cell.count(SEPARATOR) + 1 if cell else 0 for cell in cells.unique()}
    return cells.map(counts).astype("int64")


def _weeks(made: pd.DataFrame) -> pd.DataFrame:
    """Which share was ready without a person, by the week (its Monday, UTC) it was made in."""
    import pandas as pd

    days = made["generated_at"].dt.tz_localize(None).dt.normalize()
    mondays = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    ready = (made["status"] == "ready").groupby(mondays.dt.strftime("%Y-%m-%d"))
    found = ready.agg(vehicles="size", ready="sum").reset_index(names="week")
    found["straight_through"] = found["ready"] / found["vehicles"]
    return found


def _kind(made: pd.DataFrame) -> pd.Series:
    """The kind of machine that made each listing: one with a GPU that was used, or not."""
    return made["gpu_seconds"].gt(0).map({True: "gpu", False: "cpu"})


def _seconds(made: pd.DataFrame) -> pd.DataFrame:
    return made[[f"{step}_seconds" for step in STEPS]]


def _costs(made: pd.DataFrame, prices: Prices) -> pd.DataFrame:
    """Seconds and money by kind of machine; an hour costs what it costs now.

    `usd_recorded` is what it cost when it was made, of the vehicles of which that is known.
    """
    import pandas as pd

    rows = []
    with_seconds = made.assign(seconds=_seconds(made).sum(axis=1))
    for kind, some in with_seconds.groupby(_kind(made)):
        images, seconds = int(some["photo_count"].sum()), float(some["seconds"].sum())
        price = prices.gpu_hour if kind == "gpu" else prices.cpu_hour
        usd = None if price is None else seconds / 3600 * price
        rows.append(
            {
                "machine": kind,
                "vehicles": len(some),
                "images": images,
                "seconds": seconds,
                "gpu_seconds": float(some["gpu_seconds"].sum()),
                "seconds_an_image": _ratio(seconds, images),
                "usd": usd,
                "cents_an_image": None if usd is None else _ratio(100 * usd, images),
                "usd_recorded": float(some["usd"].sum()) if some["usd"].notna().any() else None,
            }
        )
    columns = [
        "machine",
        "vehicles",
        "images",
        "seconds",
        "gpu_seconds",
        "seconds_an_image",
        "usd",
        "cents_an_image",
        "usd_recorded",
    ]
    return pd.DataFrame(rows, columns=columns)


def _ratio(total: float, count: int) -> float | None:
    return total / count if count else None


def _steps(made: pd.DataFrame) -> pd.DataFrame:
    """Seconds of each step by kind of machine."""
    import pandas as pd

    kinds = _kind(made)
    sums = _seconds(made).groupby(kinds).sum()
    images = made["photo_count"].groupby(kinds).sum()
    return pd.DataFrame(
        [
            {
                "step": step,
                "machine": kind,
                "seconds": float(sums.loc[kind, f"{step}_seconds"]),
                "seconds_an_image": _ratio(
                    float(sums.loc[kind, f"{step}_seconds"]), int(images[kind])
                ),
            }
            for kind in sums.index
            for step in STEPS
        ],
        columns=["step", "machine", "seconds", "seconds_an_image"],
    )


def _machines(costs: pd.DataFrame, prices: Prices) -> pd.DataFrame:
    """What an image costs on machines of these prices, at the seconds that were measured."""
    import pandas as pd

    return pd.DataFrame(
        list(_machine_rows(costs, prices)),
        columns=[
            "machine",
            "usd_an_hour",
            "of",
            "images_an_hour",
            "cents_an_image",
            "vendor_times",
        ],
    )


def _machine_rows(costs: pd.DataFrame, prices: Prices) -> Iterator[dict[str, object]]:
    own = {"cpu": prices.cpu_hour, "gpu": prices.gpu_hour}
    for row in costs.itertuples():
        seconds = row.seconds_an_image
        if not seconds or seconds != seconds:
            continue
        mine = own[row.machine]
        for price in sorted({*MACHINES[row.machine], *([] if mine is None else [mine])}):
            cents = 100 * seconds / 3600 * price
            yield {
                "machine": row.machine,
                "usd_an_hour": price,
                "of": "settings" if price == mine else "example",
                "images_an_hour": 3600 / seconds,
                "cents_an_image": cents,
                # How many times as much the vendor's lowest price is.
                "vendor_times": VENDOR_CENTS[0] / cents if cents else None,
            }


def _code(made: pd.DataFrame, in_use: InUse) -> pd.DataFrame:
    """By which code and models the listings were made, and whether the backfill finds it stale."""
    by = ["code", "profile", "version"]
    found = made.groupby(by, observed=True).size().reset_index(name="vehicles")
    found = found.astype(dict.fromkeys(by, str))
    found["stale"] = found["code"] != in_use.code
    return found.sort_values(["vehicles", "code"], ascending=[False, True]).reset_index(drop=True)


def _models(made: pd.DataFrame, in_use: InUse) -> pd.DataFrame:
    """In how many listings each set of weights had a part, and whether it still would."""
    found = _cells(made["models"], "model", "vehicles").drop(columns="share")
    found["stale"] = ~found["model"].isin(in_use.models)
    return found
