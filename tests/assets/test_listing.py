"""The verdict on a vehicle, and what publishing does to the files of earlier runs."""

from collections.abc import Sequence

import pytest

from okla_assets import keys
from okla_assets.assets.listing import Tables, build, publish
from okla_assets.contract import Listing, Promo, Spin
from okla_assets.imaging.types import Category
from okla_assets.options import PlateStyle, StudioOptions
from okla_assets.steps.costs import Prices
from okla_assets.steps.pipeline import Pipeline
from okla_assets.tables import (
    Classification,
    Classifications,
    Composite,
    Composites,
    FoundPlate,
    Hotspots,
    LicensePlates,
    Mask,
    Masks,
    MaskStatus,
    Photo,
    PhotoPlates,
    PromoVideo,
    Quality,
    RawPhotos,
    RefusedFile,
    SpinFrame,
    SpinFrames,
    WalkaroundFrames,
)
from resources.models.base import ModelInfo
from resources.storage.media_store import LocalMediaStore
from tests.fakes import VEHICLE, contents

PLATE = FoundPlate(quad=((1, 1), (9, 1), (9, 3), (1, 3)), confidence=0.9, vehicle="main")


class Detector:
    def fingerprint(self) -> str:
        return "1"

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("vehicle detector", "yolov8m", "0" * 64, "AGPL-3.0"),)


REFUSED = RefusedFile(source_key="raw/v/photos/x.jpg", reason="corrupt", detail="It is damaged.")
NO_VIDEO = WalkaroundFrames(
    source_key=None,
    source_sha256=None,
    direction=None,
    frames=(),
    refused=(),
    reason="no walk-around video was uploaded",
    seconds=0,
)
NO_SPIN = SpinFrames(
    made_from=None, frames=(), width=0, height=0, gaps=(), reason="too few photos", seconds=0
)
NO_PROMO = PromoVideo(
    key=None,
    vertical_key=None,
    poster_key=None,
    duration=0,
    reason="switched off by the option promo",
    seconds=0,
)
Shown = tuple[Category, MaskStatus, tuple[str, ...]]


def listing_of(
    *shown: Shown,
    refused: Sequence[RefusedFile] = (),
    problems: tuple[str, ...] = (),
    suffix: str = "jpg",
    seconds: float = 1.0,
    frames: WalkaroundFrames = NO_VIDEO,
    spin: SpinFrames = NO_SPIN,
    promo: PromoVideo = NO_PROMO,
    options: StudioOptions | None = None,
    style: PlateStyle = "fill",
) -> Listing:
    """A listing of photos 1, 2, ... that show (category, mask status, quality issues)."""
    photos, masks, views, plates, composites = [], [], [], [], []
    for number, (category, status, issues) in enumerate(shown, 1):
        cut = status == "cut" and category == "exterior"
        photos.append(
            Photo(
                number=number,
                source_key=f"{keys.raw_photos(VEHICLE)}{number}.jpg",
                source_sha256=f"{number:064x}",
                width=4000,
                height=3000,
                working_width=2000,
                format="JPEG",
                notes=(),
                digest=f"{number:064x}",
                work_key=keys.work_file(VEHICLE, "photos", f"{number:064x}", "jpg"),
                perceptual_hash="0" * 64,
                duplicate_of=None,
                exact_duplicate=False,
            )
        )
        masks.append(
            Mask(
                number=number,
                status=status,
                vehicle_box=None if status == "no_vehicle" else (1, 2, 3, 4),
                vehicle_score=None if status == "no_vehicle" else 0.9,
                matte_key=None,
                agreement=None,
                digest="0" * 64,
            )
        )
        views.append(
            Classification(
                number=number,
                category=category,
                category_confidence=0.9,
                angle=None,
                angle_confidence=None,
                side=None,
                azimuth_deg=None,
                quality=Quality(score=80, issues=issues),
            )
        )
        plates.append(
            PhotoPlates(
                number=number,
                plates=(PLATE,),
                masked_key="work/masked.jpg",
                digest="0" * 64,
            )
        )
        composites.append(
            Composite(
                number=number,
                treatment="studio" if cut else "enhanced",
                reason=None if cut else f"why not: {status}",
                processed_key=keys.processed_photo(VEHICLE, category, number, suffix),
                thumbnail_key=keys.thumbnail(VEHICLE, category, number),
                mask_key=keys.processed_mask(VEHICLE, category, number) if cut else None,
                plates_checked=True,
                withheld=None,
                before_key=keys.before_photo(VEHICLE, category, number) if cut else None,
                source_box=(-0.1, 0, 1.2, 0.9) if cut else (0, 0, 1, 1),
            )
        )
    raw = RawPhotos(
        vehicle_id=VEHICLE,
        options=options or StudioOptions(),
        problems=problems,
        seconds=seconds,
        photos=tuple(photos),
        refused=tuple(refused),
    )
    tables = Tables(
        raw,
        frames,
        Masks(rows=tuple(masks), seconds=seconds),
        Classifications(rows=tuple(views), seconds=seconds),
        LicensePlates(style=style, rows=tuple(plates), seconds=seconds),
        Composites(rows=tuple(composites), seconds=seconds),
        spin,
        Hotspots(rows=()),
        promo,
    )
    pipeline = Pipeline("local", {"detector": Detector()}, {"masks": "1"})
    return build(tables, pipeline, Prices())


