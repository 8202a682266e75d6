"""The asset `hotspots` on hand-made tables: found, told by hand, kept off, and not done twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.assets.hotspots import hotspots
from okla_assets.imaging import hotspots as matching
from okla_assets.imaging.photo import codec
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.placement import extent, place
from okla_assets.imaging.studio.studio import Look
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from okla_assets.imaging.types import Category, Corners
from okla_assets.options import PictureOptions, StudioOptions, hotspot_problems, read_options
from okla_assets.tables import (
    Classification,
    Classifications,
    Composite,
    Composites,
    Hotspots,
    LicensePlates,
    Mask,
    Masks,
    MaskStatus,
    Photo,
    PhotoPlates,
    Quality,
    RawPhotos,
    SpinFrame,
    SpinFrames,
)
from resources.storage.media_store import LocalMediaStore
from tests.fakes import VEHICLE, Quiet
from tests.imaging.test_hotspots import HEIGHT, WIDTH, Rgb, taken, vehicle

NO_SPIN = SpinFrames(
    made_from=None, frames=(), width=0, height=0, gaps=(), reason="no video", seconds=0
)


@dataclass
class Vehicle:
    """A vehicle's tables, a photo at a time; the first exterior is at twice the working size."""

    store: LocalMediaStore
    options: StudioOptions = field(default_factory=StudioOptions)
    photos: list[Photo] = field(default_factory=list)
    masks: list[Mask] = field(default_factory=list)
    views: list[Classification] = field(default_factory=list)
    plates: list[PhotoPlates] = field(default_factory=list)
    composites: list[Composite] = field(default_factory=list)
    spin: SpinFrames = NO_SPIN
    frame_masks: list[Mask] = field(default_factory=list)
    frame_plates: list[PhotoPlates] = field(default_factory=list)

    def add(
        self,
        name: str,
        picture: Rgb,
        category: Category,
        status: MaskStatus,
        withheld: str | None = None,
    ) -> None:
        number = len(self.photos) + 1
        digest = f"{number:02d}" * 32  # the first half names files
        copy = keys.work_file(VEHICLE, "plates", digest, "jpg")
        self.store.put(copy, codec.encode_jpeg(picture, 95))
        matte_key = None
        if status == "cut":
            matte_key = keys.work_file(VEHICLE, "masks", digest, "png")
            grey = (vehicle()[1] * 255).astype(np.uint8)
            self.store.put(matte_key, codec.encode_png(grey))
        self.photos.append(
            Photo(
                number=number,
                source_key=keys.raw_photos(VEHICLE) + name,
                source_sha256=digest,
                width=2 * picture.shape[1],
                height=2 * picture.shape[0],
                working_width=picture.shape[1],
                format="JPEG",
                notes=(),
                digest=digest,
                work_key="private/nobody-may-read-this.jpg",
                perceptual_hash="0" * 64,
                duplicate_of=None,
                exact_duplicate=False,
            )
        )
        self.masks.append(
            Mask.model_validate(
                {
                    "number": number,
                    "status": status,
                    "vehicle_box": None,
                    "vehicle_score": None,
                    "matte_key": matte_key,
                    "agreement": None,
                    "digest": digest,
                }
            )
        )
        self.views.append(
            Classification(
                number=number,
                category=category,
                category_confidence=0.9,
                angle="front" if category == "exterior" else None,
                angle_confidence=0.9 if category == "exterior" else None,
                side=None,
                azimuth_deg=0 if category == "exterior" else None,
                quality=Quality(score=80, issues=()),
            )
        )
        self.plates.append(PhotoPlates(number=number, plates=(), masked_key=copy, digest=digest))
        self.composites.append(
            Composite(
                number=number,
                treatment="studio" if status == "cut" and category == "exterior" else "enhanced",
                reason=None,
                processed_key=None if withheld else f"processed/{number}.jpg",
                thumbnail_key=None if withheld else f"processed/{number}_thumb.jpg",
                mask_key=None,
                before_key=None,
                source_box=(0, 0, 1, 1),  # of studio pictures, `run` says
                plates_checked=True,
                withheld=withheld,
            )
        )

    def pixels(self, number: int) -> Rgb:
        """The working copy of a photo."""
        (key,) = [row.masked_key for row in self.plates if row.number == number]
        return codec.decode_trusted(self.store.get(key))

    def turn_of(self, number: int) -> None:
        """A spin of two frames, the second one made of this photo."""
        picture, alpha = vehicle()
        placement = place(extent(alpha), 720, 4 / 3)
        blank = np.full((placement.height, placement.width, 3), 230, np.uint8)
        made = studio.compose(picture, alpha, placement, None, Look(WHITE_STUDIO, None))
        frames = []
        for position, (source, pixels) in enumerate(((99, blank), (number, made))):
            key = keys.spin_frame(VEHICLE, position + 1)
            self.store.put(key, codec.encode_jpeg(pixels, 92))
            frames.append(SpinFrame(key=key, azimuth_deg=0, source=source, from_photo=True))
        self.spin = SpinFrames(
            made_from="photos",
            frames=tuple(frames),
            width=placement.width,
            height=placement.height,
            gaps=(180, 180),
            reason=None,
        )

    def filmed(self, azimuths: Sequence[float], seed: int = 1) -> None:
        """A turn of frames from these azimuths, each of which shows the made vehicle alike."""
        picture, alpha = vehicle(seed)
        placement = place(extent(alpha), 720, 4 / 3)
        matte, copy = (keys.work_file(VEHICLE, "turn", "a" * 64, end) for end in ("png", "jpg"))
        self.store.put(matte, codec.encode_png((alpha * 255).astype(np.uint8)))
        self.store.put(copy, codec.encode_jpeg(picture, 95))
        frames = []
        for position, azimuth in enumerate(azimuths):
            key = keys.spin_frame(VEHICLE, position + 1)
            self.store.put(key, codec.encode_jpeg(picture, 90))
            number = position + 10
            move = placement.scale, float(placement.left), float(placement.top)
            frames.append(SpinFrame(key=key, azimuth_deg=azimuth, source=number, move=move))
            self.frame_masks.append(
                Mask(
                    number=number, status="cut", vehicle_box=None, vehicle_score=None,
                    matte_key=matte, agreement=None, digest="a" * 64,
                )
            )  # fmt: skip
            self.frame_plates.append(
                PhotoPlates(number=number, plates=(), masked_key=copy, digest="a" * 64)
            )
        self.spin = SpinFrames(
            made_from="video", frames=tuple(frames), width=placement.width,
            height=placement.height, gaps=(180,) * len(frames), reason=None,
        )  # fmt: skip

    def _put(self, row: Composite) -> Composite:
        """The row with its place in the studio."""
        if row.treatment != "studio":
            return row
        picture, alpha = vehicle()
        placement = place(extent(alpha), self.options.max_width, 4 / 3)
        return row.model_copy(update={"source_box": placement.box_of(picture)})

    def run(self) -> tuple[Hotspots, int]:
        """The asset's table, and how many close-ups it had to look at."""
        result = hotspots(
            context=dg.build_asset_context(partition_key=VEHICLE),
            raw_photos=RawPhotos(
                vehicle_id=VEHICLE,
                options=self.options,
                problems=(),
                photos=tuple(self.photos),
                refused=(),
            ),
            masks=Masks(rows=tuple(self.masks), frames=tuple(self.frame_masks)),
            classifications=Classifications(rows=tuple(self.views)),
            license_plates=LicensePlates(
                style="fill", rows=tuple(self.plates), frames=tuple(self.frame_plates)
            ),
            composites=Composites(rows=tuple(self._put(row) for row in self.composites)),
            spin_frames=self.spin,
            store=self.store,
            progress=Quiet(),
        )
        assert isinstance(result, dg.MaterializeResult)
        assert isinstance(result.value, Hotspots)
        assert result.metadata is not None
        computed = result.metadata["computed"]
        assert isinstance(computed, dg.IntMetadataValue)
        assert computed.value is not None
        return result.value, computed.value


