"""Close-ups that are sought on walks around other vehicles: any place that they find is wrong.

    python -m tests.benchmarks.hotspots TESTDATA [--views 8] [--workers 2]

A walk is views of one vehicle with known mattes and azimuths: Carvana's. Close-ups are the dealers'
photos of parts and cabins, and cuttings of their exteriors: of each its left and right third. A
pair is a close-up and a walk, as `hotspots` sees them: placed on one view for sure, or likely on
two that agree. Prints pairs and what was placed, with its views.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from okla_assets.imaging import hotspots
from okla_assets.imaging.hotspots import Features
from okla_assets.imaging.studio.camera import View, view_of
from okla_assets.imaging.types import Alpha, Rgb
from okla_assets.steps.close_ups import carried

SIDE = 2016  # pixels: as large as a working copy
CUT = 1 / 3  # of an exterior's width: what a close-up shows
ENDS = 15.0  # degrees from straight before an end
AROUND: "dict[str, list[Seen]]" = {}
"""The walks by vehicle, which workers have from the process that made them."""


@dataclass(frozen=True)
class Seen:
    """One view of a walk, as `close_ups` looks at it."""

    picture: Rgb
    alpha: Alpha
    azimuth: float

    @cached_property
    def features(self) -> Features:
        """Those on the vehicle."""
        from_end = abs((self.azimuth + 90) % 180 - 90) <= ENDS
        return hotspots.view_features(
            self.picture, self.alpha, from_end=from_end, camera=self.camera
        )

    @cached_property
    def camera(self) -> View | None:
        """Where it was taken from."""
        return view_of(self.alpha, self.azimuth)

    @property
    def copy_size(self) -> tuple[int, int]:
        """Width and height."""
        return self.picture.shape[1], self.picture.shape[0]


def read(path: Path) -> Rgb:
    """The picture as a working copy."""
    with Image.open(path) as image:
        copy = image.convert("RGB")
    copy.thumbnail((SIDE, SIDE))
    return np.asarray(copy)


def walks(testdata: Path, count: int) -> dict[str, list[Seen]]:
    """`count` views of each vehicle that has a matte for all of them, by vehicle."""
    rows = defaultdict(list)
    for row in csv.DictReader((testdata / "manifest.csv").open(encoding="utf-8")):
        if row["set"] == "carvana" and row["mask"] and row["azimuth_deg"]:
            rows[row["vehicle_id"]].append(row)
    found = {}
    for vehicle, every in rows.items():
        views = []
        for row in every[:: max(1, len(every) // count)][:count]:
            picture = read(testdata / row["file"])
            with Image.open(testdata / row["mask"]) as mask:
                grey = mask.convert("L").resize((picture.shape[1], picture.shape[0]))
            alpha = np.asarray(grey, np.float32) / np.float32(255)
            views.append(Seen(picture, alpha, float(row["azimuth_deg"])))
        found[vehicle] = views
    return found


def close_ups(testdata: Path) -> Iterator[tuple[str, Rgb]]:
    """Names and pictures of parts of the dealers' vehicles."""
    for row in csv.DictReader((testdata / "manifest.csv").open(encoding="utf-8")):
        if not row["set"].startswith("dealer"):
            continue
        picture = read(testdata / row["file"])
        if row["category"] != "exterior":
            yield row["file"], picture
            continue
        width = round(picture.shape[1] * CUT)
        yield f"{row['file']} left", picture[:, :width]
        yield f"{row['file']} right", picture[:, -width:]


def placed(close_up: tuple[str, Rgb]) -> list[str]:
    """The walks on which the close-up has a place."""
    name, picture = close_up
    features = hotspots.close_up_features(picture)
    wrong = []
    for vehicle, views in AROUND.items():
        places = [hotspots.locate(features, view.features) for view in views]
        best = hotspots.choose(places)
        how = "for sure"
        if best is None:
            best = hotspots.choose_agreed(places, partial(carried, views, places))
            how = "likely on two"
        if best is not None:
            place = places[best]
            assert place is not None
            wrong.append(f"{name} on {vehicle} view {best}, {how}, {place.matches} matches")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("testdata", type=Path)
    parser.add_argument("--views", type=int, default=8, help="of each walk")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    AROUND.update(walks(given.testdata, given.views))
    for views in AROUND.values():
        for view in views:
            _ = view.features, view.camera  # once, before the workers are made
    parts = list(close_ups(given.testdata))
    with get_context("fork").Pool(given.workers) as pool:
        wrong = [one for found in pool.imap(placed, parts) for one in found]
    for line in wrong:
        print(line)
    print(f"{len(parts)} close-ups, {len(AROUND)} walks of {given.views} views")
    print(f"{len(wrong)} of {len(parts) * len(AROUND)} pairs placed; right is none")


if __name__ == "__main__":
    main()
