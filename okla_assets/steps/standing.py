"""How a photo has to be turned so that its vehicles stand on their wheels.

The detector knows upright vehicles only: on a photo on its side it finds none, which is what tells.
Photos with a vehicle that is surely upright cost nothing; the others one run of the detector on a
picture of the photo at eight angles, and one more for the angle that looks best.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from okla_assets.imaging import geometry
from okla_assets.imaging.types import Rgb
from okla_assets.tables import Mask, Photo, Tilt
from resources.models.base import Detection, VehicleDetector, vehicles_of

SURELY_UPRIGHT = 0.75
"""Score of a vehicle from which nobody asks whether the photo is upright."""
LYING = 0.30
"""Most that the photo as it is may score, on one of its two sizes, to be turned."""
STANDING = 0.70
"""Least that the turned photo scores on both. Cabins are taken for cars at any angle: they fail on
one of the two, or on LYING."""
TILTED = 0.15
"""How much more than the photo as it is one turned by an eighth scores, to be called tilted."""
TURNS = tuple(range(0, 360, 45))
VIEWS_SIDE = 640
SPANNING = 1.1  # of a view's side: a larger box is not of one view


@dataclass(frozen=True)
class Standing:
    """How a photo's vehicles stand.

    A photo on its side was `turned` so many degrees counter-clockwise: `upright` is that picture
    and `found` what is found on it. `tilt` tells of one that lies in between, which stays.
    """

    turned: int = 0
    upright: Rgb | None = None
    found: Sequence[Detection] | None = None
    tilt: Tilt | None = None

    def seen(self, found: Sequence[Detection]) -> Sequence[Detection]:
        """What counts of the vehicles found on the photo as it was: none that is tilted."""
        if self.tilt is not None:
            return ()
        return found if self.found is None else self.found


AS_IT_IS = Standing()


def standing(detector: VehicleDetector, picture: Rgb, found: Sequence[Detection]) -> Standing:
    """How the photo has to be turned; AS_IT_IS unless it surely has to.

    `found` is what the detector found on it.
    """
    from okla_assets.imaging.photo.rotation import mosaic_of_turns, rotated

    upright = best_score(found)
    if upright >= SURELY_UPRIGHT:
        return AS_IT_IS
    views, across = mosaic_of_turns(picture, TURNS, VIEWS_SIDE)
    tile = VIEWS_SIDE // across
    scores = [0.0] * (across * across)
    for detection in vehicles_of(detector.detect([views])[0]):
        x, y, w, h = detection.box
        if max(w, h) <= SPANNING * tile:
            index = int((y + h / 2) // tile * across + (x + w / 2) // tile)
            scores[index] = max(scores[index], detection.score)
    best = max(range(len(TURNS)), key=lambda index: scores[index])
    degrees = TURNS[best]
    if not degrees or scores[best] < STANDING:
        return AS_IT_IS
    if degrees % 90 == 0 and min(scores[0], upright) > LYING:
        return AS_IT_IS
    turned = rotated(picture, degrees)[0]
    (seen,) = detector.detect([turned])
    if best_score(seen) < max(STANDING, upright + TILTED):
        return AS_IT_IS
    if degrees % 90 == 0:
        return Standing(degrees, turned, seen)
    boxes = tuple(geometry.round_box(d.box) for d in seen)
    return Standing(tilt=Tilt(degrees=degrees, vehicles=boxes))


def best_score(found: Sequence[Detection]) -> float:
    """The best vehicle's; 0 where there is none."""
    return max((vehicle.score for vehicle in vehicles_of(found)), default=0.0)


def upright(photo: Photo, mask: Mask) -> Photo:
    """The photo as the steps after `masks` read it: turned upright where it was on its side."""
    if mask.upright_key is None:
        return photo
    sides = {"width": photo.width, "height": photo.height}
    if mask.turned != 180:
        sides = {"width": photo.height, "height": photo.width}
    scale = photo.scale
    return photo.model_copy(
        update={
            **sides,
            "working_width": round(sides["width"] / scale),
            "work_key": mask.upright_key,
        }
    )


def upright_photos(photos: Iterable[Photo], masks: Iterable[Mask]) -> Iterator[Photo]:
    """The photos that have a mask, each as `upright` gives it."""
    by_number = {mask.number: mask for mask in masks}
    for photo in photos:
        if photo.number in by_number:
            yield upright(photo, by_number[photo.number])
