"""What a turn is made of: frames of the video, photos in the gaps that these leave, or photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.types import Quad
from okla_assets.steps.batches import Pictures, joined
from okla_assets.tables import (
    Classifications,
    Composites,
    LicensePlates,
    Mask,
    Masks,
    PhotoPlates,
    SpinFrames,
    WalkaroundFrames,
)


@dataclass(frozen=True)
class SpinPicture:
    """One picture that the turn is made of: its number, its copy without plates and its matte.

    `plates` are the vehicle's own, where they were covered on that copy. `correction` is what the
    finished photo was corrected by; frames have none of their own.
    """

    kind: Literal["photo", "frame"]
    number: int
    azimuth: float
    picture_key: str
    matte_key: str
    plates: tuple[Quad, ...]
    digests: tuple[str, str]
    correction: Correction | None = None

    @classmethod
    def of(
        cls,
        kind: Literal["photo", "frame"],
        azimuth: float,
        mask: Mask,
        plates: PhotoPlates,
        correction: Correction | None = None,
    ) -> "SpinPicture":
        """The picture of these rows, whose vehicle was cut out."""
        assert mask.matte_key is not None
        own = tuple(plate.quad for plate in plates.plates if plate.vehicle == "main")
        digests = mask.digest, plates.digest
        copy, matte = plates.masked_key, mask.matte_key
        return cls(kind, mask.number, azimuth, copy, matte, own, digests, correction)

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Two equal fingerprints are finished alike."""
        return self.kind, self.number, self.azimuth, self.digests, self.correction


@dataclass(frozen=True)
class SpinPictures:
    """Pictures in the order of the turn; empty with the reason why."""

    made_from: Literal["video", "photos"] | None
    rows: tuple[SpinPicture, ...]
    reason: str | None


def choose_pictures(
    frames: WalkaroundFrames,
    masks: Masks,
    classifications: Classifications,
    plates: LicensePlates,
    composites: Composites,
    left_out: Pictures = frozenset(),
) -> SpinPictures:
    """The video's frames where they make a turn, else the studio photos where they do."""
    photos, scores = _photos(masks, classifications, plates, composites, left_out)
    video = _frames_around(frames, masks, plates, photos, left_out)
    if video.rows:
        return video
    found = _photos_around(photos, scores)
    if found.rows:
        return found
    return SpinPictures(None, (), f"{video.reason}; {found.reason}")


def _frames_around(
    frames: WalkaroundFrames,
    masks: Masks,
    plates: LicensePlates,
    photos: Sequence[SpinPicture],
    left_out: Pictures,
) -> SpinPictures:
    """The frames that were cut out, and a photo where they leave a gap that one lies in."""
    from okla_assets.imaging.turn import spin

    if frames.direction is None:
        return SpinPictures(None, (), frames.reason)
    if problem := masks.turn_problem or plates.turn_problem:
        return SpinPictures(None, (), problem)
    rows = [
        SpinPicture.of("frame", frame.azimuth_deg, mask, plate)
        for frame, mask, plate in zip(frames.frames, masks.frames, plates.frames, strict=True)
        if mask.status == "cut" and mask.matte_key and ("frame", frame.number) not in left_out
    ]
    count = len(rows)
    if rows:
        order = spin.turn_order([row.azimuth for row in rows], frames.direction)
        rows = [rows[i] for i in order]
        filling = spin.fillers([row.azimuth for row in rows], [photo.azimuth for photo in photos])
        rows += [photos[i] for i in filling]
        first = spin.first_of([row.azimuth for row in rows])
        rows.sort(key=lambda row: (row.azimuth - first) % 360)
        if count >= spin.FEWEST and spin.closes([row.azimuth for row in rows]):
            return SpinPictures("video", tuple(rows), None)
    return SpinPictures(None, (), spin.why_not("frames of the video", count))


def _photos(
    masks: Masks,
    classifications: Classifications,
    plates: LicensePlates,
    composites: Composites,
    left_out: Pictures,
) -> tuple[list[SpinPicture], list[float]]:
    """The studio photos that a turn may be made of, and how good each is."""
    rows: list[SpinPicture] = []
    scores: list[float] = []
    for mask, view, plate, finished in joined(
        masks.rows, classifications.rows, plates.rows, composites.rows
    ):
        if finished.treatment != "studio" or finished.withheld or mask.matte_key is None:
            continue
        if finished.covered_late:  # the masked copy, which the spin is made of, still shows it
            continue
        if view.azimuth_deg is None or ("photo", mask.number) in left_out:
            continue
        rows.append(SpinPicture.of("photo", view.azimuth_deg, mask, plate, finished.correction))
        scores.append(view.quality.score + (view.angle_confidence or 0.0))
    return rows, scores


def _photos_around(photos: Sequence[SpinPicture], scores: Sequence[float]) -> SpinPictures:
    from okla_assets.imaging.turn import spin

    order = spin.round_the_vehicle([row.azimuth for row in photos], scores)
    if order:
        return SpinPictures("photos", tuple(photos[i] for i in order), None)
    return SpinPictures(None, (), spin.why_not("photos", len(photos)))


def pictures_of(
    spin: SpinFrames, masks: Masks, plates: LicensePlates, composites: Composites
) -> tuple[SpinPicture, ...]:
    """What a finished spin was made of, in its order; empty where that is no longer known."""
    found: list[SpinPicture] = []
    corrections = {row.number: row.correction for row in composites.rows}
    for frame in spin.frames:
        kind: Literal["photo", "frame"] = "photo" if frame.from_photo else "frame"
        of = (masks.rows, plates.rows) if frame.from_photo else (masks.frames, plates.frames)
        mask = next((row for row in of[0] if row.number == frame.source), None)
        plate = next((row for row in of[1] if row.number == frame.source), None)
        if mask is None or plate is None or mask.matte_key is None:
            return ()
        correction = corrections.get(frame.source) if frame.from_photo else None
        found.append(SpinPicture.of(kind, frame.azimuth_deg, mask, plate, correction))
    return tuple(found)
