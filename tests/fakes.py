"""Stand-ins for the models, and a pipeline that runs on them.

They see only what `tests/pictures.py` paints, always answer the same, and need no weights.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import dagster as dg
import numpy as np
import numpy.typing as npt
from typing_extensions import TypeVar

from okla_assets import keys
from okla_assets.contract import Listing, ListingPhoto
from okla_assets.definitions import build_definitions
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.types import Box, Quad, Rgb
from okla_assets.vehicle_runs import vehicle_media, vehicles
from resources.decoding.photo_decoder import PhotoDecoder
from resources.decoding.promo_encoder import PromoEncoder
from resources.decoding.video_reader import MomentInfo, VideoReader
from resources.models.base import (
    Detection,
    FaceFound,
    Matte,
    ModelInfo,
    PlateFound,
    Subject,
    View,
)
from resources.storage.media_store import LocalMediaStore, MediaStore, ObjectInfo

if TYPE_CHECKING:
    from okla_assets.imaging.photo.decode import DecodedPhoto
    from okla_assets.imaging.turn.video import Moment

VEHICLE = keys.parse_vehicle_id("1HGCM82633A004352")


@dataclass
class FakeDetector:
    """Finds the saturated blob."""

    version: str = "1"
    asked: int = 0
    other_vehicle: bool = False

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        self.asked += len(photos)
        return [
            [replace(one, other_vehicle=self.other_vehicle) for one in _blob(photo)]
            for photo in photos
        ]

    def fingerprint(self) -> str:
        return f"fake-detector:{self.version}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("vehicle detector", "blob", "0" * 64, "none"),)


@dataclass
class FakeSegmenter:
    """Cuts the ellipse that fits the box; doubts green ones."""

    asked: int = 0

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        self.asked += len(photos)
        return [_ellipse(photo, s.box) for photo, s in zip(photos, subjects, strict=True)]

    def fingerprint(self) -> str:
        return "fake-segmenter:1"

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("matte", "ellipse", None, "none"),)


@dataclass
class FakeTurnSegmenter(FakeSegmenter):
    """The same, for frames."""

    def segment_turn(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        return self.segment(frames, [Subject(box) for box in boxes])


@dataclass
class FakeViews:
    """Exterior where there is a car, else interior in the dark and misc in the light."""

    asked: int = 0

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        self.asked += len(photos)
        return [_view(photo, box) for photo, box in zip(photos, boxes, strict=True)]

    def fingerprint(self) -> str:
        return "fake-views:1"

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("views", "brightness", "1" * 64, "none"),)


@dataclass
class FakePlates:
    """Finds the plate that `pictures.plated_car` paints; `blind_for` photos it sees none."""

    version: str = "1"
    asked: int = 0
    blind_for: int = 0

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        found = []
        for photo in photos:
            self.asked += 1
            found.append([] if self.asked <= self.blind_for else _plates(photo))
        return found

    def fingerprint(self) -> str:
        return f"fake-plates:{self.version}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("licence plates", "yellow", "2" * 64, "none"),)


@dataclass
class FakeFaces:
    """Finds the face that `pictures.with_face` paints."""

    asked: int = 0

    def detect(self, photos: Sequence[Rgb]) -> list[list[FaceFound]]:
        self.asked += len(photos)
        return [_faces(photo) for photo in photos]

    def fingerprint(self) -> str:
        return "fake-faces:1"

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("faces", "skin", "3" * 64, "none"),)


@dataclass
class FakeReader:
    """Reads a registration where there is ink on yellow."""

    asked: int = 0

    def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        self.asked += len(strips)
        return [("AB 1234", 0.9) if _inked(strip) else ("", 0.0) for strip in strips]

    def fingerprint(self) -> str:
        return "fake-reader:1"

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("text reader", "yellow", None, "none"),)


class QuickDecoder(PhotoDecoder):
    """The real decoding, but in this process: no worker to start."""

    def decode(self, data: bytes, working_side: int) -> "DecodedPhoto":
        from okla_assets.imaging.photo.decode import DecodeLimits, decode

        return decode(data, DecodeLimits(), working_side)

    def decode_all(
        self, items: Iterable[tuple[Any, Callable[[], bytes]]], working_side: int
    ) -> "Generator[tuple[Any, DecodedPhoto | Refused], None, None]":
        for key, fetch in items:
            try:
                yield key, self.decode(fetch(), working_side)
            except Refused as refused:
                yield key, refused


@dataclass(frozen=True)
class ReadVideo:
    """A video read in this process."""

    kept: Sequence["Moment"]

    @property
    def moments(self) -> tuple[MomentInfo, ...]:
        return tuple(MomentInfo(moment.time, moment.sharpness) for moment in self.kept)

    def picture(self, index: int) -> Rgb:
        from okla_assets.imaging.photo.codec import decode_trusted

        return decode_trusted(self.kept[index].jpeg)


class QuickVideoReader(VideoReader):
    """The real reading, but in this process: no worker to start."""

    @contextmanager
    def open(self, path: Path, side: int) -> Iterator[ReadVideo]:
        from okla_assets.imaging.turn.video import read_moments

        yield ReadVideo(read_moments(path, self.limits(side)))


class Quiet:
    """Progress that nobody watches; it fails where a bar would pass its end."""

    title, left = "", 0

    def step(self, title: str, total: int) -> None:
        self.title, self.left = title, total

    def advance(self, what: str) -> None:
        self.left -= 1
        assert self.left >= 0, f"{self.title} has passed its end with {what}"


def fake_models() -> dict[str, object]:
    """The resources of a profile that have to be replaced to run without weights."""
    return {
        "detector": FakeDetector(),
        "segmenter": FakeSegmenter(),
        "views": FakeViews(),
        "turn_segmenter": FakeTurnSegmenter(),
        "plate_detector": FakePlates(),
        "quick_plate_detector": FakePlates(),
        "plate_reader": FakeReader(),
        "face_detector": FakeFaces(),
        "decoder": QuickDecoder(),
        "video_reader": QuickVideoReader(),
        "promo_encoder": PromoEncoder(short_side=90, fps=6),
    }


def finished_key(photo: ListingPhoto) -> str:
    """Where the finished picture is, of a photo that has one."""
    assert photo.processed_key is not None, photo.withheld
    return photo.processed_key


@dataclass(frozen=True)
class Outcome:
    """What one run left: metadata by asset, verdict by check, and the published listing."""

    success: bool
    listing: Listing
    metadata: Mapping[str, Mapping[str, Any]]
    checks: Mapping[str, bool]

    @property
    def computed(self) -> dict[str, int]:
        """How many results each asset had to make."""
        return {asset: found["computed"] for asset, found in self.metadata.items()}


StoreT = TypeVar("StoreT", bound=MediaStore, default=LocalMediaStore)


@dataclass
class Pipeline(Generic[StoreT]):
    """A media store and all assets on fake models."""

    store: StoreT
    instance: dg.DagsterInstance
    models: dict[str, object] = field(default_factory=fake_models)

    def upload(self, files: Mapping[str, bytes], vehicle: keys.VehicleId = VEHICLE) -> None:
        """Puts photos into the vehicle's upload folder."""
        for name, data in files.items():
            self.store.put(keys.raw_photos(vehicle) + name, data)

    def run(
        self,
        vehicle: keys.VehicleId = VEHICLE,
        tags: Mapping[str, str] = {},
        *,
        may_fail: bool = False,
    ) -> Outcome:
        """The vehicle's job, in this process; with `may_fail`, also one that ends in failure."""
        definitions = build_definitions(
            "local", **(self.models | {"store": self.store, "progress": Quiet()})
        )
        self.instance.add_dynamic_partitions(str(vehicles.name), [vehicle])
        result = definitions.resolve_job_def(vehicle_media.name).execute_in_process(
            partition_key=vehicle,
            instance=self.instance,
            tags=dict(tags),
            raise_on_error=not may_fail,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        metadata = {
            event.asset_key.to_user_string(): {
                name: value.value for name, value in event.materialization.metadata.items()
            }
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }
        checks = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
        listing = Listing.model_validate_json(self.store.get(keys.listing(vehicle)))
        return Outcome(result.success, listing, metadata, checks)

    def snapshot(self, vehicle: keys.VehicleId = VEHICLE) -> dict[str, tuple[bytes, ObjectInfo]]:
        """Everything a buyer may see, by key: bytes and facts."""
        return contents(self.store, keys.processed_folder(vehicle))


def contents(store: MediaStore, prefix: str) -> dict[str, tuple[bytes, ObjectInfo]]:
    """Bytes and facts of every object under a prefix."""
    return {info.key: (store.get(info.key), info) for info in store.list(prefix)}


def _blob(photo: Rgb) -> list[Detection]:
    saturated = np.ptp(photo.astype(np.int16), axis=2) > 90
    if saturated.sum() < 500:
        return []
    ys, xs = np.nonzero(saturated)
    x, y = float(xs.min()), float(ys.min())
    box = (x, y, float(xs.max()) - x + 1, float(ys.max()) - y + 1)
    return [Detection(box, 0.9)]


def _ellipse(photo: Rgb, box: Box) -> Matte:
    x, y, w, h = box
    rows, columns = np.mgrid[0 : photo.shape[0], 0 : photo.shape[1]]
    distance = np.hypot((columns - x - w / 2) / (w / 2), (rows - y - h / 2) / (h / 2))
    alpha: npt.NDArray[np.float32] = np.clip((1.02 - distance) * 25, 0, 1).astype(np.float32)
    red, green, _ = photo[alpha > 0.9].mean(axis=0)
    return Matte(alpha, 0.5 if green > red else 0.97)


def _view(photo: Rgb, box: Box | None) -> View:
    if box is None:
        return View("interior" if photo.mean() < 100 else "misc", 0.8)
    left = box[0] + box[2] / 2 < photo.shape[1] / 2
    return View("exterior", 0.95, "side", 0.9, "left" if left else "right", 90.0 if left else 270.0)


def yellow(photo: Rgb) -> npt.NDArray[np.bool_]:
    """Where a picture has the ground colour of `pictures.plated_car`'s plate."""
    red, green, blue = (photo[..., c].astype(int) for c in range(3))
    return (red > 180) & (green > 180) & (blue < 90)


def _inked(strip: Rgb) -> bool:
    return bool(yellow(strip).mean() > 0.3 and (strip.max(axis=2) < 110).mean() > 0.03)


def skin(photo: Rgb) -> npt.NDArray[np.bool_]:
    """Where a picture has the colour of the face of `pictures.with_face`, rims of cars left out."""
    import cv2

    red, green, blue = (photo[..., c].astype(int) for c in range(3))
    near = (np.abs(red - green - 45) < 15) & (np.abs(red - blue - 70) < 18)
    solid = cv2.morphologyEx(
        (near & (red > 190)).astype(np.uint8), cv2.MORPH_OPEN, np.ones((4, 4), np.uint8)
    )
    return solid > 0


def _faces(photo: Rgb) -> list[FaceFound]:
    """One face at most: the box around all that is skin."""
    rows, columns = np.nonzero(skin(photo))
    if len(rows) < 60:
        return []
    x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return [FaceFound((float(x0), float(y0), float(x1 - x0), float(y1 - y0)), 0.9)]


def _plates(photo: Rgb) -> list[PlateFound]:
    """One plate at most: the box around all that is yellow."""
    rows, columns = np.nonzero(yellow(photo))
    if len(rows) < 20:
        return []
    x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    box = (float(x0), float(y0), float(x1 - x0), float(y1 - y0))
    x, y, w, h = box
    return [PlateFound(((x, y), (x + w, y), (x + w, y + h), (x, y + h)), box, 0.95, 0.9)]
