"""A vehicle's folder made by hand: numbered coloured pictures and the listing that names them.

Frame i of the spin (from 0) is one colour that tells i, so that a screenshot says what is shown.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from okla_assets import keys
from okla_assets.contract import Cost, Listing, ListingPhoto, ModelUsed, PipelineInfo, Promo, Spin
from okla_assets.options import StudioOptions
from okla_assets.tables import Hotspot, Quality, RefusedFile
from okla_assets.viewer import pages
from tests.fakes import VEHICLE

FRAMES = 36
START = 45
HOSTILE = "\"><img src=x onerror=hacked=1>'</script><script>hacked=1</script>&amp;.jpg"
"""A file name as a seller could make it on Linux, but for the slash that a name cannot hold."""

AFTER, BEFORE = (200, 205, 210), (90, 40, 160)
"""Colours of a finished photo and of the photo before."""


def frame_colour(i: int) -> tuple[int, int, int]:
    return (7 * i, 252 - 7 * i, 128)


def frame_of(colour: tuple[int, ...]) -> int:
    """The frame that has the colour, as far as JPEG keeps it."""
    return round((colour[0] - colour[1] + 252) / 14)


def photo(number: int, category: str = "exterior", **changed: Any) -> ListingPhoto:
    """A studio photo of the front quarter; an interior or misc one as it is."""
    outside = category == "exterior"
    plain: dict[str, Any] = {
        "number": number,
        "source_key": f"{keys.raw_photos(VEHICLE)}IMG_{number}.jpg",
        "source_sha256": f"{number:064x}",
        "width": 800,
        "height": 600,
        "category": category,
        "category_confidence": 0.97,
        "angle": "front-quarter" if outside else None,
        "angle_confidence": 0.9 if outside else None,
        "side": "left" if outside else None,
        "azimuth_deg": 45.0 if outside else None,
        "vehicle_box": (100, 100, 600, 400) if outside else None,
        "mask_key": keys.processed_mask(VEHICLE, category, number) if outside else None,
        "plates": (),
        "quality": Quality(score=88, issues=()),
        "duplicate_of": None,
        "treatment": "studio" if outside else "enhanced",
        "treatment_reason": None if outside else f"{category}: keeps its own background",
        "processed_key": keys.processed_photo(VEHICLE, category, number, "jpg"),
        "thumbnail_key": keys.thumbnail(VEHICLE, category, number),
        "before_key": keys.before_photo(VEHICLE, category, number) if outside else None,
        "withheld": None,
        "source_box": (0.1, -0.2, 0.8, 1.1) if outside else (0, 0, 1, 1),
    }
    return ListingPhoto(**plain | changed)


SPIN = Spin(
    frames=tuple(keys.spin_frame(VEHICLE, i + 1) for i in range(FRAMES)),
    azimuths_deg=tuple((START + 10 * i) % 360 for i in range(FRAMES)),
    width=320,
    height=240,
    viewer_key=keys.spin_page(VEHICLE),
    gaps=(10.0,) * FRAMES,
)
PROMO = Promo(
    key=keys.promo(VEHICLE),
    vertical_key=keys.promo_vertical(VEHICLE),
    poster_key=keys.promo_poster(VEHICLE),
    seconds=20.4,
)


def spot(on_photo: int | None = None, on_frame: int | None = None) -> Hotspot:
    """Photo 4, the wheel, right of and below the middle."""
    return Hotspot(
        photo=4, on_photo=on_photo, on_frame=on_frame, x=0.7, y=0.6, by_hand=False, matches=31
    )


def listing(**changed: Any) -> Listing:
    """Two studio photos, one kept as it is, a cabin, a wheel; a spin, a film, refused files."""
    whole: dict[str, Any] = {
        "schema_version": 1,
        "vehicle_id": VEHICLE,
        "status": "needs_review",
        "reasons": ("exterior_003: no trustworthy cut-out: the two networks disagree",),
        "generated_at": "2026-11-24T10:00:00Z",
        "pipeline": PipelineInfo(
            version="0.1.0",
            profile="local",
            models=(ModelUsed(role="matte", name="u2net", sha256=None, licence="Apache-2.0"),),
        ),
        "options": StudioOptions(max_width=640),
        "cost": Cost(seconds={"masks": 1.0}, usd=None),
        "photos": (
            photo(1),
            photo(2, side="right", azimuth_deg=315.0, quality=Quality(score=35, issues=("dark",))),
            photo(
                3,
                treatment="enhanced",
                treatment_reason="no trustworthy cut-out: the two networks disagree",
                before_key=None,
                source_box=(0, 0, 1, 1),
            ),
            photo(4, "misc"),
            photo(5, "interior", source_key=keys.raw_photos(VEHICLE) + HOSTILE.replace("/", "_")),
        ),
        "refused": (
            RefusedFile(
                source_key=keys.raw_photos(VEHICLE) + HOSTILE.replace("/", "_"),
                reason="not_an_image",
                detail="This file holds an HTML page, not a picture; upload the photo again.",
            ),
            RefusedFile(
                source_key=keys.raw_photos(VEHICLE) + "IMG_9.jpg",
                reason="corrupt",
                detail="It is damaged.",
            ),
        ),
        "spin": SPIN,
        "spin_reason": None,
        "promo": PROMO,
        "promo_reason": None,
        "hotspots": (spot(on_photo=1), spot(on_frame=3)),
    }
    return Listing(**whole | changed)


def write(made: Listing, folder: Path) -> None:
    """Pages and pictures of a listing, under their keys; a film is there by name only."""
    files = {key: data for key, (data, _) in pages.outputs(made).items()}
    files[keys.listing(VEHICLE)] = made.model_dump_json().encode()
    for position, key in enumerate(made.spin.frames if made.spin else ()):
        files[key] = _picture((320, 240), frame_colour(position))
    for one in made.photos:
        if one.processed_key and one.thumbnail_key:
            files[one.processed_key] = _picture((640, 480), AFTER, str(one.number))
            files[one.thumbnail_key] = _picture((400, 300), AFTER, str(one.number))
        if one.before_key:
            files[one.before_key] = _picture((800, 600), BEFORE, "before")
        if one.mask_key:
            files[one.mask_key] = _mask()
    if made.promo:
        files[made.promo.poster_key] = _picture((640, 360), AFTER, "film")
        files |= {made.promo.key: b"", made.promo.vertical_key: b""}
    for key, data in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _picture(size: tuple[int, int], colour: tuple[int, int, int], words: str = "") -> bytes:
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).text((10, 10), words)
    out = BytesIO()
    image.save(out, "JPEG", quality=92)
    return out.getvalue()


def _mask() -> bytes:
    """White where the vehicle is: the middle."""
    image = Image.new("L", (800, 600), 0)
    ImageDraw.Draw(image).rectangle((200, 200, 600, 450), fill=255)
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