CUT: Shown = ("exterior", "cut", ())
CABIN: Shown = ("interior", "no_vehicle", ())


@pytest.mark.parametrize(("style", "refused"), [("logo", {"overlay"}), ("fill", set())])
def test_plates_are_told_as_they_were_covered(style: PlateStyle, refused: set[str]) -> None:
    """Where the owner's logo is missing, plates are filled."""
    wanted = StudioOptions(license_plate_mask_type="logo")
    listing = listing_of(CUT, options=wanted, style=style)
    assert listing.options == wanted
    (photo,) = listing.photos
    assert photo.provenance is not None
    told = [e.details["style"] for e in photo.provenance.edits if e.action == "plate_masked"]
    assert told == [style]
    rules = {one.rule for verdict in listing.channels.values() for one in verdict.refused}
    assert rules & {"overlay"} == refused


@pytest.mark.parametrize(
    ("listing", "status", "reasons"),
    [
        (listing_of(), "failed", ["no photo was uploaded"]),
        (
            listing_of(refused=[REFUSED, REFUSED]),
            "failed",
            ["none of the 2 uploaded files could be used"],
        ),
        (listing_of(CUT), "ready", []),
        (listing_of(CUT, CABIN, ("misc", "no_vehicle", ())), "ready", []),
        # A refused file is told in `refused`; a close-up is an ordinary photo.
        (listing_of(CUT, refused=[REFUSED]), "ready", []),
        (listing_of(CUT, ("exterior", "cropped", ("cropped",))), "ready", []),
        (listing_of(CUT, ("interior", "unsure", ())), "ready", []),
        (listing_of(("exterior", "cut", ("blurred", "dark"))), "ready", []),
        (listing_of(CABIN), "needs_review", ["no photo shows the vehicle from outside"]),
        (
            listing_of(CUT, ("exterior", "unsure", ())),
            "needs_review",
            ["exterior_002: why not: unsure"],
        ),
        (
            listing_of(("exterior", "no_vehicle", ()), CUT),
            "needs_review",
            ["exterior_001: why not: no_vehicle"],
        ),
        (
            listing_of(CUT, ("interior", "no_vehicle", ("damaged_data",))),
            "needs_review",
            ["interior_002: the uploaded file is damaged; look at the picture"],
        ),
        (
            listing_of(CUT, ("interior", "no_vehicle", ("colour_unknown",))),
            "needs_review",
            ["interior_002: the file names colours that cannot be read; look at them"],
        ),
        (listing_of(CUT, problems=("options.json: x",)), "needs_review", ["options.json: x"]),
        (
            listing_of(("exterior", "unsure", ("damaged_data",)), problems=("options.json: x",)),
            "needs_review",
            [
                "options.json: x",
                "exterior_001: why not: unsure",
                "exterior_001: the uploaded file is damaged; look at the picture",
            ],
        ),
    ],
)
def test_verdicts(listing: Listing, status: str, reasons: list[str]) -> None:
    assert (listing.status, list(listing.reasons)) == (status, reasons)


def test_a_frame_that_failed_is_named_where_there_is_no_video() -> None:
    problem = "Promo video failed on moment 3: ValueError: a bad picture"
    listing = listing_of(CUT, promo=NO_PROMO.model_copy(update={"turn_problem": problem}))
    assert (listing.status, listing.reasons) == ("needs_review", (problem,))


def test_the_listing_says_what_it_cost_and_what_made_it() -> None:
    listing = listing_of(CUT, CABIN, seconds=2.5)
    assert listing.cost.seconds == {
        "raw_photos": 2.5,
        "walkaround_frames": 0.0,
        "masks": 2.5,
        "classifications": 2.5,
        "license_plates": 2.5,
        "composites": 2.5,
        "spin_frames": 0.0,
        "hotspots": 0.0,
        "promo_video": 0.0,
    }
    assert [(m.role, m.name, m.sha256, m.licence) for m in listing.pipeline.models] == [
        ("vehicle detector", "yolov8m", "0" * 64, "AGPL-3.0")
    ]
    assert listing.pipeline.profile == "local"
    assert listing.pipeline.version


def test_only_an_exterior_has_a_vehicle_box() -> None:
    boxes = [p.vehicle_box for p in listing_of(CUT, ("interior", "unsure", ())).photos]
    assert boxes == [(2, 4, 6, 8), None]  # the source is twice the working copy


