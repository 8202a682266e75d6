"""Delivery: where on the vehicle the seller's close-ups were taken."""

from functools import partial

import dagster as dg

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.steps import metadata
from okla_assets.steps.batches import (
    Done,
    Outputs,
    PhotoWork,
    Pictures,
    joined,
    run_batches,
    with_failures,
    without_failing,
)
from okla_assets.steps.close_ups import Board, Pictured, place_all
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.step_cache import StepCache
from okla_assets.steps.walk_views import walk_of
from okla_assets.tables import (
    Classifications,
    CloseUp,
    Composites,
    Hotspots,
    LicensePlates,
    Masks,
    RawPhotos,
    SpinFrames,
)
from okla_assets.vehicle_runs import vehicle_asset, vehicle_of
from resources.progress import Progress
from resources.storage.media_store import MediaStore

VERSION = "5"
TITLE = "Placing close-ups"


@vehicle_asset("delivery", VERSION, {"python", "opencv"})
def hotspots(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    license_plates: LicensePlates,
    composites: Composites,
    spin_frames: SpinFrames,
    store: dg.ResourceParam[MediaStore],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Hotspots]:
    """Where each close-up (wheel, engine, damage, badge) belongs on the exteriors and the spin.

    On a spin that was filmed, frames are searched too, and a place is carried along the turn.

    A wrong place is worse than none: a close-up that fits nowhere for sure, or in two places, stays
    off and says why. Places given in options.json come before those found.
    """
    vehicle = vehicle_of(context)
    photos = [
        Pictured(*rows, store)
        for rows in joined(
            upright_photos(raw_photos.photos, masks.rows),
            masks.rows,
            classifications.rows,
            license_plates.rows,
            composites.rows,
        )
    ]

    def attempt(left_out: Pictures) -> Done[CloseUp]:
        walk = walk_of(spin_frames, masks, license_plates, store, left_out)
        board = Board(photos, spin_frames, raw_photos.options, store, left_out, walk)
        close_ups = [
            PhotoWork(
                close_up.photo.number,
                close_up.photo.name,
                digest_of("hotspots", VERSION, close_up.fingerprint, board.fingerprint),
                partial(_same, close_up),
                _without_files,
            )
            for close_up in board.close_ups()
        ]
        cache = StepCache(store, vehicle, "hotspots", CloseUp)
        return run_batches(TITLE, close_ups, partial(place_all, board), (), cache, progress)

    done, failures = without_failing(TITLE, attempt)
    table = Hotspots(rows=done.rows, failed=done.failed, seconds=done.seconds)
    table = with_failures(table, TITLE, failures)
    by_number = {picture.photo.number: picture.photo for picture in photos}
    return metadata.result(
        context,
        table,
        store,
        counts={
            "close_ups": len(table.rows),
            "placed": sum(bool(row.spots) for row in table.rows),
            "by_hand": sum(any(spot.by_hand for spot in row.spots) for row in table.rows),
            "on_frames": sum(spot.on_frame is not None for spot in table.spots),
        },
        computed=done.computed,
        spent=done.spent,
        rows=[metadata.close_up_row(by_number[row.number], row) for row in table.rows],
        pictures=[],
        link=keys.processed_folder(vehicle),
    )


def _same(close_up: Pictured) -> Pictured:
    return close_up


def _without_files(row: CloseUp) -> tuple[CloseUp, Outputs]:
    return row, {}
