"""How a vehicle's plates are covered and faces blurred, on photos and on frames alike."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from okla_assets import keys
from okla_assets.imaging.types import Box, Quad, Rgb, Rgba
from okla_assets.options import PlateStyle, StudioOptions
from okla_assets.steps.pictures import encode_working
from okla_assets.tables import Classification, Mask, PlateCarrier
from resources.storage.media_store import MediaStore


@dataclass(frozen=True)
class Masking:
    """How plates are covered; `logo` holds the owner's PNG where the style is logo.

    `on_frames` of a walk-around plates are drawn as they were tracked: an edge found on each frame
    anew would flicker.
    """

    style: PlateStyle
    logo: bytes | None = None
    on_frames: bool = False

    @property
    def fingerprint(self) -> tuple[str, str | None]:
        """Two equal fingerprints cover alike."""
        return self.style, None if self.logo is None else hashlib.sha256(self.logo).hexdigest()

    def picture(self) -> Rgba | None:
        """The logo's pixels, RGBA uint8 (h, w, 4)."""
        from okla_assets.imaging.photo import codec

        return None if self.logo is None else codec.decode_rgba(self.logo)

    def covered(self, picture: Rgb, quads: Iterable[Quad]) -> Rgb:
        """A copy of the picture with these quads covered."""
        from okla_assets.imaging import plates

        corners = [np.array(quad, np.float32) for quad in quads]
        return plates.mask_plates(
            picture, corners, self.style, self.picture(), is_frame=self.on_frames
        )


def chosen_style(options: StudioOptions) -> PlateStyle:
    """How the options want plates covered."""
    return options.license_plate_mask_type if options.mask_license_plate else "none"


def options_used(options: StudioOptions, style: PlateStyle) -> StudioOptions:
    """The options with the style that plates are covered in, as of `choose_masking`."""
    if style == chosen_style(options):
        return options
    return options.model_copy(update={"license_plate_mask_type": style})


def choose_masking(options: StudioOptions, store: MediaStore) -> tuple[Masking, tuple[str, ...]]:
    """How this vehicle's plates are covered, and what of that could not be had.

    A logo that is missing or no picture must not bare a plate: it is named and `fill` is used.
    """
    from okla_assets.imaging.photo import codec

    style = chosen_style(options)
    if style != "logo":
        return Masking(style), ()
    problem = f"license_plate_mask_type: logo needs a picture at {keys.PLATE_LOGO}"
    if store.stat(keys.PLATE_LOGO) is None:
        return Masking("fill"), (f"{problem}; plates are filled instead",)
    logo = store.get(keys.PLATE_LOGO)
    try:
        codec.decode_rgba(logo)
    except ValueError:
        return Masking("fill"), (f"{problem}, and that file is none; plates are filled instead",)
    return Masking("logo", logo), ()


def masked_copy(
    copy: bytes, picture: Rgb, quads: Sequence[Quad], masking: Masking, faces: Sequence[Box] = ()
) -> bytes:
    """The copy (JPEG) whose pixels are `picture`, its plates covered and its faces blurred.

    Without either it is handed on as it is, not encoded once more.
    """
    from okla_assets.imaging.faces import blur_faces

    masked = picture
    if quads and masking.style != "none":
        masked = masking.covered(masked, quads)
    if faces:
        masked = blur_faces(masked, faces)
    return copy if masked is picture else encode_working(masked)


def vehicle_boxes(mask: Mask) -> list[Box]:
    """The photo's vehicles, the main one first."""
    main = [] if mask.vehicle_box is None else [mask.vehicle_box]
    return [*main, *mask.other_vehicles]


def is_certainly_interior(view: Classification) -> bool:
    """Whether only a cabin can be seen; an open tailgate may look like one and carry a plate."""
    from okla_assets.imaging import plates

    return (
        view.category == "interior"
        and view.projection is None  # through its windows the street can be seen
        and view.category_confidence >= plates.LEAST_INTERIOR_CONFIDENCE
    )


def carrier(index: int | None) -> PlateCarrier:
    """What `plates.owner` says of a plate, in the contract's words."""
    if index is None:
        return "none"
    return "main" if index == 0 else "other"