def on_finished(x: float, y: float) -> tuple[float, float]:
    """Where a point of the made vehicle's photo, in pixels, lies on its finished picture."""
    on_canvas = place(extent(vehicle()[1]), 1600, 4 / 3)
    return (
        (x * on_canvas.scale + on_canvas.left) / on_canvas.width,
        (y * on_canvas.scale + on_canvas.top) / on_canvas.height,
    )


@pytest.fixture
def car(store: LocalMediaStore) -> Vehicle:
    """An exterior, and a close-up of its middle right."""
    made = Vehicle(store)
    picture, _ = vehicle()
    made.add("front.jpg", picture, "exterior", "cut")
    made.add("badge.jpg", taken(picture, 500, 320, zoom=2.5, turn=5, light=1.2), "misc", "cropped")
    return made


def test_a_close_up_is_placed_on_the_finished_picture(car: Vehicle) -> None:
    table, _ = car.run()
    (spot,) = table.spots
    assert (spot.photo, spot.on_photo, spot.on_frame, spot.by_hand) == (2, 1, None, False)
    assert (spot.x, spot.y) == pytest.approx(on_finished(500, 320), abs=0.005)
    assert spot.matches >= 14


def test_a_photo_that_was_turned_upright_is_looked_at_as_it_stands(car: Vehicle) -> None:
    levelled = Levelled(5, 0.5, 0.8)
    car.composites[0] = car.composites[0].model_copy(update={"levelled": levelled})
    on_its_side = {"width": car.photos[0].height, "height": car.photos[0].width}
    car.photos[0] = car.photos[0].model_copy(update=on_its_side)
    turned = {"turned": 90, "upright_key": car.plates[0].masked_key}
    car.masks[0] = car.masks[0].model_copy(update=turned)
    table, _ = car.run()
    (spot,) = table.spots
    x, y = levelled.moved(500 / WIDTH, 320 / HEIGHT, WIDTH / HEIGHT)
    assert (spot.x, spot.y) == pytest.approx(on_finished(x * WIDTH, y * HEIGHT), abs=0.005)


