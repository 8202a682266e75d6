"""Plates and faces on the frames of a walk-around: followed through all, masked on each."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.imaging import geometry
from okla_assets.imaging.types import Box, Rgb
from okla_assets.steps.batches import Outputs
from okla_assets.steps.costs import Meter
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.plate_masking import Masking, carrier, masked_copy, vehicle_boxes
from okla_assets.tables import FoundPlate, Frame, Mask, PhotoPlates
from resources.ahead import AT_ONCE, mapped, work_ahead
from resources.models.asking import asked, batch_size, in_batches
from resources.models.base import FaceDetector, PlateDetector
from resources.models.plates_onnx import as_quad
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.plates.tracks import TrackedPlate

LOOKS_APART = 25.0
"""Degrees between two frames that the full detector looks at, where it leaves the one between out;
it looks at the first and the last too."""


@dataclass(frozen=True)
class _Looker:
    """Both detectors on the frames of one vehicle."""

    frames: Sequence[Frame]
    masks: Sequence[Mask]
    store: MediaStore
    detector: PlateDetector
    quick: PlateDetector
    people: FaceDetector | None
    meter: Meter

    @property
    def turned(self) -> list[float]:
        """The degrees that the view has gone round at each frame."""
        from okla_assets.imaging.turn.walkaround import unwrapped

        return [float(degrees) for degrees in unwrapped([f.azimuth_deg for f in self.frames])]

    def picture(self, i: int) -> Rgb:
        """Frame `i`, plates and all."""
        return read_picture(self.store, self.frames[i].work_key)

    def boxes(self, i: int) -> list[Box]:
        """The vehicles of frame `i`, the main one first."""
        return vehicle_boxes(self.masks[i])

    def look(self, at: Sequence[int], detector: PlateDetector) -> "list[list[TrackedPlate]]":
        """What a detector finds on each of these frames and accepts as plates."""
        from okla_assets.imaging import plates
        from okla_assets.imaging.plates.tracks import TrackedPlate

        size = batch_size([detector])

        def found(batch: "tuple[list[Rgb], list[list[Box]]]") -> "list[list[TrackedPlate]]":
            pictures, boxes = batch
            return [
                [
                    TrackedPlate(np.array(c.quad, np.float32), c.score)
                    for c in candidates
                    if plates.accept_plate(c.box, c.score, c.agreement, vehicles, False)
                ]
                for vehicles, candidates in zip(
                    boxes, detector.detect(pictures, boxes), strict=True
                )
            ]

        with closing(work_ahead(at, self.picture, AT_ONCE, AT_ONCE, "frames")) as read:
            batches = (
                ([future.result() for _, future in islice(read, size)], [*map(self.boxes, some)])
                for some in in_batches(at, size)
            )
            with self.meter.at_work(detector):
                return [spots for answer in asked(batches, [detector], found) for spots in answer]

    def faces(self) -> "list[list[Box]]":
        """Each frame's faces, square; one that is missed on a frame is known from its neighbours.

        None are looked for where they are not to be blurred.
        """
        from okla_assets.imaging.plates import quads, tracks

        people = self.people
        if people is None:
            return [[] for _ in self.frames]
        with self.meter.at_work(people):
            found = asked(
                range(len(self.frames)), [people], lambda i: people.detect([self.picture(i)])[0]
            )
        seen = [
            [
                tracks.TrackedPlate(quads.box_quad(geometry.square(face.box)), face.score)
                for face in here
            ]
            for here in found
        ]
        return [
            [geometry.round_box(quads.quad_box(face.quad)) for face in faces]
            for faces in tracks.follow(seen, self.turned)
        ]


def find_on_frames(
    vehicle: keys.VehicleId,
    frames: Sequence[Frame],
    masks: Sequence[Mask],
    digest: str,
    masking: Masking,
    store: MediaStore,
    detector: PlateDetector,
    quick: PlateDetector,
    people: FaceDetector | None,
    meter: Meter,
    advance: Callable[[str], None],
) -> tuple[list[PhotoPlates], Outputs]:
    """One row a frame and the masked copies, by key.

    `detector` looks at every other frame, or at each where they are far apart, and wherever a plate
    comes or goes; `quick`, a cheap one, at the others: it tells just where a known plate is by
    then, and what it finds beyond the known ones brings `detector` back. `people` is None
    where faces are not to be blurred. `digest` names all that the rows are made from.
    """
    from okla_assets.imaging.photo import codec
    from okla_assets.imaging.plates import tracks

    looker = _Looker(frames, masks, store, detector, quick, people, meter)
    sightings = _sightings(looker)
    faces = looker.faces()

    def masked(numbered: "tuple[int, list[TrackedPlate]]") -> tuple[PhotoPlates, bytes]:
        i, spots = numbered
        copy = store.get(frames[i].work_key)
        quads = [as_quad(spot.quad) for spot in spots]
        own = digest_of("frame-plates", digest, frames[i].number)
        row = PhotoPlates(
            number=frames[i].number,
            plates=_found(spots, looker.boxes(i)),
            faces=tuple(faces[i]),
            masked_key=keys.work_file(vehicle, "frame_plates", own, "jpg"),
            digest=own,
        )
        shown = codec.decode_trusted(copy)
        picture = masked_copy(copy, shown, quads, masking, faces[i])
        advance(f"frame {row.number}")
        return row, picture

    made = mapped(enumerate(tracks.follow(sightings, looker.turned)), masked, "masking")
    return [row for row, _ in made], {row.masked_key: picture for row, picture in made}


def _sightings(looker: _Looker) -> "list[list[TrackedPlate] | None]":
    from okla_assets.imaging.plates import tracks

    turned = looker.turned
    count = len(turned)
    sightings: list[list[TrackedPlate] | None] = [None] * count

    def look_well(at: Sequence[int]) -> None:
        for i, spots in zip(at, looker.look(at, looker.detector), strict=True):
            sightings[i] = spots

    look_well(_looked_at_first(turned))
    look_well(tracks.undecided(sightings, turned))
    tracked = tracks.follow(sightings, turned)
    between = [i for i in range(count) if sightings[i] is None]
    unknown = []
    for i, seen in zip(between, looker.look(between, looker.quick), strict=True):
        known = [tracks.matched(spot, tracked[i]) for spot in seen]
        if any(track is None for track in known):
            unknown.append(i)
        elif seen:
            photo = looker.picture(i)
            sightings[i] = [
                tracks.fitted(photo, track, spot)
                for spot, track in zip(seen, known, strict=True)
                if track is not None
            ]
        else:
            sightings[i] = []
    look_well(unknown)
    return sightings


def _looked_at_first(turned: Sequence[float]) -> list[int]:
    """Every other frame, and those between that lie too far from their neighbours."""
    looked = [0]
    for i in range(1, len(turned)):
        last = i + 1 == len(turned)
        if last or looked[-1] != i - 1 or abs(turned[i + 1] - turned[i - 1]) > LOOKS_APART:
            looked.append(i)
    return looked


def _found(spots: "Sequence[TrackedPlate]", boxes: Sequence[Box]) -> tuple[FoundPlate, ...]:
    from okla_assets.imaging import plates

    return tuple(
        FoundPlate(
            quad=geometry.round_quad(as_quad(spot.quad)),
            confidence=round(min(1.0, spot.score), 4),
            vehicle=carrier(plates.owner(plates.quad_box(spot.quad), boxes)),
        )
        for spot in sorted(spots, key=lambda spot: -spot.score)
    )
