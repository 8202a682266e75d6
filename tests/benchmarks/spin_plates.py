"""Plates planted on the finished frames of a 360 view: how many the search finds, and its seconds.

    python -m tests.benchmarks.spin_plates MEDIA VEHICLE [--plants 100] [--unknown]

Crops of annotated plates of the private photos are laid, one a frame, on the places of the
vehicle's own plates; those that the reader cannot read do not count. With --unknown the search is
not told that there is a plate. Prints what was found and covered, what can be read afterwards, and
the seconds of CPU a frame.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets import keys
from okla_assets.imaging import plates
from okla_assets.imaging.photo import codec
from okla_assets.imaging.plates import quads
from okla_assets.imaging.types import Corners, Rgb
from okla_assets.options import StudioOptions
from okla_assets.steps.drafts import LeakSearch
from okla_assets.steps.looks import look_of
from okla_assets.steps.plate_masking import Masking
from okla_assets.steps.plate_search import Finders
from okla_assets.steps.turn_leaks import FinishedFrame, searched_turn
from okla_assets.steps.turn_pictures import choose_pictures
from okla_assets.steps.turning import turning_of
from okla_assets.tables import (
    Classifications,
    Composites,
    LicensePlates,
    Masks,
    Table,
    WalkaroundFrames,
)
from resources import weights
from resources.models.plates_onnx import FusedPlates, PlateFastOnnx
from resources.models.ppocr_onnx import PpOcrReader
from resources.storage.media_store import LocalMediaStore
from tests.conftest import REPOSITORY
from tests.plates import labelled

TableT = TypeVar("TableT", bound=Table)

WIDE_ENOUGH = 80
"""Pixels of an annotated plate that is planted."""


def finished_frames(store: LocalMediaStore, vehicle: keys.VehicleId) -> Iterator[FinishedFrame]:
    """Frames of the vehicle's turn that show its own plate, as they are finished now."""

    def table(name: str, kind: type[TableT]) -> TableT:
        return kind.model_validate_json(store.get(keys.table(vehicle, name)))

    options = StudioOptions()
    rows = choose_pictures(
        table("walkaround_frames", WalkaroundFrames),
        table("masks", Masks),
        table("classifications", Classifications),
        table("license_plates", LicensePlates),
        Composites(rows=()),
    ).rows
    turn = turning_of(rows, options.max_width, options.aspect_ratio, store)
    for position, row in enumerate(rows):
        if row.plates:
            picture = turn.finished(position, None, look_of(options, store), options, store)
            yield turn.shown(position, picture, row)


def planted(frame: FinishedFrame, crop: Rgb) -> tuple[Rgb, Corners]:
    """The frame with the plate laid on the place of its own, and where that is."""
    place = np.array(frame.plates[0], np.float32)
    height, width = crop.shape[:2]
    matrix = cv2.getPerspectiveTransform(quads.box_quad((0, 0, width, height)), place)
    size = (frame.picture.shape[1], frame.picture.shape[0])
    laid = cv2.warpPerspective(crop, matrix, size, flags=cv2.INTER_AREA)
    where = cv2.warpPerspective(np.ones(crop.shape[:2], np.float32), matrix, size)[..., None]
    mixed: npt.NDArray[np.float32] = frame.picture * (1 - where) + laid * where
    return np.asarray(np.rint(mixed), np.uint8), place


def reads(picture: Rgb, place: Corners, reader: PpOcrReader) -> bool:
    """Whether a plate can be read there."""
    return any(
        sure >= plates.LEAST_READER_CONFIDENCE
        and plates.readable_characters(text) >= plates.READABLE
        for strips in plates.readings_of(picture, place)
        for text, sure in reader.read(strips)
    )


def main() -> None:
    """See the module."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("media")
    arguments.add_argument("vehicle", type=keys.parse_vehicle_id)
    arguments.add_argument("--testdata", default=REPOSITORY.parent / "shared" / "testdata")
    arguments.add_argument("--plants", type=int, default=100)
    arguments.add_argument("--unknown", action="store_true")
    given = arguments.parse_args()
    weights.ensure(weights.names_for("local"))
    reader = PpOcrReader()
    search = LeakSearch(Finders(FusedPlates(), PlateFastOnnx()), reader, Masking("fill"))
    frames = list(finished_frames(LocalMediaStore(root=given.media), given.vehicle))
    sources = [
        photo
        for photo in labelled(Path(given.testdata), "plates_openalpr", "", boxed=True)
        if len(photo.truth) == 1 and photo.truth[0][2] >= WIDE_ENOUGH
    ]
    tried = count = found = left = 0
    seconds = 0.0
    while count < given.plants and tried < 5 * given.plants:
        frame, source = frames[tried % len(frames)], sources[7 * tried % len(sources)]
        tried += 1
        x, y, w, h = (round(v) for v in source.truth[0])
        photo = codec.decode_trusted(source.file.read_bytes())
        picture, place = planted(frame, photo[max(0, y) : y + h, max(0, x) : x + w])
        if not reads(picture, place, reader):
            continue
        count += 1
        known = () if given.unknown else frame.plates
        began = time.process_time()
        (done,) = searched_turn(
            [FinishedFrame(picture, frame.azimuth, frame.vehicle, known)], search
        )
        seconds += time.process_time() - began
        found += plates.lies_on(place, done.covered)
        left += not done.readable and reads(done.picture, place, reader)
    print(f"{found} of {count} planted plates found ({tried} tried), {left} read afterwards")
    print(f"{seconds / max(count, 1):.2f} CPU seconds a frame")


if __name__ == "__main__":
    main()
