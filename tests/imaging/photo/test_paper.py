"""Papers are no pictures of a car."""

import tracemalloc

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from okla_assets.imaging.photo.paper import MOST_MARKS, is_paper, is_surely_paper, print_marks
from tests.pictures import cabin, car, paper


def price_list() -> Image.Image:
    page = Image.new("RGB", (800, 600), (225, 228, 235))
    font = ImageFont.load_default(22)
    for i in range(12):
        text = f"MARCA HONDA {i} MODELO CR-V PRECIO 555,000.00"
        ImageDraw.Draw(page).text((60, 30 + 44 * i), text, (30, 30, 40), font)
    return page


def test_lines_of_print_are_paper_and_pictures_are_not() -> None:
    assert is_paper(np.asarray(price_list()))
    for seed in range(4):
        for picture in (car(seed), cabin(seed), paper(seed)):
            assert not is_paper(picture)
    assert not is_paper(np.full((300, 400, 3), 240, np.uint8))


def test_a_car_printed_on_a_price_list_is_surely_paper() -> None:
    page = price_list()
    page.paste(Image.fromarray(car()).resize((260, 170)), (500, 400))
    assert is_surely_paper(np.asarray(page))
    assert not is_surely_paper(car())


def test_a_page_full_of_print_is_paper_and_takes_little_memory() -> None:
    page = Image.new("RGB", (2400, 3200), (240, 240, 240))
    text = "Contrato de compraventa del vehiculo, segun lo acordado por las partes. " * 2
    for y in range(60, 3150, 46):
        ImageDraw.Draw(page).text((20, y), text, (30, 30, 40), ImageFont.load_default(36))
    tracemalloc.start()
    marks, _ = print_marks(np.asarray(page))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert marks == MOST_MARKS
    assert most < 100_000_000
    assert is_surely_paper(np.asarray(page))
