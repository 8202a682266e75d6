"""Cut-outs of the sample's car, whose exact matte is known, and of drawn shapes."""

import zipfile
from functools import cache
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from okla_assets.imaging.photo import codec
from okla_assets.imaging.rendition import drawing, files, glass
from okla_assets.imaging.rendition.drawing import covering, draw, enlarged
from okla_assets.imaging.rendition.layout import Layout, box_of, joined, lay_out
from okla_assets.imaging.rendition.shade import Kind, shade_of
from okla_assets.imaging.studio.studio import as_alpha
from okla_assets.imaging.types import Alpha, Rgb
from okla_assets.sample import FOLDER, MEDIA


@cache
def car(name: str = "IMG_0101") -> tuple[Rgb, Alpha]:
    """A photo of the sample and its exact matte."""
    photo = codec.decode_trusted((MEDIA / "photos" / f"{name}.jpg").read_bytes())
    matte = as_alpha(codec.decode_gray((FOLDER / "mattes" / f"{name}.png").read_bytes()))
    if matte.shape != photo.shape[:2]:
        matte = np.asarray(cv2.resize(matte, photo.shape[1::-1]), np.float32)
    return photo, matte


def whole(photo: Rgb, alpha: Alpha, megapixels: float = 50) -> Layout:
    box = box_of(alpha)
    assert box is not None
    return lay_out((photo.shape[1], photo.shape[0]), box, megapixels=megapixels)


BOX = (100.0, 50.0, 200.0, 80.0)


def test_without_wishes_the_canvas_is_the_photo() -> None:
    layout = lay_out((400, 300), BOX)
    assert (layout.width, layout.height, layout.scale) == (400, 300, 1)
    assert (layout.left, layout.top) == (0, 0)


def test_a_crop_is_the_subject_and_its_margin() -> None:
    plain = lay_out((400, 300), BOX, crop=True)
    assert (plain.width, plain.height, plain.left, plain.top) == (200, 80, -100, -50)
    four = lay_out((400, 300), BOX, crop=True, margin=[(10, "px"), (5, "%"), (25, "%"), (0, "px")])
    assert (four.width, four.height, four.left, four.top) == (210, 110, -100, -40)
    two = lay_out((400, 300), BOX, crop=True, margin=[(1, "px"), (2, "px")])
    assert (two.width, two.height) == (204, 82)


def test_a_scaled_subject_is_in_the_middle_or_where_it_is_wished() -> None:
    middle = lay_out((400, 300), BOX, scale=1.0)
    assert middle.scale == 2
    assert (middle.left + 100 * 2, middle.top + 50 * 2) == (0, 70)
    corner = lay_out((400, 300), BOX, scale=0.5, position=(100, 0))
    assert (corner.left + 100 + 200, corner.top + 50) == (400, 0)


def test_the_size_is_bounded_and_the_largest_told() -> None:
    layout = lay_out((4000, 3000), BOX, megapixels=0.25)
    assert (layout.width, layout.height, layout.largest) == (577, 433, (4000, 3000))
    assert layout.width * layout.height <= 250_000
    huge = lay_out((12000, 9000), BOX, megapixels=50)
    assert huge.width * huge.height <= 50_000_000
    assert huge.largest == (huge.width, huge.height)


def test_the_matte_is_kept_and_colours_at_the_rim_lose_the_background() -> None:
    """The same car before blue must not bring blue along."""
    photo, alpha = car()
    a = alpha[..., None]
    blue = np.rint(photo * a + np.array([0, 0, 255]) * (1 - a)).astype(np.uint8)
    drawn = draw(blue, alpha, whole(blue, alpha), 1.0)
    assert np.abs(drawn.picture[..., 3] / 255 - alpha).max() < 0.01
    rim = (alpha > 0.3) & (alpha < 0.9)
    excess = drawn.picture[rim].astype(int) @ [-0.5, -0.5, 1, 0]
    mixed = blue[rim].astype(int) @ [-0.5, -0.5, 1]
    assert np.median(excess) < 0.35 * np.median(mixed)


def test_rows_in_bands_are_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, alpha = car()
    layout = whole(photo, alpha)
    once = draw(photo, alpha, layout, 1.0).picture
    monkeypatch.setattr(drawing, "BAND", 128)
    banded = draw(photo, alpha, layout, 1.0).picture
    off = np.abs(once.astype(int) - banded)
    assert np.percentile(off, 99.9) <= 3


