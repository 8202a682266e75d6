"""Cards and captions: everything written stays inside the safe margins."""

import numpy as np
import pytest

from okla_assets.imaging.promo import cards
from okla_assets.imaging.promo.layers import draw_layer
from okla_assets.imaging.promo.timeline import Picture, load_template, plan
from okla_assets.imaging.promo.yuv import planes_of
from resources.fonts import fonts_for

TEMPLATE = load_template()
PICTURES = [
    Picture("a", "exterior", "front-quarter", 90, (0.1, 0.3, 0.8, 0.5)),
    Picture("b", "exterior", "side", 90, (0.1, 0.3, 0.8, 0.5)),
]
LONG = cards.Words(
    "Mercedes-Benz Clase E 350 Cabriolet AMG Line Premium Plus Edición Única",
    "RD$ 12,895,000.00",
    ("32,000 km", "Automática", "Gasolina", "Tracción total", "Español", "Ñandú azul"),
    "Concesionario Hermanos Núñez · +1 809 555 0134 · Av. 27 de Febrero 1000",
)
ARABIC = cards.Words("تويوتا كورولا", "1,250,000$", ("أوتوماتيك",), "جديدة")
SHORT = cards.Words("Kia", "", (), "")


@pytest.mark.parametrize("size", [(640, 360), (360, 640)])
@pytest.mark.parametrize("given", [LONG, ARABIC, SHORT], ids=["long", "arabic", "short"])
def test_nothing_leaves_the_safe_margins(given: cards.Words, size: tuple[int, int]) -> None:
    fonts = fonts_for(given.texts)
    timeline = plan(TEMPLATE, PICTURES, 30, size, has_spin=False)
    width, height = size
    drawn = cards.layers(timeline, given, fonts, TEMPLATE.look, size)
    assert drawn[0] and drawn[-1]
    for shot, layers in zip(timeline.shots, drawn, strict=True):
        for layer in layers:
            rows, columns = (np.flatnonzero(layer.weights.any(axis=a)) for a in (1, 0))
            if not len(rows):
                continue
            foot = cards.PHONE_FOOT if shot.caption and width < height else cards.SAFE
            slack = 2
            assert layer.x + columns[0] >= cards.SAFE * width - slack
            assert layer.x + columns[-1] <= (1 - cards.SAFE) * width + slack
            assert layer.y + rows[0] >= cards.SAFE * height - slack
            assert layer.y + rows[-1] <= (1 - foot) * height + slack


def test_a_text_that_reads_from_the_right_stands_on_the_right() -> None:
    timeline = plan(TEMPLATE, PICTURES, 30, (640, 360), has_spin=False)
    middles = []
    for given in (SHORT, ARABIC):
        layers = cards.layers(timeline, given, fonts_for(given.texts), TEMPLATE.look, (640, 360))
        title = layers[0][1]
        middles.append(title.x + title.weights.shape[1] / 2)
    assert middles[0] < 320 < middles[1]


def test_a_title_is_drawn_light_on_the_card() -> None:
    size = (640, 360)
    frame = cards.card(size, TEMPLATE.look)
    timeline = plan(TEMPLATE, PICTURES, 30, size, has_spin=False)
    before = planes_of(frame)["y"].max()
    for layer in cards.layers(timeline, SHORT, fonts_for(["Kia"]), TEMPLATE.look, size)[0]:
        draw_layer(frame, layer, 2.0)
    assert before < 45 and planes_of(frame)["y"].max() > 225


def test_a_character_without_a_font_is_named_with_its_option() -> None:
    given = cards.Words("Kia \u0378 Rio", "1 €", ("ok",), "")
    kept, problems = cards.drawable(given, fonts_for(given.texts))
    assert kept == cards.Words("Kia Rio", "1 €", ("ok",), "")
    assert problems == ("promo_title: no font draws U+0378; left out of the video",)


def test_cards_with_nothing_to_say_are_left_out() -> None:
    assert cards.Words().cards_left_out == ("opening", "closing")
    assert cards.Words(contact="me").cards_left_out == ("opening",)
    assert cards.Words(specs=("a",)).cards_left_out == ("closing",)
