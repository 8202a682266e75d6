"""Plates and faces on a panorama: looked for in ordinary views, which is what the networks know."""

from collections.abc import Iterator

import numpy as np

from okla_assets.imaging.types import Corners, Rgb
from okla_assets.steps.plate_search import Finders, Sighting, search
from resources.models.base import FaceDetector, FaceFound
from resources.models.plates_onnx import as_quad

YAWS = tuple(range(0, 360, 45))
"""Degrees; plates and faces stand near the horizon, and each lies well inside of one view."""
ACROSS = 75.0  # degrees
SIZE = (1024, 1024)
AHEAD, AHEAD_SIZE = 90.0, (400, 300)
"""The still picture of a panorama: degrees across, and its size in pixels."""


def find_around(
    finders: Finders, faces: FaceDetector | None, sphere: Rgb
) -> tuple[list[Sighting], list[FaceFound]]:
    """What is found in all views, on the panorama; what crosses its seam is there twice."""
    from okla_assets.imaging.photo import panorama
    from okla_assets.imaging.plates import box_quad

    views = [panorama.view(sphere, yaw, 0, ACROSS, SIZE) for yaw in YAWS]
    without: list[tuple[()]] = [() for _ in views]
    seen = search(finders, views, without, without)
    sightings = [
        Sighting(as_quad(part), panorama.box_of(part), one.found, (), yaw)
        for yaw, here in zip(YAWS, seen, strict=True)
        for one in here
        for part in _moved(np.array(one.quad, np.float32), yaw, sphere)
    ]
    if faces is None:
        return sightings, []
    people = [
        FaceFound(panorama.box_of(part), one.score)
        for yaw, here in zip(YAWS, faces.detect(views), strict=True)
        for one in here
        for part in _moved(box_quad(one.box), yaw, sphere)
    ]
    return sightings, people


def still_of(sphere: Rgb) -> Rgb:
    """What one sees first: the view ahead, for places that show a flat picture."""
    from okla_assets.imaging.photo import panorama

    return panorama.view(sphere, 0, 0, AHEAD, AHEAD_SIZE)


def _moved(corners: Corners, yaw: int, sphere: Rgb) -> Iterator[Corners]:
    """Corners of a view on the panorama, where they lie on it."""
    from okla_assets.imaging.photo import panorama

    height, width = sphere.shape[:2]
    yield from panorama.within(
        panorama.on_sphere(corners, yaw, 0, ACROSS, SIZE, (width, height)), width
    )
