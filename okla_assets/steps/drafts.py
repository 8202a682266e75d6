"""Drafts of finished photos: composed from what other steps found, then searched for plates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from okla_assets.imaging import geometry
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.imaging.studio.truth import Truth
from okla_assets.imaging.types import Alpha, Box, Floats, Quad, Rgb
from okla_assets.options import StudioOptions
from okla_assets.steps.corrected import corrected_copy
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.plate_leaks import (
    Cleared,
    Covers,
    SearchRegion,
    Suspect,
    cover_leaks,
    describe_leaks,
    texts_on,
    with_covers,
)
from okla_assets.steps.plate_masking import Masking, is_certainly_interior, vehicle_boxes
from okla_assets.steps.plate_search import Finders, moved_view, turned_views
from okla_assets.steps.standpoints import Standpoint
from okla_assets.steps.step_cache import StepCache
from okla_assets.steps.wholeness import part_surely_missing
from okla_assets.tables import Classification, Mask, PhotoPlates, Row, Treatment
from resources.models.base import TextReader
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.studio.camera import View
    from okla_assets.imaging.studio.studio import Look

BEFORE_SIDE = 1200
BRIGHTENED = 1.25
"""Gain of light up to which a photo shows the detector what it showed before: it finds all of
59 plates on photos darkened by so much, 58 where they are darkened to two thirds."""
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
    if missing := part_surely_missing(mask, view.category, view.angle):
        return plain, f"the cut-out lacks {missing}"
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

    def cleared(self, pictures: Sequence[Rgb], shown: Sequence[SearchRegion]) -> list[Cleared]:
        """Each picture with what was left of plates covered; with leaks, it is kept back."""
        if not pictures:
            return []
        return cover_leaks(pictures, shown, self.finders, self.reader, self.masking, self.allowed)


class Found(Row):
    """What the search found of one photo, on whatever scene its vehicle stands.

    `covers` are what is covered on the finished picture, in its pixels, `before_covers` on the
    photo before. `withheld` says why the picture is kept back all the same; `shows_before` whether
    the photo before may be shown.
    """

    covers: Covers
    withheld: str | None
    before_covers: Covers
    shows_before: bool


@dataclass(frozen=True)
class Draft:
    """A finished picture, what has still to be searched for plates, and what it was made of.

    Searched is `alone`: all that the picture shows of the photo, on a plain ground in place of the
    scene. What a floor mirrors of it is fainter and softer, and a shadow shows nothing. `search` is
    the digest of all that this is made from, `found` what is known of it already. `before` is the
    photo as taken but without plates, at gallery size; `grey` the matte. `own_shadow` says that the
    shadow is the photo's, `no_own_shadow` why it is not though it was asked for.
    """

    treatment: Treatment
    reason: str | None
    picture: Rgb
    alone: Rgb
    search: str
    found: Found | None
    shown: SearchRegion
    before: Rgb
    before_shows: SearchRegion
    source_box: Box
    grey: npt.NDArray[np.uint8] | None
    correction: Correction | None
    levelled: Levelled | None
    truth: Truth
    own_shadow: bool = False
    no_own_shadow: str | None = None


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
    search: str,
    found: Found | None,
) -> Draft:
    """One photo's picture: corrected, and in the studio where it may be.

    `search` and `found` are those of `Draft`.
    """

    from okla_assets.imaging.photo import codec, level
    from okla_assets.imaging.studio import guard, studio
    from okla_assets.imaging.studio.placement import extent, place

    treatment, reason = choose_treatment(mask, view, options)
    picture = read_picture(store, plates.masked_key)
    size = picture.shape[0], picture.shape[1]
    working_width = picture.shape[1]
    grey = codec.decode_gray(store.get(mask.matte_key)) if mask.matte_key else None
    alpha = None if grey is None else studio.as_alpha(grey)
    before, source_box = codec.fit_within(picture, BEFORE_SIDE), (0.0, 0.0, 1.0, 1.0)
    covers = [plate.quad for plate in plates.plates]
    vehicle = alpha if treatment == "studio" else None
    picture = corrected_copy(picture, correction, covers, options, vehicle)
    turn = standpoint.levelled if treatment == "studio" else None
    if turn is not None and grey is not None:
        picture = level.levelled(picture, turn)
        alpha = studio.as_alpha(level.levelled(grey, turn))
    corrected = picture
    own_shadow, no_own_shadow = None, None
    if treatment == "studio" and alpha is not None:
        placement = place(
            extent(alpha), options.max_width, options.aspect_ratio, view.angle, options.margin
        )
        source_box = placement.box_of(picture)
        camera = standpoint.view(alpha)
        cut = studio.cut_out(picture, alpha, placement)
        if options.casts_shadow and options.shadow == "original":
            own_shadow, no_own_shadow = _own_shadow(picture, alpha, camera)
        picture = studio.on_scene(cut, placement, camera, look, own_shadow)
        alone = studio.on_plain(cut)
        boxes, quads = _known(mask, plates, main_only=True)
        if turn is not None:
            boxes = [turn.moved_box(box, size[1], size[0]) for box in boxes]
            quads = [turn.moved_quad(quad, size[1], size[0]) for quad in quads]
        shown = _shown(boxes, quads, placement.scale, placement.left, placement.top)
        compared = alpha
    else:
        is_panorama = view.projection is not None
        # Of a panorama a screen shows a quarter.
        picture = alone = picture if is_panorama else codec.fit_within(picture, options.max_width)
        compared = None
        interior = is_certainly_interior(view)
        scale = picture.shape[1] / working_width
        shown = replace(_shown(*_known(mask, plates), scale), is_certainly_interior=interior)
        if interior or not _brightened(correction):  # the detector has seen this picture already
            shown = replace(shown, suspects=_suspects(plates, scale))
        else:
            views = turned_views(mask, size, interior, around=is_panorama)
            shown = replace(shown, views=tuple(moved_view(view, scale) for view in views))
    move = guard.placed_at(source_box, corrected, picture)
    truth = guard.compare(picture, corrected, move, compared)
    scale = before.shape[1] / working_width
    around = replace(_shown(*_known(mask, plates), scale), suspects=_suspects(plates, scale))
    return Draft(
        treatment,
        reason,
        picture,
        alone,
        search,
        found,
        shown,
        before,
        around,
        source_box,
        grey,
        correction,
        turn,
        truth,
        own_shadow is not None,
        no_own_shadow,
    )


def _brightened(correction: Correction | None) -> bool:
    """Whether a corrected photo may show a plate that the detector could not see on it before."""
    return correction is not None and max(correction.gains) > BRIGHTENED


def _own_shadow(
    photo: Rgb, alpha: Alpha, camera: "View | None"
) -> tuple[Floats | None, str | None]:
    """The photo's own shadow, or why it cannot be told."""
    from okla_assets.imaging.studio.own_shadow import NotPlain, shadow_of

    if camera is None:
        return None, "the vehicle is too small on the photo to tell its ground"
    try:
        return shadow_of(photo, alpha, camera), None
    except NotPlain as why:
        return None, str(why)