def test_a_second_run_computes_nothing(car: Vehicle) -> None:
    first, computed = car.run()
    assert computed == 1
    assert car.run() == (first, 0)
    car.options = StudioOptions(max_width=800)
    assert car.run()[1] == 1


def test_a_close_up_of_nothing_stays_off_with_a_reason(car: Vehicle) -> None:
    stranger, _ = vehicle(9)
    close_up = taken(stranger, 400, 300, zoom=2.5, turn=0, light=1)
    car.add("other.jpg", close_up, "exterior", "no_vehicle")
    car.add("cabin.jpg", close_up, "interior", "no_vehicle")
    table, _ = car.run()
    assert [(row.number, len(row.spots)) for row in table.rows] == [(2, 1), (3, 0)]
    assert table.rows[0].reason is None
    assert table.rows[1].reason == "no exterior shows it for sure"


@pytest.mark.parametrize("alone", [False, True])
def test_a_close_up_that_cannot_be_looked_at_costs_only_itself(
    car: Vehicle, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    picture, _ = vehicle()
    car.add("bad.jpg", taken(picture, 300, 300, zoom=2, turn=0, light=1), "misc", "cropped")
    features, poisoned = matching.close_up_features, car.pixels(3)
    if alone:
        car.photos[1] = car.photos[1].model_copy(update={"duplicate_of": 1})

    def failing(shown: Rgb, quads: Sequence[Corners] = ()) -> matching.Features:
        if np.array_equal(shown, poisoned):
            raise RuntimeError("cannot be matched")
        return features(shown, quads)

    monkeypatch.setattr(matching, "close_up_features", failing)
    table, _ = car.run()
    assert [(row.number, len(row.spots)) for row in table.rows] == ([] if alone else [(2, 1)])
    (failed,) = table.failed
    assert (failed.number, failed.detail) == (3, "RuntimeError: cannot be matched")


def test_a_view_that_cannot_be_looked_at_costs_no_close_up_its_place_on_another(
    car: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = vehicle(9)
    car.add("bad.jpg", other, "exterior", "cut")
    features, poisoned = matching.view_features, car.pixels(3)

    def failing(shown: Rgb, *more: Any, **named: Any) -> matching.Features:
        if np.array_equal(shown, poisoned):
            raise RuntimeError("cannot be matched")
        return features(shown, *more, **named)

    monkeypatch.setattr(matching, "view_features", failing)
    table, _ = car.run()
    assert [(spot.photo, spot.on_photo) for spot in table.spots] == [(2, 1)]
    assert [failed.number for failed in table.failed] == [3]


def test_it_is_on_the_spin_frame_made_of_that_photo(car: Vehicle) -> None:
    car.turn_of(1)
    table, _ = car.run()
    on_photo, on_frame = table.spots
    assert on_photo.on_photo == 1
    assert (on_frame.on_photo, on_frame.on_frame) == (None, 1)
    assert (on_frame.x, on_frame.y) == pytest.approx((on_photo.x, on_photo.y), abs=0.01)


@pytest.mark.slow
def test_it_is_carried_along_a_turn_that_was_filmed(car: Vehicle) -> None:
    """Found on a frame from the side, shown on its neighbours, not on the far side."""
    car.filmed([90, 98, 106, 270])
    table, _ = car.run()
    on_photo, *on_frames = table.spots
    assert on_photo.on_photo == 1
    assert [spot.on_frame for spot in on_frames] == [0, 1, 2]
    for spot in on_frames:
        assert (spot.x, spot.y) == pytest.approx(on_finished(500, 320), abs=0.05)


def test_a_filmed_turn_of_another_car_has_no_place(store: LocalMediaStore) -> None:
    made = Vehicle(store)
    close_up = taken(vehicle(9)[0], 400, 300, zoom=2.5, turn=0, light=1)
    made.add("other.jpg", close_up, "misc", "no_vehicle")
    made.filmed([90, 98, 106])
    table, _ = made.run()
    assert table.spots == ()


def test_the_owners_place_is_carried_too(car: Vehicle) -> None:
    car.filmed([0, 10])
    car.options = by_hand()
    table, _ = car.run()
    assert [spot.on_frame for spot in table.spots if spot.by_hand][1:] == [0, 1]


def by_hand(**changed: object) -> StudioOptions:
    spot = {"photo": "badge.jpg", "on": "front.jpg", "x": 0.25, "y": 0.5} | changed
    return StudioOptions.model_validate({"hotspots": [spot]})


def test_the_owners_word_comes_before_what_is_found(car: Vehicle) -> None:
    car.options = by_hand()
    (spot,) = car.run()[0].spots
    assert (spot.on_photo, spot.by_hand, spot.matches) == (1, True, 0)
    assert (spot.x, spot.y) == pytest.approx(on_finished(WIDTH / 4, HEIGHT / 2), abs=0.001)


def test_any_photo_can_be_placed_by_hand_with_finding_switched_off(car: Vehicle) -> None:
    car.add("cabin.jpg", vehicle(9)[0], "interior", "no_vehicle")
    told = by_hand(photo="cabin.jpg").model_copy(update={"auto_hotspots": False})
    car.options = told
    table, _ = car.run()
    assert [row.number for row in table.rows] == [3]
    assert table.spots[0].by_hand
    car.options = StudioOptions(auto_hotspots=False)
    assert car.run()[0].rows == ()


def test_a_place_on_a_photo_that_comes_later_is_shown_then(car: Vehicle) -> None:
    car.options = by_hand(on="cabin.jpg")
    table, _ = car.run()
    assert table.rows[0].spots == ()
    car.add("cabin.jpg", vehicle(9)[0], "interior", "no_vehicle")
    table, _ = car.run()
    (spot,) = table.rows[0].spots
    assert (spot.on_photo, spot.by_hand) == (3, True)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (by_hand(on="lost.jpg"), "options.json places it on 'lost.jpg', which cannot be used"),
        (by_hand(on="badge.jpg"), "options.json places it on 'badge.jpg', which cannot be used"),
        (by_hand(on="kept.jpg"), "options.json places it on 'kept.jpg', which is kept back"),
    ],
)
def test_a_place_that_cannot_be_used_is_said(
    car: Vehicle, told: StudioOptions, reason: str
) -> None:
    car.add("kept.jpg", vehicle()[0], "exterior", "cut", withheld="shows a plate")
    car.options = told
    row = car.run()[0].rows[0]
    assert (row.spots, row.reason) == ((), reason)


