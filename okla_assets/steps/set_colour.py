"""One car, one colour: what each photo of a vehicle is corrected by, solved for all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.imaging.photo.correction import Correction, Measured
from okla_assets.steps.batches import Done, Outputs, PhotoWork, run_batches
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import Classification, FailedPhoto, Mask, Photo, PhotoPlates, PhotoRow
from resources.progress import Progress
from resources.storage.media_store import MediaStore

TITLE = "Measuring colours"


class Colours(PhotoRow):
    """What was measured on one photo."""

    measured: Measured


@dataclass(frozen=True)
class SetColour:
    """The correction of each photo by its number, and the photos that could not be measured.

    `seconds` went into the measuring, whenever it was done.
    """

    corrections: Mapping[int, Correction] = field(default_factory=dict)
    failed: tuple[FailedPhoto, ...] = ()
    seconds: float = 0.0

    def digest(self, number: int) -> str:
        """Of one photo's correction."""
        return digest_of(self.corrections.get(number))


Known = tuple[Photo, Mask, Classification, PhotoPlates]


def solve_set(
    vehicle: keys.VehicleId,
    rows: Iterable[Known],
    store: MediaStore,
    progress: Progress,
    version: str,
) -> SetColour:
    """Measures what is not known yet and solves the exteriors together, and so the cabin.

    Other photos (a wheel, an engine, a paper) are corrected each by its own light. `version` is
    that of the step.
    """
    from okla_assets.imaging.photo import set_colour

    rows = list(rows)
    done = _measured_set(vehicle, rows, store, progress, version)
    measured = {row.number: row.measured for row in done.rows}
    corrections: dict[int, Correction] = {}
    groups: dict[str, list[int]] = {"exterior": [], "interior": []}
    for photo, _, view, _ in rows:
        if photo.number in measured:
            group = view.category if view.category in groups else f"photo {photo.number}"
            groups.setdefault(group, []).append(photo.number)
    for group, numbers in groups.items():
        solve = set_colour.solve if group == "exterior" else set_colour.solve_cabin
        corrections |= zip(numbers, solve([measured[n] for n in numbers]), strict=True)
    return SetColour(corrections, done.failed, done.seconds)


def measured_exteriors(
    vehicle: keys.VehicleId,
    rows: Iterable[Known],
    store: MediaStore,
    progress: Progress,
    version: str,
) -> list[Measured]:
    """What `solve_set` of this `version` measured on the exteriors, in the order of the photos."""
    rows = list(rows)
    exteriors = {photo.number for photo, _, view, _ in rows if view.category == "exterior"}
    done = _measured_set(vehicle, rows, store, progress, version)
    return [row.measured for row in done.rows if row.number in exteriors]


def _measured_set(
    vehicle: keys.VehicleId,
    rows: Sequence[Known],
    store: MediaStore,
    progress: Progress,
    version: str,
) -> Done[Colours]:
    photos = [
        PhotoWork(
            photo.number,
            photo.name,
            digest_of("colours", version, mask.digest, plates.digest, view.category, mask.status),
            partial(_measured, photo, mask, view, plates, store),
            partial(_finished, photo.number),
        )
        for photo, mask, view, plates in rows
    ]
    cache = StepCache(store, vehicle, "colours", Colours)
    return run_batches(TITLE, photos, list, (), cache, progress)


def _measured(
    photo: Photo, mask: Mask, view: Classification, plates: PhotoPlates, store: MediaStore
) -> Measured:
    """Of the copy without plates, whose covers are no paint."""
    import cv2

    from okla_assets.imaging.photo import codec, set_colour
    from okla_assets.imaging.studio.studio import as_alpha

    data = store.get(plates.masked_key)
    enough = max(photo.working_width, photo.height / photo.scale) / set_colour.MEASURE_SIDE
    if enough >= 2:
        picture = codec.decode_small(data, 4 if enough >= 4 else 2)
    else:
        picture = codec.decode_trusted(data)
    vehicle = None
    if view.category == "exterior" and mask.status == "cut" and mask.matte_key:
        grey = codec.decode_gray(store.get(mask.matte_key))
        for plate in plates.plates:
            cv2.fillPoly(grey, [np.rint(np.array(plate.quad)).astype(np.int32)], 0)
        vehicle = as_alpha(codec.resize(grey, picture.shape[1], picture.shape[0]))
    return set_colour.measure(picture, vehicle)


def _finished(number: int, measured: Measured) -> tuple[Colours, Outputs]:
    return Colours(number=number, measured=measured), {}
