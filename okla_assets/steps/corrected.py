"""A photo's copy without plates in its corrected colours, as every finished picture shows it."""

from collections.abc import Iterable

import numpy as np

from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.types import Alpha, Quad, Rgb
from okla_assets.options import StudioOptions
from okla_assets.steps.plate_masking import chosen_style


def corrected_copy(
    picture: Rgb,
    correction: Correction | None,
    plates: Iterable[Quad],
    options: StudioOptions,
    vehicle: Alpha | None = None,
) -> Rgb:
    """RGB (H, W, 3) after the correction, its blank plates (quads in pixels) neutral again.

    The options are those that were used, as of `plate_masking.options_used`. Of a cut-out `vehicle`
    (H, W), which is all of the photo that will be shown, no more is corrected than that. Without a
    correction the copy stays as it is.
    """

    from okla_assets.imaging.photo import enhance
    from okla_assets.imaging.plates.neutral import neutralised

    if correction is None:
        return picture
    window = None if vehicle is None else enhance.window_of(vehicle)
    corrected = enhance.corrected(picture, correction, window)
    if chosen_style(options) == "fill":
        covers = [np.array(quad, np.float32) for quad in plates]
        corrected = neutralised(corrected, picture, covers)
    return corrected
