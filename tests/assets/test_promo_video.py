"""The promo video of a vehicle: its files, its reasons, and that nothing is made twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from okla_assets import keys
from okla_assets.assets.promo_video import film_set_of, promo_video
from okla_assets.imaging.photo import codec
from okla_assets.imaging.promo.audio import RATE
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from okla_assets.options import StudioOptions
from okla_assets.steps.promo_pictures import FilmSet
from okla_assets.tables import (
    Classification,
    Classifications,
    Composite,
    Composites,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PhotoPlates,
    PromoVideo,
    Quality,
    RawPhotos,
    SpinFrame,
    SpinFrames,
)
from okla_assets.vehicle_runs import vehicles
from resources.decoding.promo_encoder import Music, PromoEncoder
from resources.storage.media_store import LocalMediaStore
from resources.storage.table_io import table_io_manager
from tests.fakes import VEHICLE, Quiet
from tests.resources.decoding.test_promo_encoder import said_of, song, wav

WORDS = {
    "promo_title": "Škoda Citigo «Ñandú»",
    "promo_price": "RD$ 495,000",
    "promo_specs": ["61,000 km", "Automática"],
    "promo_contact": "+1 809 555 0134",
}
NO_SPIN = SpinFrames(
    made_from=None, frames=(), width=0, height=0, gaps=(), reason="no video", seconds=0
)


@dataclass(frozen=True)
class Shown:
    """One photo of the made vehicle."""

    category: str = "exterior"
    angle: str | None = None
    quality: int = 90
    status: str = "cut"
    duplicate_of: int | None = None
    withheld: str | None = None
    has_matte: bool = False


FRONT_QUARTER = Shown(angle="front-quarter")
SEAT = Shown("interior", status="no_vehicle")


def picture_of(shown: Shown, number: int) -> bytes:
    if shown.category == "exterior":
        scene = cv2.convertScaleAbs(WHITE_STUDIO.render(400, 300, 0.3, 0.82))
        cv2.ellipse(scene, (200, 190), (150, 55), 0, 0, 360, (200, 60 + 20 * number, 30), -1)
        return codec.encode_jpeg(np.asarray(scene, np.uint8))
    noise = np.random.default_rng(number).integers(0, 255, (12, 16, 3), np.uint8)
    return codec.encode_jpeg(codec.resize(noise, 400, 300))


@dataclass
class Run:
    """The asset on made tables."""

    store: LocalMediaStore
    instance: dg.DagsterInstance

    def __call__(
        self,
        *photos: Shown,
        options: Mapping[str, Any] | None = None,
        spin: SpinFrames = NO_SPIN,
    ) -> tuple[PromoVideo, int]:
        """The table, and how many clips had to be made."""
        tables = self.tables(photos, StudioOptions.model_validate(dict(options or {})), spin)
        self.instance.add_dynamic_partitions(str(vehicles.name), [VEHICLE])
        result = dg.materialize(
            [*(_stub(name, table) for name, table in tables.items()), promo_video],
            partition_key=VEHICLE,
            instance=self.instance,
            resources={
                "store": self.store,
                "progress": Quiet(),
                "promo_encoder": PromoEncoder(short_side=90, fps=6),
                "io_manager": table_io_manager,
            },
        )
        (event,) = result.asset_materializations_for_node("promo_video")
        text = self.store.get(keys.table(VEHICLE, "promo_video"))
        computed = event.metadata["computed"].value
        assert isinstance(computed, int)
        return PromoVideo.model_validate_json(text), computed

    def matte_of(self, shown: Shown, number: int) -> str | None:
        """The matte of a photo that can be composed anew; it and its copy are written."""
        if not shown.has_matte:
            return None
        copy = np.full((300, 400, 3), 120, np.uint8)
        grey = np.zeros((300, 400), np.uint8)
        cv2.ellipse(grey, (200, 155), (150, 55), 0, 0, 360, 255, -1)
        copy[grey > 0] = (200, 60 + 20 * number, 30)
        matte = keys.work_file(VEHICLE, "masks", f"{number:064d}", "png")
        self.store.put(matte, codec.encode_png(grey))
        masked = keys.work_file(VEHICLE, "plates", f"{number:064d}", "jpg")
        self.store.put(masked, codec.encode_jpeg(copy, 95))
        return matte

    def tables(
        self, photos: tuple[Shown, ...], options: StudioOptions, spin: SpinFrames
    ) -> dict[str, Any]:
        rows: list[tuple[Photo, Mask, Classification, Composite]] = []
        for number, shown in enumerate(photos, 1):
            key = keys.processed_photo(VEHICLE, shown.category, number, "jpg")
            if self.store.stat(key) is None:
                self.store.put(key, picture_of(shown, number))
            plain = shown.category == "exterior" and shown.status == "cut"
            rows.append((
                Photo(
                    number=number, source_key=keys.raw_photos(VEHICLE) + f"{number}.jpg",
                    source_sha256="0" * 64, width=400, height=300, working_width=400,
                    format="JPEG", notes=(),
                    digest="d" * 64, work_key="private", perceptual_hash="0",
                    duplicate_of=shown.duplicate_of, exact_duplicate=False,
                ),
                Mask.model_validate({
                    "number": number, "status": shown.status, "vehicle_score": None,
                    "vehicle_box": None if shown.status == "no_vehicle" else (50, 100, 300, 110),
                    "matte_key": self.matte_of(shown, number), "agreement": None,
                    "digest": "e" * 64,
                }),
                Classification.model_validate({
                    **dict.fromkeys(("angle_confidence", "side", "azimuth_deg")),
                    "number": number, "category": shown.category, "category_confidence": 0.99,
                    "angle": shown.angle, "quality": Quality(score=shown.quality, issues=()),
                }),
                Composite(
                    number=number, treatment="studio" if plain else "enhanced", reason=None,
                    processed_key=None if shown.withheld else key,
                    thumbnail_key=None if shown.withheld else key, mask_key=None,
                    before_key=None, source_box=(0, 0, 1, 1), processed_size=(400, 300),
                    plates_checked=True, withheld=shown.withheld,
                ),
            ))  # fmt: skip
        columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
        return {
            "raw_photos": RawPhotos(
                vehicle_id=VEHICLE, options=options, problems=(), photos=columns[0],
                refused=(),
            ),
            "masks": Masks(rows=columns[1]),
            "classifications": Classifications(rows=columns[2]),
            "license_plates": LicensePlates(
                style="fill",
                rows=tuple(
                    PhotoPlates(
                        number=photo.number, plates=(), digest="f" * 64,
                        masked_key=keys.work_file(VEHICLE, "plates", f"{photo.number:064d}", "jpg"),
                    )
                    for photo in columns[0]
                ),
            ),
            "composites": Composites(rows=columns[3]),
            "spin_frames": spin,
        }  # fmt: skip


def _stub(name: str, table: Any) -> dg.AssetsDefinition:
    def upstream() -> Any:
        return table

    upstream.__annotations__["return"] = type(table)
    return dg.asset(name=name, partitions_def=vehicles)(upstream)


@pytest.fixture
def run(store: LocalMediaStore, instance: dg.DagsterInstance) -> Run:
    return Run(store, instance)


@pytest.mark.slow
def test_a_vehicle_gets_both_clips_and_a_poster_and_only_once(run: Run) -> None:
    photos = (FRONT_QUARTER, Shown(angle="rear"), SEAT)
    row, computed = run(*photos, options=WORDS)
    assert computed == 1
    assert (row.key, row.vertical_key) == (keys.promo(VEHICLE), keys.promo_vertical(VEHICLE))
    assert (row.reason, row.problems) == (None, ())
    assert 15 <= row.duration <= 30
    for key, size in ((row.key, "160x90"), (row.vertical_key, "90x160")):
        with run.store.as_file(key or "") as path:
            said = said_of(path)
        assert size in said and "yuv420p(tv" in said and "Audio" not in said
        found = [int(n) for n in (said.split("Duration: 00:00:")[1][:2],)]
        assert found == [int(row.duration)]
    poster = codec.decode_trusted(run.store.get(row.poster_key or ""))
    assert poster.shape == (90, 160, 3)
    assert np.ptp(poster.astype(int), axis=2).max() > 90  # the car, not a card
    written = {key: run.store.stat(key) for key in (row.key, row.vertical_key, row.poster_key)}  # type: ignore[arg-type]
    again, computed = run(*photos, options=WORDS)
    assert (again, computed) == (row, 0)
    assert written == {key: run.store.stat(key) for key in written}  # type: ignore[arg-type]


def test_the_upright_film_is_composed_for_its_format(run: Run) -> None:
    """The car is wide in the frame and the scene goes on from edge to edge, as on no photo."""
    row, _ = run(Shown(angle="front-quarter", has_matte=True), SEAT, options=WORDS)
    assert row.reason is None
    poster = codec.decode_trusted(run.store.get(row.vertical_poster_key or ""))
    assert poster.shape == (160, 90, 3)
    red = poster[..., 0].astype(int) - poster[..., 2] > 90
    columns = np.flatnonzero(red.sum(axis=0) > 2)
    assert columns[-1] - columns[0] >= 0.8 * 90
    scene = poster[:50].astype(int)  # above the car, whose finished picture is 68 rows high here
    assert scene.min() > 200
    assert np.ptp(scene, axis=2).max() < 20


def films_of(run: Run, short_side: int = 90, **changed: object) -> FilmSet:
    """What films may compose of a vehicle with one photo in the studio, whose row is changed."""
    tables = run.tables((Shown(angle="side", has_matte=True),), StudioOptions(), NO_SPIN)
    rows = tuple(r.model_copy(update=changed) for r in tables["composites"].rows)
    return film_set_of(
        VEHICLE,
        tables["raw_photos"],
        tables["masks"],
        tables["classifications"],
        tables["license_plates"],
        Composites(rows=rows),
        NO_SPIN,
        PromoEncoder(short_side=short_side).sizes(),
        run.store,
        Quiet(),
    )


def test_a_picture_on_which_a_plate_was_covered_late_is_not_composed_again(run: Run) -> None:
    """Its masked copy still shows the plate."""
    assert films_of(run).photos
    assert not films_of(run, covered_late=1).photos


def test_no_picture_is_composed_larger_than_it_was_searched_for_plates(run: Run) -> None:
    """A photo of 400 pixels, of which the finished picture shows a third or all."""
    assert films_of(run, short_side=1080).photos
    assert not films_of(run, short_side=1080, processed_size=(140, 105)).photos
    assert films_of(run, short_side=90, processed_size=(140, 105)).photos


@pytest.mark.slow
@pytest.mark.parametrize("template", ["lively", "calm"])
def test_templates_and_beds_are_chosen_by_option(run: Run, template: str) -> None:
    run(FRONT_QUARTER, options=WORDS)
    standard = run.store.get(keys.promo(VEHICLE))
    row, computed = run(
        FRONT_QUARTER, options=WORDS | {"promo_template": template, "promo_bed": "warm"}
    )
    assert (row.problems, computed) == ((), 1)
    assert run.store.get(keys.promo(VEHICLE)) != standard
    with run.store.as_file(row.key or "") as path:
        assert "Audio: aac" in said_of(path)


@pytest.mark.slow
def test_a_picture_that_cannot_be_shown_costs_the_clip_only_that_picture(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = (FRONT_QUARTER, Shown(angle="rear"), SEAT)
    run(*photos)
    key = keys.processed_photo(VEHICLE, "exterior", 2, "jpg")
    bad, read = run.store.get(key), codec.decode_trusted

    def failing(data: bytes) -> npt.NDArray[np.uint8]:
        if data == bad:
            raise ValueError("a bad picture")
        return read(data)

    monkeypatch.setattr(codec, "decode_trusted", failing)
    row, computed = run(*photos, options=WORDS)
    assert (row.reason, computed) == (None, 1)
    assert key not in row.sources
    assert [(f.number, f.detail) for f in row.failed] == [(2, "ValueError: a bad picture")]


@pytest.mark.slow
def test_a_changed_price_or_picture_makes_a_new_clip_and_others_the_same_bytes(run: Run) -> None:
    run(FRONT_QUARTER, options=WORDS)
    first = run.store.get(keys.promo(VEHICLE))
    _, computed = run(FRONT_QUARTER, options=WORDS | {"promo_price": "RD$ 450,000"})
    assert computed == 1
    assert run.store.get(keys.promo(VEHICLE)) != first
    _, computed = run(FRONT_QUARTER, options=WORDS)
    assert computed == 1
    assert run.store.get(keys.promo(VEHICLE)) == first
    key = keys.processed_photo(VEHICLE, "exterior", 1, "jpg")
    run.store.put(key, picture_of(FRONT_QUARTER, 5))
    assert run(FRONT_QUARTER, options=WORDS)[1] == 1
    assert run.store.get(keys.promo(VEHICLE)) != first


@pytest.mark.parametrize(
    ("photos", "options", "reason"),
    [
        ((), {}, "no finished photo shows the vehicle from outside"),
        ((SEAT, SEAT), {}, "no finished photo shows the vehicle from outside"),
        ((Shown(withheld="a plate"),), {}, "no finished photo shows the vehicle from outside"),
        ((Shown(quality=5),), {}, "no finished photo shows the vehicle from outside"),
        ((FRONT_QUARTER,), {"promo": False}, "switched off by the option promo"),
    ],
)
def test_where_there_is_none_the_reason_is_named(
    run: Run, photos: tuple[Shown, ...], options: dict[str, object], reason: str
) -> None:
    row, computed = run(*photos, options=options)
    assert (row.reason, row.key, row.duration, computed) == (reason, None, 0, 0)
    assert run.store.stat(keys.promo(VEHICLE)) is None


def a_turn(store: LocalMediaStore) -> SpinFrames:
    """A finished turn of which nobody knows any more what it was made of."""
    frames = []
    for i in range(12):
        key = keys.spin_frame(VEHICLE, i + 1)
        scene = cv2.convertScaleAbs(WHITE_STUDIO.render(320, 240, 0.3, 0.82))
        cv2.ellipse(scene, (160, 150), (60 + 5 * i, 40), 0, 0, 360, (30, 40, 200), -1)
        store.put(key, codec.encode_jpeg(np.asarray(scene, np.uint8)))
        frames.append(SpinFrame(key=key, azimuth_deg=30 * i, source=i))
    return SpinFrames(
        made_from="video", frames=tuple(frames), width=320, height=240, gaps=(30.0,) * 12,
        reason=None,
    )  # fmt: skip


def test_a_turn_becomes_a_shot(run: Run) -> None:
    without, _ = run(FRONT_QUARTER, SEAT)
    still = run.store.get(keys.promo(VEHICLE))
    row, computed = run(FRONT_QUARTER, SEAT, spin=a_turn(run.store))
    assert computed == 1 and row.reason is None
    assert run.store.get(keys.promo(VEHICLE)) != still
    assert row.duration >= without.duration


def test_each_film_has_music_of_its_own_length(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A turn that cannot be composed anew is in the wide film only: that is longer."""
    heard: list[tuple[float, Music]] = []
    encode = PromoEncoder.encode

    def listening(self: PromoEncoder, *given: Any) -> None:
        _, count, *_, music = given
        heard.append((count / self.fps, music))
        encode(self, *given)

    monkeypatch.setattr(PromoEncoder, "encode", listening)
    run.store.put(keys.own_music(VEHICLE, "song.wav"), wav(tmp_path / "s.wav", song()).read_bytes())
    spin, music = a_turn(run.store), {"promo_music": "song.wav"}
    row, _ = run(FRONT_QUARTER, spin=spin, options=music)
    assert row.problems == ()
    (wide, _), (upright, _) = heard
    assert wide != upright
    for seconds, played in heard:
        assert len(played.samples) == round(seconds * RATE)
        assert np.abs(played.samples[-RATE // 100 :]).max() < 0.01 * np.abs(played.samples).max()


@pytest.mark.slow
def test_music_is_the_vehicles_own_before_the_brands(run: Run, store: LocalMediaStore) -> None:
    data = wav(store.folder.parent / "song.wav", song(5)).read_bytes()
    store.put(keys.brand_music("waltz.wav"), b"broken")
    store.put(keys.own_music(VEHICLE, "waltz.wav"), data)
    row, _ = run(FRONT_QUARTER, options={"promo_music": "waltz.wav"})
    assert row.problems == ()
    with store.as_file(keys.promo(VEHICLE)) as path:
        assert "Audio: aac" in said_of(path)
    store.delete(keys.own_music(VEHICLE, "waltz.wav"))
    row, _ = run(FRONT_QUARTER, options={"promo_music": "waltz.wav"})
    (problem,) = row.problems
    assert problem.startswith("promo_music: waltz.wav cannot be used: it holds no sound")
    with store.as_file(keys.promo(VEHICLE)) as path:
        assert "Audio" not in said_of(path)


def test_music_that_is_not_there_and_letters_without_a_font_are_named(run: Run) -> None:
    row, _ = run(FRONT_QUARTER, options={"promo_music": "a.mp3", "promo_title": "Kia \u0378"})
    assert row.reason is None
    assert row.problems == (
        "promo_title: no font draws U+0378; left out of the video",
        f"promo_music: neither raw/{VEHICLE}/a.mp3 nor brand/music/a.mp3 exists; "
        "the video is silent",
    )


@pytest.mark.parametrize("name", ["../a.mp3", ".hidden", "a/b.mp3", "", "a\\b.mp3"])
def test_music_is_a_file_name_and_no_path(name: str) -> None:
    with pytest.raises(ValidationError):
        StudioOptions(promo_music=name)
