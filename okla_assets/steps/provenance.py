"""What was done to a photo's pixels, in order, as listing.json and C2PA tell it.

Another kind of edit is another function in `EDITS`, at its place in the order. Action names are
those of the C2PA specification 2.x, "Actions"; terms of the source are IPTC's digital source types.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from okla_assets.contract import Edit, ListingPhoto, Provenance
from okla_assets.imaging.types import Box, Quad
from okla_assets.options import StudioOptions
from okla_assets.steps.plate_masking import chosen_style
from okla_assets.tables import Treatment

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPE: dict[Treatment, str] = {
    # Not compositeCapture, as the scene is drawn; compositeSynthetic means generative AI.
    "studio": "composite",
    "enhanced": "algorithmicallyEnhanced",
    "original": "digitalCapture",
}


def provenance_of(photo: ListingPhoto, options: StudioOptions) -> Provenance:
    """A photo's edits in the order in which they are made, and what they leave of it.

    The options are those that were used, as of `plate_masking.options_used`.
    """
    return Provenance(
        original_key=photo.source_key,
        source_sha256=photo.source_sha256,
        edits=tuple(edit for edits in EDITS for edit in edits(photo, options))
        if photo.processed_key
        else (),
        generated=_generated(photo, options),
        source_type=SOURCE_TYPES + SOURCE_TYPE[photo.treatment],
    )


def photographed(
    treatment: Treatment, grey: npt.NDArray[np.uint8] | None, source_box: Box
) -> float:
    """Share of the finished picture's pixels that the photo gave.

    `grey` is the vehicle's matte, `source_box` where the whole photo lies on the picture.
    """
    if treatment != "studio" or grey is None:
        return 1.0
    return round(min(1.0, float(grey.mean()) / 255 * source_box[2] * source_box[3]), 4)


def _generated(photo: ListingPhoto, options: StudioOptions) -> float | None:
    if photo.photographed is None:
        return None
    plates = photo.plates if chosen_style(options) != "none" else ()
    covered = sum(_area(plate.quad) for plate in plates) / (photo.width * photo.height)
    on_picture = covered * photo.source_box[2] * photo.source_box[3]
    return round(min(1.0, 1 - photo.photographed + on_picture), 4)


def _area(quad: Quad) -> float:
    turned = (*quad[1:], quad[0])
    doubled = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(quad, turned, strict=True))
    return abs(doubled) / 2


def _turned(photo: ListingPhoto, options: StudioOptions) -> Iterator[Edit]:
    if photo.turned:
        details: dict[str, str | float | int | bool] = {"degrees_counter_clockwise": photo.turned}
        yield Edit(action="turned", c2pa="c2pa.orientation", details=details)


def _levelled(photo: ListingPhoto, options: StudioOptions) -> Iterator[Edit]:
    if photo.levelled is not None:
        details: dict[str, str | float | int | bool] = {
            "degrees_counter_clockwise": photo.levelled.degrees
        }
        yield Edit(action="levelled", c2pa="c2pa.orientation", details=details)


def _covered(photo: ListingPhoto, options: StudioOptions) -> Iterator[Edit]:
    style = chosen_style(options)
    if photo.plates and style != "none":
        quads = tuple(plate.quad for plate in photo.plates)
        yield Edit(
            action="plate_masked", c2pa="c2pa.edited", regions=quads, details={"style": style}
        )
    if photo.faces_blurred:
        yield Edit(
            action="face_blurred", c2pa="c2pa.filtered", details={"faces": photo.faces_blurred}
        )


def _coloured(photo: ListingPhoto, options: StudioOptions) -> Iterator[Edit]:
    if photo.correction is not None:
        yield Edit(action="colour", c2pa="c2pa.color_adjustments")


def _set_into_scene(photo: ListingPhoto, options: StudioOptions) -> Iterator[Edit]:
    if photo.treatment != "studio":
        return
    yield Edit(action="scene", c2pa="c2pa.edited", details={"scene": options.background_id})
    if options.casts_shadow:
        details: dict[str, str | float | int | bool] = {
            "opacity": options.shadow_opacity,
            "source": "photo" if photo.own_shadow else "drawn",
        }
        yield Edit(action="shadow", c2pa="c2pa.drawing", details=details)


def _covered_late(photo: ListingPhoto, options: StudioOptions) -> Iterator[Edit]:
    if photo.covered_late:
        details: dict[str, str | float | int | bool] = {
            "style": chosen_style(options),
            "found_on_the_finished_picture": photo.covered_late,
        }
        yield Edit(action="plate_masked", c2pa="c2pa.edited", details=details)


def _resized(photo: ListingPhoto, options: StudioOptions) -> Iterator[Edit]:
    if photo.processed_size is None:
        return
    width, height = photo.processed_size
    scale = photo.source_box[2] * width / photo.width
    if abs(scale - 1) > 1e-3:
        yield Edit(
            action="resized",
            c2pa="c2pa.resized",
            details={"factor": round(scale, 4), "width": width, "height": height},
        )


EDITS: tuple[Callable[[ListingPhoto, StudioOptions], Iterator[Edit]], ...] = (
    _turned,
    _covered,
    _coloured,
    _levelled,
    _set_into_scene,
    _resized,
    _covered_late,
)
