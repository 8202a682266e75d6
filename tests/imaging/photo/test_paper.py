"""Papers are no pictures of a car."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from okla_assets.imaging.photo.paper import is_paper, is_surely_paper
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
