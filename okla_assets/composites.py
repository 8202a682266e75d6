"""Studio: the finished photos."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import dagster as dg

from okla_assets import keys, previews
from okla_assets.contract import (
    Box,
    Classification,
    Classifications,
    Composite,
    Composites,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PhotoPlates,
    Quad,
    RawPhotos,
    StudioOptions,
    Treatment,
)
from okla_assets.imaging import geometry
from okla_assets.leak_check import find_leaks, said, texts_on
from okla_assets.partitions import vehicle_of, vehicles
from okla_assets.per_photo import Job, Outputs, run_jobs
from okla_assets.plate_masking import Masking, choose_masking, surely_interior, vehicle_boxes
from okla_assets.step_cache import StepCache, digest_of
from resources.media_store import MediaStore
from resources.models.base import PlateDetector, TextReader
from resources.progress import Progress

if TYPE_CHECKING:
    from okla_assets.imaging.studio import Placement
    from resources.models.base import Rgb

VERSION = "3"
THUMBNAIL_SIDE = 400
BEFORE_SIDE = 1200
UNCUT = {
    "unsure": "no trustworthy cut-out: the two networks disagree",
    "cropped": "the vehicle is not shown whole",
    "no_vehicle": "no vehicle was found on the photo",
}
"""Why an exterior with this mask status is not on the studio scene."""


@dg.asset(
    partitions_def=vehicles,
    group_name="studio",
    code_version=VERSION,
    kinds={"python", "opencv"},
    owners=["team:media"],
)
def composites(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    license_plates: LicensePlates,
    store: dg.ResourceParam[MediaStore],
    plate_detector: dg.ResourceParam[PlateDetector],
    plate_reader: dg.ResourceParam[TextReader],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Composites]:
    """The finished photos: whole vehicles on the studio scene, everything else corrected only.

    A photo without a trustworthy matte keeps its own background and says why. Each finished
    picture is searched once more for plates, and one that shows any is kept back.
    """
    vehicle = vehicle_of(context)
    options = raw_photos.options
    search = LeakSearch(plate_detector, plate_reader, choose_masking(options, store)[0])
    jobs = [
        Job(
            photo.number,
            photo.name,
            digest_of(
                "composite",
                VERSION,
                photo.number,
                mask.digest,
                view.category,
                plates.digest,
                search.fingerprint,
                options.of_pictures,
            ),
            partial(finish, vehicle, photo, mask, view, plates, options, store, search),
        )
        for photo, mask, view, plates in zip(
            raw_photos.photos,
            masks.rows,
            classifications.rows,
            license_plates.rows,
            strict=True,
        )
    ]
    cache = StepCache(store, vehicle, "composites", Composite)
    done = run_jobs("Finishing", jobs, cache, progress)
    table = Composites(rows=done.rows)
    return previews.result(
        context,
        table,
        store,
        counts={t: sum(r.treatment == t for r in table.rows) for t in previews.TREATMENTS}
        | {"kept_back": sum(r.withheld is not None for r in table.rows)},
        computed=done.computed,
        seconds=done.seconds,
        rows=[
            previews.composite_row(p, r) for p, r in zip(raw_photos.photos, table.rows, strict=True)
        ],
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
    return plain, UNCUT[mask.status]


@dataclass(frozen=True)
class LeakSearch:
    """What searches a finished picture for plates, and how they were covered."""

    detector: PlateDetector
    reader: TextReader
    masking: Masking

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """Two equal fingerprints find the same."""
        return self.detector.fingerprint(), self.reader.fingerprint()

    @cached_property
    def allowed(self) -> tuple[str, ...]:
        """What may stand in a plate's place: the owner's logo."""
        logo = self.masking.picture()
        return () if logo is None else texts_on(logo[..., :3], self.reader)

    def verdict(self, picture: "Rgb", shown: "Shown") -> str | None:
        """Why the picture must be kept back, or None where it may be shown."""
        leaks = find_leaks(
            picture,
            shown.plates,
            shown.vehicles,
            self.detector,
            self.reader,
            self.allowed,
            shown.surely_interior,
        )
        return said(leaks) if leaks else None


@dataclass(frozen=True)
class Shown:
    """What a finished picture shows, in its pixels: plates, and vehicles, the main one first."""

    plates: tuple[Quad, ...]
    vehicles: tuple[Box, ...]
    surely_interior: bool = False


def finish(
    vehicle: keys.VehicleId,
    photo: Photo,
    mask: Mask,
    view: Classification,
    plates: PhotoPlates,
    options: StudioOptions,
    store: MediaStore,
    search: LeakSearch,
) -> tuple[Composite, Outputs]:
    """One photo's row and its files: the finished photo, its thumbnail, its matte, its before."""
    from okla_assets.imaging import codec, enhance, studio

    treatment, reason = choose_treatment(mask, view, options)
    picture = codec.decode_own(store.get(plates.masked_key))
    copy_scale = picture.shape[1] / photo.width
    grey = codec.decode_gray(store.get(mask.matte_key)) if mask.matte_key else None
    alpha = None if grey is None else studio.as_alpha(grey)
    before, source_box = codec.fit_within(picture, BEFORE_SIDE), (0.0, 0.0, 1.0, 1.0)
    if options.auto_enhance:
        picture = enhance.enhance(picture, alpha if mask.status == "cut" else None)
    if treatment == "studio" and alpha is not None:
        placement = studio.place(studio.extent(alpha), options.max_width, aspect_of(options))
        source_box = placement.box_of(picture)
        opacity = options.shadow_opacity if options.generate_shadow else None
        picture = studio.compose(picture, alpha, placement, opacity)
        shown = _shown(mask, plates, copy_scale * placement.scale, placement, main_only=True)
    else:
        picture = codec.fit_within(picture, options.max_width)
        shown = _shown(mask, plates, picture.shape[1] / photo.width)
        shown = replace(shown, surely_interior=surely_interior(view))
    checked = search.masking.style != "none"
    withheld = search.verdict(picture, shown) if checked else None
    processed_key = keys.processed_photo(
        vehicle, view.category, photo.number, options.output_format
    )
    thumbnail_key = keys.thumbnail(vehicle, view.category, photo.number)
    mask_key = keys.processed_mask(vehicle, view.category, photo.number)
    before_key = keys.before_photo(vehicle, view.category, photo.number)
    outputs = {}
    if withheld is None:
        outputs[processed_key] = _encode(picture, options)
        small = codec.fit_within(picture, THUMBNAIL_SIDE)
        outputs[thumbnail_key] = codec.encode_jpeg(small, 82)
    if withheld is None and treatment == "studio":
        # The photo before shows the street too, which the studio picture does not.
        around = _shown(mask, plates, before.shape[1] / photo.width)
        if not checked or search.verdict(before, around) is None:
            outputs[before_key] = codec.encode_jpeg(before, 82)
    if grey is not None and view.category == "exterior":
        outputs[mask_key] = codec.encode_png(codec.resize(grey, photo.width, photo.height))
    row = Composite(
        number=photo.number,
        treatment=treatment,
        reason=reason,
        processed_key=processed_key if processed_key in outputs else None,
        thumbnail_key=thumbnail_key if thumbnail_key in outputs else None,
        mask_key=mask_key if mask_key in outputs else None,
        before_key=before_key if before_key in outputs else None,
        source_box=source_box,
        plates_checked=checked,
        withheld=withheld,
        seconds=0,
    )
    return row, outputs


def _shown(
    mask: Mask,
    plates: PhotoPlates,
    scale: float,
    placement: "Placement | None" = None,
    *,
    main_only: bool = False,
) -> Shown:
    """Plates and vehicles of the upright source, on a picture `scale` times as large."""
    left, top = (0, 0) if placement is None else (placement.left, placement.top)
    boxes = vehicle_boxes(mask, 1.0)[: 1 if main_only else None]
    quads = [p.quad for p in plates.plates if not main_only or p.vehicle == "main"]
    return Shown(
        tuple(geometry.move_quad(quad, scale, left, top) for quad in quads),
        tuple(geometry.move_box(box, scale, left, top) for box in boxes),
    )


def aspect_of(options: StudioOptions) -> float:
    """The canvas's width by its height."""
    width, height = options.aspect.split(":")
    return int(width) / int(height)


def _encode(picture: "Rgb", options: StudioOptions) -> bytes:
    from okla_assets.imaging import codec

    if options.output_format == "png":
        return codec.encode_png(picture)
    if options.output_format == "webp":
        return codec.encode_webp(picture, options.output_quality)
    return codec.encode_jpeg(picture, options.output_quality)
