"""Papers are no pictures of a car."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from okla_assets.imaging.photo.paper import is_paper
from tests.pictures import cabin, car, paper


def test_lines_of_print_are_paper_and_pictures_are_not() -> None:
    page = Image.new("RGB", (800, 600), (225, 228, 235))
    font = ImageFont.load_default(22)
    for i in range(12):
        text = f"MARCA HONDA {i} MODELO CR-V PRECIO 555,000.00"
        ImageDraw.Draw(page).text((60, 30 + 44 * i), text, (30, 30, 40), font)
    assert is_paper(np.asarray(page))
    for seed in range(4):
        for picture in (car(seed), cabin(seed), paper(seed)):
            assert not is_paper(picture)
    assert not is_paper(np.full((300, 400, 3), 240, np.uint8))
