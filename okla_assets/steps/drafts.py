"""Drafts of finished photos: composed from what other steps found, then searched for plates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from okla_assets.imaging import geometry
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.studio.truth import Truth
from okla_assets.imaging.types import Box
from okla_assets.options import StudioOptions
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.plate_leaks import (
    Cleared,
    SearchRegion,
    cover_leaks,
    describe_leaks,
    texts_on,
)
from okla_assets.steps.plate_masking import Masking, is_certainly_interior, vehicle_boxes
from okla_assets.steps.plate_search import Finders, moved_view, turned_views
from okla_assets.steps.standpoints import Standpoint
from okla_assets.tables import Classification, Mask, PhotoPlates, Treatment
from resources.models.base import TextReader
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from okla_assets.imaging.studio.placement import Placement
    from okla_assets.imaging.studio.studio import Look
    from okla_assets.imaging.types import Rgb

BEFORE_SIDE = 1200
UNCUT = {
    "unsure": "no trustworthy cut-out: the two networks disagree",
    "obstructed": "something stands before the vehicle",
    "cropped": "the vehicle is not shown whole",
    "no_vehicle": "no vehicle was found on the photo",
}
"""Why an exterior with this mask status is not on the studio scene."""


def choose_treatment(
    mask: Mask, view: Classification, options: StudioOptions
) -> tuple[Treatment, str | None]:
    """Studio, or corrected only and the reason why."""
    plain: Treatment = "enhanced" if options.auto_enhance else "original"
    if view.category != "exterior":
        return plain, f"{view.category}: keeps its own background"
    if mask.status == "cut":
        return "studio", None
    return plain, mask.obstructed or UNCUT[mask.status]


@dataclass(frozen=True)
class LeakSearch:
    """What searches a finished picture for plates, and how they were covered."""

    finders: Finders
    reader: TextReader
    masking: Masking

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """Two equal fingerprints find the same."""
        return *self.finders.fingerprint, self.reader.fingerprint()

    @cached_property
    def allowed(self) -> tuple[str, ...]:
        """What may stand in a plate's place: the owner's logo."""
        logo = self.masking.picture()
        return () if logo is None else texts_on(logo[..., :3], self.reader)

    def cleared(self, pictures: "Sequence[Rgb]", shown: Sequence[SearchRegion]) -> "list[Cleared]":
        """Each picture with what was left of plates covered; with leaks, it is kept back."""
        if not pictures:
            return []
        return cover_leaks(pictures, shown, self.finders, self.reader, self.masking, self.allowed)


@dataclass(frozen=True)
class Draft:
    """A finished picture that has still to be searched for plates, and what it was made of.

    `before` is the photo as taken but without plates, at gallery size; `grey` the matte.
    """

    treatment: Treatment
    reason: str | None
    picture: "Rgb"
    shown: SearchRegion
    before: "Rgb"
    before_shows: SearchRegion
    source_box: Box
    grey: "npt.NDArray[np.uint8] | None"
    correction: Correction | None
    truth: Truth


@dataclass(frozen=True)
class Searched:
    """A draft after the search: why it is kept back, and whether its `before` may be shown.

    `covered_late` plates were found on its picture and covered.
    """

    draft: Draft
    checked: bool
    withheld: str | None
    shows_before: bool
    covered_late: int = 0


def compose(
    mask: Mask,
    view: Classification,
    plates: PhotoPlates,
    options: StudioOptions,
    store: MediaStore,
    correction: Correction | None,
    standpoint: Standpoint,
    look: "Look",
) -> Draft:
    """One photo's picture: corrected, and in the studio where it may be."""
    import numpy as np

    from okla_assets.imaging.photo import codec, enhance
    from okla_assets.imaging.plates.neutral import neutralised
    from okla_assets.imaging.studio import guard, studio
    from okla_assets.imaging.studio.placement import extent, place

    treatment, reason = choose_treatment(mask, view, options)
    picture = read_picture(store, plates.masked_key)
    size = picture.shape[0], picture.shape[1]
    working_width = picture.shape[1]
    grey = codec.decode_gray(store.get(mask.matte_key)) if mask.matte_key else None
    alpha = None if grey is None else studio.as_alpha(grey)
    before, source_box = codec.fit_within(picture, BEFORE_SIDE), (0.0, 0.0, 1.0, 1.0)
    if correction is not None:
        window = None
        if treatment == "studio" and alpha is not None:
            window = enhance.window_of(alpha)  # nothing else of the photo is shown
        picture = enhance.corrected(picture, correction, window)
        if options.mask_license_plate and options.license_plate_mask_type == "fill":
            picture = neutralised(picture, [np.array(p.quad, np.float32) for p in plates.plates])
    corrected = picture
    if treatment == "studio" and alpha is not None:
        placement = place(
            extent(alpha), options.max_width, options.aspect_ratio, view.angle, options.margin
        )
        source_box = placement.box_of(picture)
        camera = standpoint.view(alpha)
        picture = studio.compose(picture, alpha, placement, camera, look)
        shown = _shown(mask, plates, placement.scale, placement, main_only=True)
        compared = alpha
    else:
        is_panorama = view.projection is not None
        if not is_panorama:  # of a panorama a screen shows a quarter
            picture = codec.fit_within(picture, options.max_width)
        compared = None
        interior = is_certainly_interior(view)
        shown = _shown(mask, plates, picture.shape[1] / working_width)
        views = turned_views(mask, size, interior, around=is_panorama)
        views = tuple(moved_view(v, picture.shape[1] / working_width) for v in views)
        shown = replace(shown, is_certainly_interior=interior, views=views)
    move = guard.placed_at(source_box, corrected, picture)
    truth = guard.compare(picture, corrected, move, compared)
    around = _shown(mask, plates, before.shape[1] / working_width)
    return Draft(
        treatment, reason, picture, shown, before, around, source_box, grey, correction, truth
    )