def write_files_of(listing: Listing, store: LocalMediaStore) -> None:
    for photo in listing.photos:
        for key in photo.files:
            store.put(key, key.encode())


def publish_whole(listing: Listing, store: LocalMediaStore) -> None:
    write_files_of(listing, store)
    publish(VEHICLE, listing, store)


def test_where_only_the_clock_and_the_cost_changed_the_file_stays(store: LocalMediaStore) -> None:
    publish_whole(listing_of(CUT, CABIN), store)
    before = contents(store, "processed/")
    later = listing_of(CUT, CABIN, seconds=9.0).model_copy(
        update={"generated_at": listing_of().generated_at.replace(year=2099)}
    )
    published, changed = publish(VEHICLE, later, store)
    assert not changed
    assert published.generated_at.year != 2099
    assert contents(store, "processed/") == before


def test_a_change_is_written_and_the_rest_stays(store: LocalMediaStore) -> None:
    publish_whole(listing_of(CUT, CABIN), store)
    before = contents(store, "processed/")
    fresh = listing_of(CUT, ("interior", "no_vehicle", ("dark",)))
    published, changed = publish(VEHICLE, fresh, store)
    assert changed
    after = contents(store, "processed/")
    assert Listing.model_validate_json(after[keys.listing(VEHICLE)][0]) == published == fresh
    for key in (keys.listing(VEHICLE), keys.gallery(VEHICLE)):
        del before[key], after[key]
    assert after == before


@pytest.mark.parametrize(
    "fresh",
    [
        listing_of(CABIN, ("misc", "no_vehicle", ())),
        listing_of(CUT, CABIN, suffix="png"),
        listing_of(CUT),
        listing_of(("exterior", "unsure", ()), CABIN),
        listing_of(),
    ],
    ids=["other categories", "other format", "a photo less", "no matte any more", "no photo"],
)
def test_files_that_are_no_longer_named_go(store: LocalMediaStore, fresh: Listing) -> None:
    publish_whole(listing_of(CUT, CABIN), store)
    publish_whole(fresh, store)
    named = {key for photo in fresh.photos for key in photo.files}
    pages = {keys.listing(VEHICLE), keys.gallery(VEHICLE)}
    assert contents(store, "processed/").keys() == pages | named


def test_what_a_killed_run_left_goes_although_the_listing_stays(store: LocalMediaStore) -> None:
    listing = listing_of(CUT)
    publish_whole(listing, store)
    whole = contents(store, "processed/")
    # A run with one more photo was killed before it could publish; then the photo was withdrawn.
    write_files_of(listing_of(CUT, CABIN), store)
    publish_whole(listing, store)
    assert contents(store, "processed/").keys() == whole.keys()


SPIN = Spin(
    frames=tuple(keys.spin_frame(VEHICLE, i) for i in (1, 2, 3)),
    azimuths_deg=(0, 120, 240),
    width=1280,
    height=960,
    viewer_key=keys.spin_page(VEHICLE),
    gaps=(120, 120, 120),
)
SPIN_FILES = {f(VEHICLE) for f in (keys.spin_page, keys.spin_data, keys.spin_script)}


def test_the_spins_page_comes_and_goes_with_it(store: LocalMediaStore) -> None:
    publish_whole(listing_of(CUT).model_copy(update={"spin": SPIN}), store)
    with_spin = contents(store, "processed/")
    assert with_spin.keys() >= SPIN_FILES
    assert b"okla-spin" in with_spin[keys.gallery(VEHICLE)][0]
    publish_whole(listing_of(CUT), store)
    assert contents(store, "processed/").keys() == with_spin.keys() - SPIN_FILES


def test_a_page_that_was_lost_or_is_of_older_code_is_made_again(store: LocalMediaStore) -> None:
    listing = listing_of(CUT).model_copy(update={"spin": SPIN})
    publish_whole(listing, store)
    before = contents(store, "processed/")
    store.put(keys.gallery(VEHICLE), b"an older page")
    store.delete(keys.spin_script(VEHICLE))
    _, changed = publish(VEHICLE, listing, store)
    assert not changed
    after = contents(store, "processed/")
    assert {key: data for key, (data, _) in after.items()} == {
        key: data for key, (data, _) in before.items()
    }
    assert after[keys.spin_data(VEHICLE)] == before[keys.spin_data(VEHICLE)]  # not touched


