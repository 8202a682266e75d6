"""Cut-outs of a job's photos, on fake models."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from okla_assets import keys
from okla_assets.doors.jobs.requests import CutOutOptions, Rectangle
from okla_assets.doors.jobs.results import DrawnFile, Problem
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.doors.cutting import Cutting


@pytest.fixture
def cutting(store: LocalMediaStore) -> Cutting:
    return Cutting(store)


def one(cutting: Cutting, photo: bytes, **options: object) -> DrawnFile | Problem:
    """What comes of a job of one photo."""
    return cutting.cut(cutting.job(photo, options=CutOutOptions.model_validate(options)))[0]


def opened(cutting: Cutting, drawn: DrawnFile | Problem) -> Image.Image:
    assert isinstance(drawn, DrawnFile), drawn
    image = Image.open(BytesIO(cutting.store.get(drawn.key)))
    assert image.size == (drawn.width, drawn.height)
    return image


def test_the_vehicle_is_left_and_its_place_is_told(cutting: Cutting) -> None:
    job = cutting.job(pictures.jpeg(pictures.car()))
    drawn = cutting.cut(job)[0]
    picture = np.asarray(opened(cutting, drawn))
    assert isinstance(drawn, DrawnFile) and drawn.foreground is not None
    assert drawn.key == keys.job_file(job.job_id, "0.png")
    assert drawn.largest == (pictures.WIDTH, pictures.HEIGHT)
    assert drawn.agreement == pytest.approx(0.97)
    x, y, w, h = drawn.foreground
    assert (abs(x - 80), abs(y - 100), abs(w - 180), abs(h - 90)) < (6, 6, 12, 12)
    assert picture[round(y + h / 2), round(x + w / 2), 3] == 255
    assert not picture[:90].any()
    before = cutting.store.get(drawn.key)
    assert cutting.cut(job)[0] == drawn and cutting.store.get(drawn.key) == before


def test_each_photo_has_its_own_and_those_that_failed_say_why(cutting: Cutting) -> None:
    job = cutting.job(
        pictures.jpeg(pictures.car(1)),
        pictures.jpeg(pictures.cabin()),
        b"no picture at all",
        pictures.jpeg(pictures.car(2)),
    )
    done = cutting.cut(job)
    assert [type(done[i]) for i in range(4)] == [DrawnFile, Problem, Problem, DrawnFile]
    assert [done[i].code for i in (1, 2) if isinstance(done[i], Problem)] == [  # type: ignore[union-attr]
        "no_vehicle",
        "not_an_image",
    ]


def test_a_vehicle_that_runs_out_of_the_picture_is_asked_for(cutting: Cutting) -> None:
    job = cutting.job(pictures.jpeg(pictures.cropped_car()))
    assert isinstance(cutting.cut(job)[0], DrawnFile)


def test_a_large_photo_is_read_again_as_large_as_it_is_wanted(cutting: Cutting) -> None:
    car = Image.fromarray(pictures.car()).resize((3000, 2250), Image.Resampling.BICUBIC)
    data = pictures.jpeg(np.asarray(car))
    full = opened(cutting, one(cutting, data, crop=False))
    assert full.size == (3000, 2250)
    small = one(cutting, data, megapixels=0.25)
    assert opened(cutting, small).size == (577, 433)
    assert isinstance(small, DrawnFile) and small.largest == (3000, 2250)
    # Its colours are the source's, not enlarged ones of the working copy.
    middle = np.asarray(full)[1050:1100, 1250:1300, :3].astype(int)
    source = np.asarray(Image.open(BytesIO(data)))[1050:1100, 1250:1300].astype(int)
    assert np.abs(middle - source).max() <= 2


def test_a_region_is_all_that_is_looked_at(cutting: Cutting) -> None:
    photo = pictures.jpeg(pictures.car())
    half = Rectangle(left=0, top=0, right=50, bottom=100, unit="%")
    drawn = one(cutting, photo, region=half)
    picture = np.asarray(opened(cutting, drawn))
    assert not picture[:, 181:].any() and picture[145, 150, 3] == 255
    sky = Rectangle(left=0, top=0, right=360, bottom=60)
    beyond = Rectangle(left=0, top=0, right=400, bottom=60)
    flat = Rectangle(left=10, top=10, right=10, bottom=60)
    for region, code in (
        (sky, "roi_region_empty"),
        (beyond, "roi_exceeds_bounds"),
        (flat, "roi_region_empty"),
    ):
        refused = one(cutting, photo, region=region)
        assert isinstance(refused, Problem) and refused.code == code


def test_the_region_chooses_among_vehicles(cutting: Cutting) -> None:
    """The smaller one of two, which the photo is not about."""
    job = cutting.job(
        pictures.jpeg(pictures.car()),
        options=CutOutOptions(region=Rectangle(left=0, top=0, right=70, bottom=100)),
    )
    raw, masks = cutting.tables(job)
    mask = masks.rows[0].model_copy(update={"other_vehicles": ((10.0, 20.0, 50.0, 40.0),)})
    from okla_assets.doors.jobs.cut_out import cut_outs

    done = cut_outs(
        job, cutting.store, raw, masks.model_copy(update={"rows": (mask,)}), cutting.segmenter
    )
    assert isinstance(done[0], DrawnFile) and done[0].foreground is not None
    assert done[0].foreground[0] < 15 and done[0].foreground[2] < 60


def test_a_background_is_another_source(cutting: Cutting) -> None:
    green = Image.new("RGB", (400, 400), (0, 200, 0))
    job = cutting.job(
        pictures.jpeg(pictures.car()),
        pictures.jpeg(np.asarray(green)),
        options=CutOutOptions(background_source=1, format="jpg"),
    )
    done = cutting.cut(job)
    assert list(done) == [0]
    red, level, _ = opened(cutting, done[0]).getpixel((5, 5))  # type: ignore[misc]
    assert red < 20 and level > 180
    broken = cutting.job(
        pictures.jpeg(pictures.car()), b"none", options=CutOutOptions(background_source=1)
    )
    refused = cutting.cut(broken)[0]
    assert isinstance(refused, Problem) and refused.code == "background"


def test_a_photo_on_its_side_is_cut_as_it_was_sent(cutting: Cutting) -> None:
    photo = pictures.jpeg(pictures.car())
    job = cutting.job(photo)
    raw, masks = cutting.tables(job)
    # As if the network had been asked about the photo turned by a quarter.
    from okla_assets.doors.jobs.cut_out import cut_outs
    from okla_assets.imaging.photo import codec

    mask = masks.rows[0]
    assert mask.matte_key is not None
    grey = codec.decode_gray(cutting.store.get(mask.matte_key))
    turned = codec.encode_png(np.ascontiguousarray(np.rot90(grey)))
    cutting.store.put("work/turned.png", turned)
    mask = mask.model_copy(update={"turned": 90, "matte_key": "work/turned.png"})
    as_sent = cut_outs(job, cutting.store, raw, masks, cutting.segmenter)[0]
    back = cut_outs(
        job, cutting.store, raw, masks.model_copy(update={"rows": (mask,)}), cutting.segmenter
    )[0]
    assert isinstance(as_sent, DrawnFile) and isinstance(back, DrawnFile)
    assert back.foreground == as_sent.foreground


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "zip"])
def test_each_format_says_its_type(cutting: Cutting, form: str) -> None:
    drawn = one(cutting, pictures.jpeg(pictures.car()), format=form, channels="alpha")
    assert isinstance(drawn, DrawnFile) and drawn.key.endswith(f"0.{form}")
    assert drawn.type in ("image/png", "image/jpeg", "image/webp", "application/zip")
    assert len(cutting.store.get(drawn.key)) > 100
