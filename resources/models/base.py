"""The roles a profile fills, as small Protocols; one file a model implements them.

Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1], boxes (x, y, w, h) in pixels of
the picture they were found on. Every call takes a batch, so that a GPU sibling can use one.
A model whose weights are missing raises `resources.weights.WeightsMissing`; none ever answers
with a made-up result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from okla_assets.imaging.types import Alpha, Angle, Box, Category, Quad, Rgb, Side


@dataclass(frozen=True)
class Detection:
    """One vehicle found on a photo: box in pixels, score in [0, 1]."""

    box: Box
    score: float


@dataclass(frozen=True)
class Matte:
    """The cut-out of one vehicle.

    `alpha` has the photo's size. `agreement` in [0, 1] says how far two independent networks agree
    on the silhouette; None where only one was asked.
    """

    alpha: Alpha
    agreement: float | None


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
    """One place that may be a plate.

    `quad` follows the plate, from its own top left corner clockwise; `box` is all that any network
    saw of it. `score` in [0, 1] says that it is a plate, `agreement` what the least convinced
    network gives it (the score itself where there is only one network).
    """

    quad: Quad
    box: Box
    score: float
    agreement: float


@dataclass(frozen=True)
class ModelInfo:
    """One set of weights, for the listing: what it does, its name, digest and licence."""

    role: str
    name: str
    sha256: str | None
    licence: str


@runtime_checkable
class VehicleDetector(Protocol):
    """Finds cars, buses and trucks."""

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        """All vehicles on each photo, best score first."""
        ...

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...

    def models(self) -> tuple[ModelInfo, ...]:
        """The weights it uses."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Cuts one boxed vehicle out of its photo."""

    def segment(self, photos: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        """One matte a photo, for the vehicle in its box."""
        ...

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...

    def models(self) -> tuple[ModelInfo, ...]:
        """The weights it uses."""
        ...


@runtime_checkable
class TurnSegmenter(Protocol):
    """Cuts one vehicle out of the frames of a turn around it."""

    def segment_turn(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        """One matte a frame, in the order of the turn, steady from frame to frame."""
        ...

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...

    def models(self) -> tuple[ModelInfo, ...]:
        """The weights it uses."""
        ...


@runtime_checkable
class ViewClassifier(Protocol):
    """Names category, angle, side and azimuth."""

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        """One view a photo; `boxes` holds the main vehicle's box or None."""
        ...

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...

    def models(self) -> tuple[ModelInfo, ...]:
        """The weights it uses."""
        ...


@runtime_checkable
class PlateDetector(Protocol):
    """Finds licence plates. It answers generously; `imaging.plates.accept_plate` decides."""

    def detect(
        self, photos: Sequence[Rgb], vehicles: Sequence[Sequence[Box]]
    ) -> list[list[PlateFound]]:
        """All candidates on each photo, best first.

        `vehicles` holds each photo's vehicle boxes, the main one first; a detector may look again
        at its crop.
        """
        ...

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...

    def models(self) -> tuple[ModelInfo, ...]:
        """The weights it uses."""
        ...


@runtime_checkable
class TextReader(Protocol):
    """Reads one line of text."""

    def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        """Text and mean confidence of its characters, of each strip."""
        ...

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...

    def models(self) -> tuple[ModelInfo, ...]:
        """The weights it uses."""
        ...