def test_nothing_leads_to_or_stands_on_a_picture_that_is_kept_back(store: LocalMediaStore) -> None:
    picture, _ = vehicle()
    close_up = taken(picture, 500, 320, zoom=2.5, turn=5, light=1.2)
    car = Vehicle(store)
    car.add("front.jpg", picture, "exterior", "cut", withheld="shows a plate")
    car.add("badge.jpg", close_up, "misc", "cropped")
    car.add("shown.jpg", picture, "exterior", "cut")
    car.add("again.jpg", close_up, "misc", "cropped", withheld="shows a plate")
    table, _ = car.run()
    assert [(spot.photo, spot.on_photo) for spot in table.spots] == [(2, 3)]
    assert table.rows[1].reason == "the close-up is kept back itself"


def test_a_name_nobody_uploaded_is_a_problem_of_the_options(car: Vehicle) -> None:
    assert list(hotspot_problems(by_hand(), {photo.name for photo in car.photos})) == []
    (problem,) = hotspot_problems(by_hand(on="lost.jpg"), {photo.name for photo in car.photos})
    assert problem.startswith("options.json: hotspots.0.on: ")
    assert "'lost.jpg'" in problem
    (problem,) = hotspot_problems(by_hand(on="badge.jpg"), {photo.name for photo in car.photos})
    assert "on itself" in problem


def test_two_bad_hotspots_cost_no_other_option(store: LocalMediaStore) -> None:
    store.put(
        keys.options(VEHICLE),
        b'{"max_width": 800, "hotspots": [{"photo": "a.jpg"}, {"photo": "b.jpg", "x": 7}]}',
    )
    options, problems = read_options(VEHICLE, store)
    assert options == StudioOptions(max_width=800)
    assert any("hotspots.1.x" in problem for problem in problems)


def test_hotspots_do_not_make_finished_pictures_anew() -> None:
    assert by_hand().of_pictures == PictureOptions()
    assert StudioOptions(max_width=800).of_pictures == PictureOptions(max_width=800)
