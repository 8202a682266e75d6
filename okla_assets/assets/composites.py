"""Studio: the finished photos."""

from collections.abc import Sequence
from functools import partial

import dagster as dg

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.options import StudioOptions
from okla_assets.steps import credentials, metadata
from okla_assets.steps.batches import Outputs, PhotoWork, joined, run_batches
from okla_assets.steps.drafts import (
    Found,
    LeakSearch,
    Searched,
    choose_treatment,
    compose,
    look_for_plates,
)
from okla_assets.steps.looks import look_of, look_of_searched, searched_room
from okla_assets.steps.panoramas import still_of
from okla_assets.steps.pictures import encode_finished
from okla_assets.steps.plate_masking import choose_masking, options_used
from okla_assets.steps.plate_search import Finders
from okla_assets.steps.provenance import photographed
from okla_assets.steps.set_colour import SetColour, solve_set
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.standpoints import Standpoint, standpoints
from okla_assets.steps.step_cache import StepCache
from okla_assets.steps.web_pictures import sizes_of_photo
from okla_assets.tables import (
    Classification,
    Classifications,
    Composite,
    Composites,
    LicensePlates,
    Masks,
    Photo,
    RawPhotos,
    SizedPicture,
)
from okla_assets.vehicle_runs import vehicle_asset, vehicle_of
from resources.content_credentials import content_signer
from resources.models.base import PlateDetector, TextReader
from resources.progress import Progress
from resources.storage.media_store import MediaStore

VERSION = "19"
THUMBNAIL_SIDE = 400


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
    picture that may show what the photo did not is searched once more for plates: what is found is
    covered, and a picture on which a plate can be read all the same is kept back.
    """
    vehicle = vehicle_of(context)
    options = options_used(raw_photos.options, license_plates.style)
    finders = Finders(plate_detector, quick_plate_detector)
    search = LeakSearch(finders, plate_reader, choose_masking(options, store)[0])
    records = StepCache(store, vehicle, "plate_leaks", Found)
    room = searched_room(look_of(options, store), search, records)
    look = look_of_searched(options, room, search.masking, store)
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
                photo.number,
                searched,
                (options.of_pictures, look.scene.digest) if on_scene else options.without_scene,
                *signature,
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
                searched,
                None if (known := records.get(searched)) is None else known.row,
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
        for on_scene in [choose_treatment(mask, view, options)[0] == "studio"]
        for searched in [
            # All that decides what the picture shows of the photo: what is searched for plates.
            digest_of(
                "plate leaks",
                VERSION,
                mask.digest,
                view.category,
                view.projection,
                view.angle,
                standpoint.fingerprint,
                plates.digest,
                (search.fingerprint, search.masking.fingerprint),
                options.of_vehicle if on_scene else options.of_photo,
                colours.digest(photo.number),
            )
        ]
    ]
    done = run_batches(
        "Finishing",
        photos,
        partial(look_for_plates, search, records, room.withheld),
        (plate_detector,),  # the reader gets strips of text height, a few a picture
        StepCache(store, vehicle, "composites", Composite),
        progress,
        also=(search.finders.quick, search.reader),
    )
    records.prune()
    _unpublish(vehicle, done.rows, store)
    table = Composites(
        rows=done.rows,
        room=room,
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
    sizes: tuple[SizedPicture, ...] = ()
    outputs: dict[str, bytes] = {}
    if withheld is None:
        sizes, files = sizes_of_photo(
            vehicle, view.category, photo.number, draft.picture, view.projection
        )
        outputs |= files
        outputs[processed_key] = encode_finished(draft.picture, options)
        small = codec.fit_within(draft.picture, THUMBNAIL_SIDE)
        if view.projection is not None:
            small = still_of(draft.picture)
        outputs[thumbnail_key] = codec.encode_jpeg(small, 82)
    if searched.shows_before and withheld is None:
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
        levelled=draft.levelled,
        truth=draft.truth,
        own_shadow=draft.own_shadow,
        no_own_shadow=draft.no_own_shadow,
        plates_checked=searched.checked,
        covered_late=searched.covered_late,
        withheld=withheld,
        sizes=sizes,
    )
    return row, outputs


def _unpublish(vehicle: keys.VehicleId, rows: Sequence[Composite], store: MediaStore) -> None:
    """Deletes what an earlier run has published of photos that are kept back now, at once: the
    listing, which removes what it does not name, may never be made."""
    held = {row.number for row in rows if row.withheld is not None}
    if held:
        for info in list(store.list(keys.processed_folder(vehicle))):
            if keys.photo_shown(info.key) in held:
                store.delete(info.key)
