"""The search of pictures for plates, however these are turned.

The detectors find plates up to 25 degrees from upright, many up to 60, and those on their head. A
picture with a vehicle that stands upright is therefore looked at as it is; one whose vehicles are
tilted also turned so that they stand, and one without a sure vehicle, as a close-up, also turned as
a quick detector, which looks at it at OTHER_TURNS, finds most promising.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from okla_assets.imaging import geometry
from okla_assets.imaging.types import Box, Floats, Quad, Rgb
from okla_assets.steps.plate_masking import vehicle_boxes
from okla_assets.tables import Mask
from resources.models.base import PlateDetector, PlateFound
from resources.models.plates_onnx import as_quad

OTHER_TURNS = tuple(range(45, 360, 45))
ON_ITS_SIDE = 90
"""The turn that is looked at where none is promising; the full detector finds slanted plates."""
PROMISING = 0.15
"""Score of the quick detector from which the full one looks at a turn, too."""
MOST_PROMISING = 2
"""So many turns at most: next to the best one, its neighbour shows the plate as well."""
SURE_VEHICLE = 0.5
"""Score from which the main vehicle is believed to stand upright."""


@dataclass(frozen=True)
class Finders:
    """The detector, and a `quick` one that tells at which angles it has to look."""

    full: PlateDetector
    quick: PlateDetector

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Two equal fingerprints find the same."""
        return self.full.fingerprint(), self.quick.fingerprint()


@dataclass(frozen=True)
class TurnedView:
    """A picture turned by `degrees` counter-clockwise, and the vehicles on it then."""

    degrees: int
    vehicles: Sequence[Box]


@dataclass(frozen=True)
class Sighting:
    """A candidate: `quad` and `box` on the picture.

    It is judged as `found`, in the view that it was found on (turned by `degrees`), beside the
    `vehicles` there.
    """

    quad: Quad
    box: Box
    found: PlateFound
    vehicles: Sequence[Box]
    degrees: int = 0

    def is_plate(self, is_certainly_interior: bool) -> bool:
        """Whether it is covered."""
        from okla_assets.imaging import plates

        return plates.accept_plate(*self.judged(is_certainly_interior))

    def judged(self, is_certainly_interior: bool) -> tuple[Box, float, float, Sequence[Box], bool]:
        """What `imaging.plates` judges a candidate by."""
        found = self.found
        return found.box, found.score, found.agreement, self.vehicles, is_certainly_interior


def turned_views(
    mask: Mask, size: tuple[int, int], is_certainly_interior: bool, *, around: bool = False
) -> tuple[TurnedView, ...]:
    """The views to search beside the picture as it is, for a working copy of (height, width).

    A cabin seen for sure has none: no tilted close-up of a plate is taken for one. A panorama,
    which shows all `around`, is never turned.
    """
    from okla_assets.imaging import plates
    from okla_assets.imaging.photo.rotation import turn_of, turned_to

    if mask.tilt is not None:
        return (TurnedView(mask.tilt.degrees, mask.tilt.vehicles),)
    if is_certainly_interior or around or (mask.vehicle_score or 0.0) >= SURE_VEHICLE:
        return ()
    boxes = vehicle_boxes(mask)
    views = []
    for degrees in OTHER_TURNS:
        matrix = turn_of(size, degrees)[0]
        turned = [plates.quad_box(turned_to(plates.box_quad(box), matrix)) for box in boxes]
        views.append(TurnedView(degrees, turned))
    return tuple(views)


def moved_view(view: TurnedView, scale: float) -> TurnedView:
    """The same view of a picture `scale` times as large."""
    return TurnedView(view.degrees, [geometry.move_box(box, scale) for box in view.vehicles])


def search(
    finders: Finders,
    pictures: Sequence[Rgb],
    vehicles: Sequence[Sequence[Box]],
    views: Sequence[Sequence[TurnedView]],
    known: Sequence[Sequence[Quad]] = (),
) -> list[list[Sighting]]:
    """All candidates on each picture, as it is and in its other views; `known` plates need no
    closer look."""
    from okla_assets.imaging.photo.rotation import rotated

    sightings = [
        [Sighting(found.quad, found.box, found, boxes) for found in here]
        for here, boxes in zip(
            finders.full.detect(pictures, vehicles, known), vehicles, strict=True
        )
    ]
    looks = [
        (i, view)
        for i, (picture, others) in enumerate(zip(pictures, views, strict=True))
        for view in _promising(finders.quick, picture, others)
    ]
    if not looks:
        return sightings
    turned = [rotated(pictures[i], view.degrees) for i, view in looks]
    seen = finders.full.detect([picture for picture, _ in turned], [v.vehicles for _, v in looks])
    for (i, view), (_, matrix), here in zip(looks, turned, seen, strict=True):
        sightings[i] += [_turned_back(found, matrix, view) for found in here]
    return sightings


def _promising(
    quick: PlateDetector, picture: Rgb, views: Sequence[TurnedView]
) -> Sequence[TurnedView]:
    """The views that the full detector looks at: a single one as it is, else the best of them."""
    from okla_assets.imaging.photo.rotation import rotated

    if len(views) < 2:
        return views
    turned = [rotated(picture, view.degrees)[0] for view in views]
    found = quick.detect(turned, [view.vehicles for view in views])
    scores = [max((plate.score for plate in here), default=0.0) for here in found]
    order = sorted(range(len(views)), key=lambda i: -scores[i])[:MOST_PROMISING]
    best = [views[i] for i in order if scores[i] >= PROMISING]
    return best or [view for view in views if view.degrees == ON_ITS_SIDE]


def _turned_back(found: PlateFound, matrix: Floats, view: TurnedView) -> Sighting:
    from okla_assets.imaging import plates
    from okla_assets.imaging.photo.rotation import turned_back

    quad = turned_back(np.array(found.quad, np.float32), matrix)
    return Sighting(as_quad(quad), plates.quad_box(quad), found, view.vehicles, view.degrees)


SURE_OUTLINE = 0.7
"""Score from which the outline of one view stands for those of the others."""


def without_repeats(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Best first, each plate as the view shows it on which it scores most.

    The outline of a plate is exact where it is upright, and wide of it on slanted views. Within one
    view nothing is dropped: whatever is there is covered.
    """
    from okla_assets.imaging import plates

    kept: list[Sighting] = []
    for sighting in sorted(sightings, key=lambda s: -s.found.score):
        sure_elsewhere = [
            better.quad
            for better in kept
            if better.degrees != sighting.degrees and better.found.score >= SURE_OUTLINE
        ]
        if not plates.lies_on(np.array(sighting.quad, np.float32), sure_elsewhere):
            kept.append(sighting)
    return kept