def test_a_smaller_copy_is_laid_out_alike() -> None:
    photo, alpha = car()
    half = codec.resize(photo, photo.shape[1] // 2, photo.shape[0] // 2)
    small = cv2.resize(alpha, half.shape[1::-1], interpolation=cv2.INTER_AREA)
    matte = np.asarray(small, np.float32)
    layout = whole(photo, alpha, 0.25)
    one, other = draw(photo, alpha, layout, 1.0), draw(half, matte, layout, 0.5)
    assert one.foreground is not None and other.foreground is not None
    assert np.abs(np.subtract(one.foreground, other.foreground)).max() <= 2


def test_a_background_shows_through_and_around() -> None:
    photo, alpha = car()
    layout = whole(photo, alpha, 0.25)
    red = draw(photo, alpha, layout, 1.0, background=(255, 0, 0, 255))
    assert tuple(red.picture[0, 0]) == (255, 0, 0, 255) and red.picture[..., 3].min() == 255
    faint = draw(photo, alpha, layout, 1.0, background=(255, 0, 0, 51))
    assert tuple(faint.picture[0, 0]) == (255, 0, 0, 51)
    left = np.zeros((50, 200, 3), np.uint8)
    left[:, 100:] = (0, 200, 0)
    on_picture = draw(photo, alpha, layout, 1.0, background=left)
    assert on_picture.picture[0, 0].tolist()[1] < 20 < on_picture.picture[0, -1].tolist()[1]


def test_a_picture_covers_the_canvas_from_its_middle() -> None:
    strip = np.zeros((10, 90, 3), np.uint8)
    strip[:, 30:60] = 255
    assert covering(strip, 30, 10).min() == 255
    assert covering(strip, 7, 70).shape == (70, 7, 3)


@pytest.mark.parametrize("kind", ["car", "drop", "3D"])
def test_a_shadow_lies_under_the_car_and_is_black(kind: Kind) -> None:
    photo, alpha = car()
    shade = shade_of(alpha, photo.shape[1], kind, 1.0)
    assert shade is not None and shade.box is not None
    box = box_of(alpha)
    assert box is not None
    layout = lay_out((photo.shape[1], photo.shape[0]), joined(box, shade.box), crop=True)
    bare = draw(photo, alpha, layout, 1.0)
    drawn = draw(photo, alpha, layout, 1.0, shade=shade)
    layer = shade.on(layout)
    assert max(layer[0].max(), layer[-1].max(), layer[:, 0].max(), layer[:, -1].max()) < 0.02
    only = (bare.picture[..., 3] == 0) & (drawn.picture[..., 3] > 0)
    assert only.sum() > 5000
    assert drawn.picture[only][:, :3].max() <= 1
    assert (drawn.picture[..., 3] >= bare.picture[..., 3]).all()
    assert drawn.foreground == bare.foreground
    half = shade_of(alpha, photo.shape[1], kind, 0.5)
    assert half is not None
    assert half.layer.max() == pytest.approx(shade.layer.max() / 2, abs=0.02)


def test_the_studios_shadow_is_darkest_where_the_tyres_stand() -> None:
    photo, alpha = car("IMG_0104")
    shade = shade_of(alpha, photo.shape[1], "car", 1.0)
    box = box_of(alpha)
    assert shade is not None and box is not None
    layout = lay_out((photo.shape[1], photo.shape[0]), box)
    layer = shade.on(layout) * (alpha < 0.05)
    darkest = np.argwhere(layer > 0.6 * layer.max())
    bottom = box[1] + box[3]
    assert abs(float(np.median(darkest[:, 0])) - bottom) < 0.15 * box[3]


def test_a_matte_that_is_too_small_casts_no_shadow() -> None:
    tiny = np.zeros((200, 300), np.float32)
    assert shade_of(tiny, 300, "drop", 1.0) is None
    tiny[100:105, 100:105] = 1
    assert shade_of(tiny, 300, "car", 1.0) is None


@pytest.mark.parametrize("kind", ["car", "drop", "3D"])
@pytest.mark.parametrize("size", [(1, 40), (2, 200), (3, 900), (90, 1), (1, 1)])
@pytest.mark.parametrize("width", [300, 1600])
def test_a_matte_a_few_pixels_thin_is_drawn_with_its_shadow_or_without(
    size: tuple[int, int], width: int, kind: Kind
) -> None:
    alpha = np.zeros((200, width), np.float32)
    alpha[100 : 100 + size[0], 20 : 20 + size[1]] = 1
    shade = shade_of(alpha, width, kind, 1.0)
    assert shade is None or np.isfinite(shade.layer).all()
    photo = np.full((*alpha.shape, 3), 90, np.uint8)
    assert glass.seen_through(photo, alpha, width) is None


def _glazed(behind: tuple[int, int, int], paint: tuple[int, int, int]) -> tuple[Rgb, Alpha]:
    """A box of a car with one dark pane, through the right half of which one sees the yard."""
    photo = np.full((300, 600, 3), behind, np.uint8)
    alpha = np.zeros((300, 600), np.float32)
    alpha[60:260, 80:520] = 1
    photo[60:260, 80:520] = paint
    photo[80:130, 150:450] = (22, 24, 26)
    photo[86:124, 350:430] = np.rint(0.4 * np.array(behind) + 0.6 * np.array([22, 24, 26]))
    return photo, alpha


def test_the_yard_seen_through_a_pane_is_taken_out_in_part() -> None:
    photo, alpha = _glazed((120, 190, 120), (235, 235, 235))
    seen = glass.seen_through(photo, alpha, 600)
    assert seen is not None
    layout = whole(photo, alpha)
    drawn = draw(photo, alpha, layout, 1.0, glass=seen)
    pane, paint, dark = (drawn.picture[at] for at in ((105, 390), (200, 300), (105, 220)))
    assert 150 < pane[3] < 245
    assert paint[3] == 255 and dark[3] > 245
    # Laid on what it was cut from, the picture is as before.
    again = draw(photo, alpha, layout, 1.0, glass=seen, background=(120, 190, 120, 255))
    assert np.abs(again.picture[105, 390, :3].astype(int) - photo[105, 390]).max() <= 4


def test_panes_of_a_dark_car_stay_opaque() -> None:
    photo, alpha = _glazed((120, 190, 120), (30, 30, 34))
    assert glass.seen_through(photo, alpha, 600) is None


def test_files_hold_the_picture() -> None:
    photo, alpha = car()
    drawn = draw(photo, alpha, whole(photo, alpha, 0.25), 1.0)
    size = drawn.picture.shape[1::-1]
    png = Image.open(BytesIO(files.encoded(drawn.picture, "png")))
    assert png.mode == "RGBA" and png.size == size
    assert (np.asarray(png) == drawn.picture).all()
    webp = Image.open(BytesIO(files.encoded(drawn.picture, "webp")))
    assert webp.format == "WEBP" and webp.mode == "RGBA"
    jpg = Image.open(BytesIO(files.encoded(drawn.picture, "jpg")))
    assert jpg.format == "JPEG" and jpg.getpixel((0, 0)) == (255, 255, 255)
    packed = files.encoded(drawn.picture, "zip")
    assert packed == files.encoded(drawn.picture, "zip")
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        assert archive.namelist() == ["color.jpg", "alpha.png"]
        grey = np.asarray(Image.open(BytesIO(archive.read("alpha.png"))))
        colour = np.asarray(Image.open(BytesIO(archive.read("color.jpg"))))
    assert (grey == drawn.picture[..., 3]).all()
    solid = grey == 255
    assert np.abs(colour[solid].astype(int) - drawn.picture[solid][:, :3]).mean() < 4
    opaque = draw(photo, alpha, whole(photo, alpha, 0.1), 1.0, background=(9, 9, 9, 255))
    assert Image.open(BytesIO(files.encoded(opaque.picture, "png"))).mode == "RGB"


def test_beside_a_thin_part_an_archives_colours_go_on_undimmed() -> None:
    """An antenna: what is transparent beside it is black, and of no weight."""
    picture = np.zeros((120, 90, 4), np.uint8)
    picture[20:100, 45] = (240, 240, 240, 255)
    with zipfile.ZipFile(BytesIO(files.encoded(picture, "zip"))) as archive:
        colour = np.asarray(Image.open(BytesIO(archive.read("color.jpg"))).convert("L"), int)
    assert np.abs(colour[24:96, 40:51] - 240).max() <= 3


def test_a_matte_is_a_grey_picture() -> None:
    _, alpha = car()
    png = Image.open(BytesIO(files.encoded_matte(alpha, "png")))
    assert png.mode == "L"
    assert np.abs(np.asarray(png) / 255 - alpha).max() < 0.003
    assert Image.open(BytesIO(files.encoded_matte(alpha, "webp"))).format == "WEBP"
    with zipfile.ZipFile(BytesIO(files.encoded_matte(alpha, "zip"))) as archive:
        assert archive.namelist() == ["alpha.png"]


def test_an_enlarged_matte_keeps_its_edge_and_its_antenna() -> None:
    _, exact = car()
    width, height = exact.shape[1], exact.shape[0]
    half = cv2.resize(exact, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    small = np.asarray(half, np.float32)
    soft = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    sharp = enlarged(small, width, height)
    rim = np.abs(soft - exact) > 0.02
    assert np.abs(sharp - exact)[rim].mean() < 0.6 * np.abs(soft - exact)[rim].mean()
    line = np.zeros((60, 60), np.float32)
    line[10:50, 30] = 0.4
    assert enlarged(line, 240, 240)[100].max() > 0.35
    assert enlarged(line, 60, 60).max() == pytest.approx(0.4, abs=0.01)


def test_a_part_of_the_vehicle_may_lie_beside_the_canvas() -> None:
    photo, alpha = car()
    box = box_of(alpha)
    assert box is not None
    layout = Layout(200, 150, 1.0, -box[0] - 50, -box[1] - 50, (200, 150))
    drawn = draw(photo, alpha, layout, 1.0)
    assert drawn.picture.shape == (150, 200, 4)
    empty = draw(photo, np.zeros_like(alpha), layout, 1.0)
    assert empty.foreground is None and not empty.picture.any()
