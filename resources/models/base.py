"""The roles a profile fills, as small Protocols; one file a model implements them.

Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1], boxes (x, y, w, h) in pixels of
the picture they were found on. Every call takes a batch, so that a GPU sibling can use one.
A model whose weights are missing raises `resources.weights.WeightsMissing`; none ever answers
with a made-up result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from okla_assets.imaging.types import Alpha, Angle, Box, Category, Quad, Rgb, Side


@dataclass(frozen=True)
class Detection:
    """One vehicle found on a photo: box in pixels, score in [0, 1].

    `kind` is "vehicle", or the name of something else that may stand before one. `other_vehicle`
    tells a bus, lorry or van from a car, where the detector can.
    """

    box: Box
    score: float
    kind: str = "vehicle"
    other_vehicle: bool = False


@dataclass(frozen=True)
class Subject:
    """The vehicle to cut out: its box, those of other vehicles, and what may stand before it.

    `objects` are names and boxes, such as ("person", (x, y, w, h)).
    """

    box: Box
    others: tuple[Box, ...] = ()
    objects: tuple[tuple[str, Box], ...] = ()

    @classmethod
    def among(cls, found: Sequence[Detection], main: int) -> Subject:
        """The vehicle number `main` of those found, and the rest of what was found."""
        vehicles = vehicles_of(found)
        return cls(
            vehicles[main].box,
            tuple(d.box for n, d in enumerate(vehicles) if n != main),
            tuple((d.kind, d.box) for d in found if d.kind != "vehicle"),
        )


@dataclass(frozen=True)
class Matte:
    """The cut-out of one vehicle.

    `alpha` has the photo's size. `agreement` in [0, 1] is that of two independent networks on the
    silhouette; None where only one was used. `obstructed` says what stands before the
    vehicle, where something does; `part_missing` what of the vehicle the alpha lacks. `mirrors` is
    how many door mirrors stick out, in views from front or rear.
    """

    alpha: Alpha
    agreement: float | None
    obstructed: str | None = None
    part_missing: str | None = None
    mirrors: int | None = None


@dataclass(frozen=True)
class View:
    """What a photo shows. The angle fields are None unless the photo is an exterior with a box."""

    category: Category
    category_confidence: float
    angle: Angle | None = None
    angle_confidence: float | None = None
    side: Side | None = None
    azimuth_deg: float | None = None


@dataclass(frozen=True)
class PlateFound:
    """One candidate for a licence plate.

    `quad` follows the plate, from its own top left corner clockwise; `box` encloses what all
    networks detected of it. `score` in [0, 1] is the probability of a plate, `agreement` the lowest
    score that a network gave it (the score itself where there is only one network).
    """

    quad: Quad
    box: Box
    score: float
    agreement: float


@dataclass(frozen=True)
class FaceFound:
    """A person's face: box from forehead to chin, score in [0, 1]."""

    box: Box
    score: float


@dataclass(frozen=True)
class ModelInfo:
    """One set of weights, for the listing: what it does, its name, digest and licence."""

    role: str
    name: str
    sha256: str | None
    licence: str


@runtime_checkable
class Model(Protocol):
    """What every role has in common."""

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...

    def models(self) -> tuple[ModelInfo, ...]:
        """The weights that it loads, for the listing."""
        ...


@runtime_checkable
class VehicleDetector(Model, Protocol):
    """Finds cars, buses and trucks."""

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        """All vehicles on each photo, best score first; then what else may stand before one."""
        ...


def vehicles_of(found: Sequence[Detection]) -> list[Detection]:
    """The vehicles among what a detector found."""
    return [detection for detection in found if detection.kind == "vehicle"]


@runtime_checkable
class Segmenter(Model, Protocol):
    """Cuts one boxed vehicle out of its photo."""

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        """One matte a photo, for the vehicle in its subject's box."""
        ...


@runtime_checkable
class TurnSegmenter(Model, Protocol):
    """Cuts one vehicle out of the frames of a turn around it."""

    def segment_turn(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        """One matte a frame, in the order of the turn, steady from frame to frame."""
        ...


@runtime_checkable
class ViewClassifier(Model, Protocol):
    """Classifies category, angle, side and azimuth."""

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        """One view a photo; `boxes` holds each one's main vehicle, or None."""
        ...


@runtime_checkable
class PlateDetector(Model, Protocol):
    """Detects licence plates with high recall; `imaging.plates.accept_plate` decides."""

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        """All candidates on each photo, best first.

        `vehicles` holds each photo's vehicle boxes, the main one first, whose crop a detector may
        search again. `known` holds, where it is given, each photo's plates that are known already:
        a detector need not look closer at what it finds there.
        """
        ...


@runtime_checkable
class FaceDetector(Model, Protocol):
    """Detects people's faces, and nothing else: what it finds is blurred."""

    def detect(self, photos: Sequence[Rgb]) -> list[list[FaceFound]]:
        """All faces on each photo, best score first."""
        ...


@runtime_checkable
class TextReader(Model, Protocol):
    """Reads one line of text."""

    def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        """Text and mean confidence of its characters, of each strip."""
        ...