def look_for_plates(
    search: LeakSearch,
    records: StepCache[Found],
    bare_room: str | None,
    drafts: Sequence[Draft],
) -> list[Searched]:
    """Each draft with what the search says of it, and of the photo before.

    Only what no record tells is searched, and recorded. `bare_room` says why no picture on the
    scene may be shown, where that is so.
    """
    if search.masking.style == "none":
        return [Searched(d, False, None, d.treatment == "studio") for d in drafts]
    known = {draft.search: draft.found for draft in drafts if draft.found is not None}
    new = [draft for draft in drafts if draft.search not in known]
    for draft, found in zip(new, _search(search, new), strict=True):
        known[draft.search] = records.put(draft.search, found, {}).row
    return [_searched(d, known[d.search], search.masking, bare_room) for d in drafts]


def _search(search: LeakSearch, drafts: Sequence[Draft]) -> list[Found]:
    finished = search.cleared([d.alone for d in drafts], [d.shown for d in drafts])
    # The photo before shows the street too, which the studio picture does not.
    more = [
        i
        for i, picture in enumerate(finished)
        if not picture.leaks and drafts[i].treatment == "studio"
    ]
    # Of a photo on which a plate was missed, the finder's suspects are not all.
    befores = search.cleared(
        [drafts[i].before for i in more],
        [
            replace(drafts[i].before_shows, suspects=None)
            if finished[i].covers
            else drafts[i].before_shows
            for i in more
        ],
    )
    clean = {i: before.covers for i, before in zip(more, befores, strict=True) if not before.leaks}
    return [
        Found(
            covers=picture.covers,
            withheld=describe_leaks(picture.leaks) if picture.leaks else None,
            before_covers=clean.get(i, ()),
            shows_before=i in clean,
        )
        for i, picture in enumerate(finished)
    ]


def _searched(draft: Draft, found: Found, masking: Masking, bare_room: str | None) -> Searched:
    picture, before = draft.picture, draft.before
    if found.covers:
        picture = _covered_alike(picture, draft.alone, found.covers, masking)
    if found.before_covers:
        before = with_covers(before, found.before_covers, masking)
    on_scene = draft.treatment == "studio"
    return Searched(
        replace(draft, picture=picture, before=before),
        True,
        found.withheld or (bare_room if on_scene else None),
        found.shows_before,
        sum(map(len, found.covers)),
    )


def _covered_alike(picture: Rgb, alone: Rgb, covers: Covers, masking: Masking) -> Rgb:
    """The picture with the covers that were drawn, and searched again, on the vehicle alone."""

    change = with_covers(alone, covers, masking).astype(np.int16) - alone
    return np.asarray((picture + change).clip(0, 255), np.uint8)


def _known(
    mask: Mask, plates: PhotoPlates, *, main_only: bool = False
) -> tuple[list[Box], list[Quad]]:
    """Vehicles and plates of the working copy; `main_only` those of what the photo is of."""
    boxes = vehicle_boxes(mask)[: 1 if main_only else None]
    return list(boxes), [p.quad for p in plates.plates if not main_only or p.vehicle == "main"]


def _suspects(plates: PhotoPlates, scale: float) -> list[Suspect]:
    """Those of the photo on a copy `scale` times as large; a sure plate was covered."""
    return [
        Suspect(
            geometry.move_quad(suspect.quad, scale),
            suspect.confidence,
            sure=False,
            out_of_place=suspect.vehicle == "none",
        )
        for suspect in plates.suspects
    ]


def _shown(
    boxes: Sequence[Box], quads: Sequence[Quad], scale: float, left: float = 0, top: float = 0
) -> SearchRegion:
    """Vehicles and plates on a picture `scale` times as large whose origin lies at (left, top)."""
    return SearchRegion(
        tuple(geometry.move_quad(quad, scale, left, top) for quad in quads),
        tuple(geometry.move_box(box, scale, left, top) for box in boxes),
    )
