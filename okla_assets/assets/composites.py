"""Studio: the finished photos."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import dagster as dg

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.imaging import geometry
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.studio.truth import Truth
from okla_assets.imaging.types import Box
from okla_assets.options import StudioOptions
from okla_assets.steps import credentials, metadata
from okla_assets.steps.batches import Outputs, PhotoWork, joined, run_batches
from okla_assets.steps.looks import look_of
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.plate_leaks import (
    Cleared,
    SearchRegion,
    cover_leaks,
    describe_leaks,
    texts_on,
)
from okla_assets.steps.plate_masking import (
    Masking,
    choose_masking,
    is_certainly_interior,
    vehicle_boxes,
)
from okla_assets.steps.plate_search import Finders, moved_view, turned_views
from okla_assets.steps.provenance import photographed
from okla_assets.steps.set_colour import SetColour, solve_set
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.standpoints import Standpoint, standpoints
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import (
    Classification,
    Classifications,
    Composite,
    Composites,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PhotoPlates,
    RawPhotos,
    Treatment,
)
from okla_assets.vehicle_runs import vehicle_asset, vehicle_of
from resources.content_credentials import content_signer
from resources.models.base import PlateDetector, TextReader
from resources.progress import Progress
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from okla_assets.imaging.studio.placement import Placement
    from okla_assets.imaging.studio.studio import Look
    from okla_assets.imaging.types import Rgb

VERSION = "6"
THUMBNAIL_SIDE = 400
BEFORE_SIDE = 1200
UNCUT = {
    "unsure": "no trustworthy cut-out: the two networks disagree",
    "obstructed": "something stands before the vehicle",
    "cropped": "the vehicle is not shown whole",
    "no_vehicle": "no vehicle was found on the photo",
}
"""Why an exterior with this mask status is not on the studio scene."""


@vehicle_asset("studio", VERSION, {"python", "opencv"})
def composites(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    license_plates: LicensePlates,
    store: dg.ResourceParam[MediaStore],
    plate_detector: dg.ResourceParam[PlateDetector],
    quick_plate_detector: dg.ResourceParam[PlateDetector],
    plate_reader: dg.ResourceParam[TextReader],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Composites]:
    """The finished photos: whole vehicles on the studio scene, everything else corrected only.

    A photo without a trustworthy matte keeps its own background and says why. Each finished
    picture is searched once more for plates: what is found is covered, and a picture on which a
    plate can be read all the same is kept back.
    """
    vehicle = vehicle_of(context)
    options = raw_photos.options
    finders = Finders(plate_detector, quick_plate_detector)
    search = LeakSearch(finders, plate_reader, choose_masking(options, store)[0])
    look = look_of(options, store)
    signer = content_signer()
    signature = () if signer is None else (signer.fingerprint,)
    rows = list(
        joined(
            upright_photos(raw_photos.photos, masks.rows),
            masks.rows,
            classifications.rows,
            license_plates.rows,
        )
    )
    stood = standpoints(vehicle, rows, store, progress, VERSION)
    colours = (
        solve_set(vehicle, rows, store, progress, VERSION) if options.auto_enhance else SetColour()
    )
    unmeasured = {failure.number for failure in colours.failed}
    photos = [
        PhotoWork(
            photo.number,
            photo.name,
            digest_of(
                "composite",
                VERSION,
                photo.number,
                mask.digest,
                view.category,
                view.angle,
                standpoint.fingerprint,
                plates.digest,
                (search.fingerprint, search.masking.fingerprint),
                options.of_pictures,
                look.scene.digest,
                *signature,
                colours.digest(photo.number),
            ),
            partial(
                compose,
                mask,
                view,
                plates,
                options,
                store,
                colours.corrections.get(photo.number),
                standpoint,
                look,
            ),
            credentials.finishing(
                signer,
                (photo, mask, view, plates),
                options,
                partial(finish, vehicle, photo, view, options),
            ),
        )
        for photo, mask, view, plates in rows
        if photo.number not in unmeasured
        for standpoint in [stood.get(photo.number, Standpoint())]
    ]
    done = run_batches(
        "Finishing",
        photos,
        partial(look_for_plates, search),
        (plate_detector,),  # the reader gets strips of text height, a few a picture
        StepCache(store, vehicle, "composites", Composite),
        progress,
    )
    table = Composites(
        rows=done.rows,
        failed=(*colours.failed, *done.failed),
        seconds=colours.seconds + done.seconds,
        gpu_seconds=done.gpu_seconds,
    )
    return metadata.result(
        context,
        table,
        store,
        counts={t: sum(r.treatment == t for r in table.rows) for t in metadata.TREATMENTS}
        | {"kept_back": sum(r.withheld is not None for r in table.rows)}
        | {"plates_covered_late": sum(r.covered_late for r in table.rows)},
        computed=done.computed,
        spent=done.spent,
        rows=[metadata.composite_row(p, r) for p, r in joined(raw_photos.photos, table.rows)],
        pictures=[r.thumbnail_key for r in table.rows if r.thumbnail_key],
        link=keys.processed_folder(vehicle),
    )


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
    if treatment == "studio" and alpha is not None:
        placement = place(
            extent(alpha), options.max_width, options.aspect_ratio, view.angle, options.margin
        )
        source_box = placement.box_of(picture)
        corrected = picture
        camera = standpoint.view(alpha)
        picture = studio.compose(picture, alpha, placement, camera, look)
        shown = _shown(mask, plates, placement.scale, placement, main_only=True)
        move = guard.placed_at(source_box, corrected, picture)
        truth = guard.compare(picture, corrected, move, alpha)
    else:
        corrected = picture
        picture = codec.fit_within(picture, options.max_width)
        truth = guard.compare(picture, corrected, guard.placed_at(source_box, corrected, picture))
        interior = is_certainly_interior(view)
        shown = _shown(mask, plates, picture.shape[1] / working_width)
        views = turned_views(mask, size, interior)
        views = tuple(moved_view(v, picture.shape[1] / working_width) for v in views)
        shown = replace(shown, is_certainly_interior=interior, views=views)
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


def finish(
    vehicle: keys.VehicleId,
    photo: Photo,
    view: Classification,
    options: StudioOptions,
    searched: Searched,
) -> tuple[Composite, Outputs]:
    """One photo's row and its files: the finished photo, its thumbnail, its matte, its before."""
    from okla_assets.imaging.photo import codec

    draft = searched.draft
    withheld = searched.withheld or draft.truth.broken
    processed_key = keys.processed_photo(
        vehicle, view.category, photo.number, options.output_format
    )
    thumbnail_key = keys.thumbnail(vehicle, view.category, photo.number)
    mask_key = keys.processed_mask(vehicle, view.category, photo.number)
    before_key = keys.before_photo(vehicle, view.category, photo.number)
    outputs = {}
    if withheld is None:
        outputs[processed_key] = _encode(draft.picture, options)
        small = codec.fit_within(draft.picture, THUMBNAIL_SIDE)
        outputs[thumbnail_key] = codec.encode_jpeg(small, 82)
    if searched.shows_before:
        outputs[before_key] = codec.encode_jpeg(draft.before, 82)
    if draft.grey is not None and view.category == "exterior":
        outputs[mask_key] = codec.encode_png(codec.resize(draft.grey, photo.width, photo.height))
    row = Composite(
        number=photo.number,
        treatment=draft.treatment,
        reason=draft.reason,
        processed_key=processed_key if processed_key in outputs else None,
        thumbnail_key=thumbnail_key if thumbnail_key in outputs else None,
        mask_key=mask_key if mask_key in outputs else None,
        before_key=before_key if before_key in outputs else None,
        source_box=draft.source_box,
        processed_size=(draft.picture.shape[1], draft.picture.shape[0]),
        photographed=photographed(draft.treatment, draft.grey, draft.source_box),
        correction=draft.correction,
        truth=draft.truth,
        plates_checked=searched.checked,
        covered_late=searched.covered_late,
        withheld=withheld,
    )
    return row, outputs


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


def _encode(picture: "Rgb", options: StudioOptions) -> bytes:
    from okla_assets.imaging.photo import codec

    if options.output_format == "png":
        return codec.encode_png(picture)
    if options.output_format == "webp":
        return codec.encode_webp(picture, options.output_quality)
    return codec.encode_jpeg(picture, options.output_quality)