def test_files_of_others_stay(store: LocalMediaStore) -> None:
    folder = keys.processed_folder(VEHICLE)
    others = [
        f"{folder}360-viewer/cover.jpg",
        f"{folder}notes about exterior_001_processed.txt",
        "processed/1HGCM82633A0043529/exterior_001_processed.jpg",
        f"raw/{VEHICLE}/photos/exterior_001_processed.jpg",
        f"work/{VEHICLE}/exterior_001_processed.jpg",
    ]
    for key in others:
        store.put(key, b"1")
    publish_whole(listing_of(CUT), store)
    publish_whole(listing_of(), store)
    pages = {keys.listing(VEHICLE), keys.gallery(VEHICLE)}
    assert {i.key for i in store.list("")} == {*others, *pages}


@pytest.mark.parametrize(
    "old", [b'{"schema_version": 0, "photos": []}', b"", b"[]", b"\xff"], ids=repr
)
def test_a_listing_of_another_version_is_replaced(store: LocalMediaStore, old: bytes) -> None:
    store.put(keys.listing(VEHICLE), old)
    _, changed = publish(VEHICLE, listing_of(CUT), store)
    assert changed
    assert Listing.model_validate_json(store.get(keys.listing(VEHICLE))).status == "ready"


def spin_of(count: int) -> SpinFrames:
    """A spin of so many frames."""
    return SpinFrames(
        made_from="video",
        frames=tuple(
            SpinFrame(key=keys.spin_frame(VEHICLE, n), azimuth_deg=10.0 * n, source=n)
            for n in range(1, count + 1)
        ),
        width=1280,
        height=960,
        gaps=(10.0,) * count,
        reason=None,
        seconds=3.5,
    )


def test_a_spin_is_listed_with_its_frames_and_page() -> None:
    made = listing_of(CUT, spin=spin_of(3))
    assert made.spin is not None
    assert made.spin.frames == tuple(keys.spin_frame(VEHICLE, n) for n in (1, 2, 3))
    assert made.spin.azimuths_deg == (10, 20, 30)
    assert made.spin.viewer_key == keys.spin_page(VEHICLE)
    assert (made.spin_reason, made.cost.seconds["spin_frames"]) == (None, 3.5)
    assert made.status == "ready"


def test_a_vehicle_without_a_spin_says_why_and_is_ready_all_the_same() -> None:
    video = RefusedFile(source_key="raw/v/video/a.mp4", reason="not_a_turn", detail="It stands.")
    frames = NO_VIDEO.model_copy(update={"refused": (video,)})
    made = listing_of(CUT, frames=frames)
    assert (made.spin, made.spin_reason) == (None, "too few photos")
    assert made.refused == (video,)
    assert made.status == "ready"


def test_frames_of_a_longer_spin_of_before_are_removed(store: LocalMediaStore) -> None:
    for n in (1, 2, 3):
        store.put(keys.spin_frame(VEHICLE, n), b"frame")
    store.put(keys.spin_page(VEHICLE), b"page")
    publish(VEHICLE, listing_of(CUT, spin=spin_of(2)), store)
    left = {info.key for info in store.list(keys.spin_folder(VEHICLE))}
    pages = {keys.spin_page(VEHICLE), keys.spin_data(VEHICLE), keys.spin_script(VEHICLE)}
    assert left == pages | {keys.spin_frame(VEHICLE, n) for n in (1, 2)}


def promo_of(reason: str | None = None, problems: tuple[str, ...] = ()) -> PromoVideo:
    made = reason is None
    return PromoVideo(
        key=keys.promo(VEHICLE) if made else None,
        vertical_key=keys.promo_vertical(VEHICLE) if made else None,
        poster_key=keys.promo_poster(VEHICLE) if made else None,
        duration=21.5 if made else 0,
        reason=reason,
        problems=problems,
        seconds=8.0 if made else 0,
    )


def test_the_promo_is_listed_with_its_problems() -> None:
    listing = listing_of(CUT, promo=promo_of(problems=("promo_music: a.mp3 cannot be used",)))
    assert listing.promo == Promo(
        key=keys.promo(VEHICLE),
        vertical_key=keys.promo_vertical(VEHICLE),
        poster_key=keys.promo_poster(VEHICLE),
        seconds=21.5,
    )
    assert listing.promo_reason is None
    assert (listing.status, listing.reasons) == (
        "needs_review",
        ("promo_music: a.mp3 cannot be used",),
    )
    assert listing.cost.seconds["promo_video"] == 8.0


def test_a_promo_that_is_no_longer_made_is_removed(store: LocalMediaStore) -> None:
    promo_keys = (keys.promo(VEHICLE), keys.promo_vertical(VEHICLE), keys.promo_poster(VEHICLE))
    for key in promo_keys:
        store.put(key, b"clip")
    publish_whole(listing_of(CUT, promo=promo_of()), store)
    assert all(store.stat(key) for key in promo_keys)
    listing = listing_of(CUT, promo=promo_of("switched off by the option promo"))
    publish_whole(listing, store)
    assert (listing.promo, listing.promo_reason) == (None, "switched off by the option promo")
    assert listing.status == "ready"
    assert not any(store.stat(key) for key in promo_keys)