def look_for_plates(search: LeakSearch, drafts: Sequence[Draft]) -> list[Searched]:
    """Each draft with what the search says of it, and of the photo before."""
    in_studio = [d.treatment == "studio" for d in drafts]
    if search.masking.style == "none":
        return [Searched(d, False, None, s) for d, s in zip(drafts, in_studio, strict=True)]
    finished = search.cleared([d.picture for d in drafts], [d.shown for d in drafts])
    # The photo before shows the street too, which the studio picture does not.
    more = [i for i, picture in enumerate(finished) if not picture.leaks and in_studio[i]]
    befores = search.cleared(
        [drafts[i].before for i in more], [drafts[i].before_shows for i in more]
    )
    clean = {i: before for i, before in zip(more, befores, strict=True) if not before.leaks}
    return [
        Searched(
            replace(
                draft,
                picture=picture.picture,
                before=clean[i].picture if i in clean else draft.before,
            ),
            True,
            describe_leaks(picture.leaks) if picture.leaks else None,
            i in clean,
            picture.covered,
        )
        for i, (draft, picture) in enumerate(zip(drafts, finished, strict=True))
    ]


def _shown(
    mask: Mask,
    plates: PhotoPlates,
    scale: float,
    placement: "Placement | None" = None,
    *,
    main_only: bool = False,
) -> SearchRegion:
    """Plates and vehicles of the working copy, on a picture `scale` times as large."""
    left, top = (0, 0) if placement is None else (placement.left, placement.top)
    boxes = vehicle_boxes(mask)[: 1 if main_only else None]
    quads = [p.quad for p in plates.plates if not main_only or p.vehicle == "main"]
    return SearchRegion(
        tuple(geometry.move_quad(quad, scale, left, top) for quad in quads),
        tuple(geometry.move_box(box, scale, left, top) for box in boxes),
    )
