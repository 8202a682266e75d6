"""Cards and captions: everything written stays inside the safe margins."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from okla_assets.imaging.promo import cards, text
from okla_assets.imaging.promo.layers import draw_layer
from okla_assets.imaging.promo.timeline import Picture, TemplateName, load_template, plan
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
SPOKEN = cards.Words("Kia Rio", "RD$ 495,000", ("61,000 km", "Automática"), "")


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


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that are drawn from now on."""
    drawn: list[str] = []
    draw = text.draw_line

    def noted(line: str, *given: Any) -> Any:
        drawn.append(line)
        return draw(line, *given)

    monkeypatch.setattr(text, "draw_line", noted)
    return drawn


@pytest.mark.parametrize("size", [(640, 360), (360, 640)])
def test_lines_of_specs_begin_and_end_with_words(size: tuple[int, int], lines: list[str]) -> None:
    timeline = plan(TEMPLATE, PICTURES, 30, size, has_spin=False)
    cards.layers(timeline, LONG, fonts_for(LONG.texts), TEMPLATE.look, size)
    specs = [line for line in lines if set(line.split()) & {"Automática", "azul"}]
    assert len(specs) >= 3
    assert all(line == line.strip(" ·") for line in specs)


@pytest.mark.parametrize("size", [(640, 360), (360, 640)])
@pytest.mark.parametrize(
    "price", ["US$ 35,900 / RD$ 2,150,000 NEGOCIABLE", "DESDE RD$ 45,000 MENSUALES CON INICIAL"]
)
def test_a_price_is_never_cut(price: str, size: tuple[int, int], lines: list[str]) -> None:
    given = cards.Words("Kia", price, (), "")
    timeline = plan(TEMPLATE, PICTURES, 30, size, has_spin=False)
    cards.layers(timeline, given, fonts_for(given.texts), TEMPLATE.look, size)
    assert lines.count(price) == 3


def test_the_opening_card_is_whole_in_the_first_frame() -> None:
    """Messengers show a film's first frame."""
    size = (640, 360)
    timeline = plan(TEMPLATE, PICTURES, 30, size, has_spin=False)
    layers = cards.layers(timeline, LONG, fonts_for(LONG.texts), TEMPLATE.look, size)[0]
    shown = []
    for seconds in (0.0, 2.0):
        shown.append(cards.card(size, TEMPLATE.look))
        for layer in layers:
            draw_layer(shown[-1], layer, seconds)
    assert np.array_equal(shown[0], shown[1])


@pytest.mark.parametrize("name", get_args(TemplateName))
@pytest.mark.parametrize("count", [1, 3, 8])
def test_captions_stay_long_enough_to_be_read(name: TemplateName, count: int) -> None:
    template, size = load_template(name), (64, 36)
    pictures = [replace(PICTURES[i % 2], key=str(i)) for i in range(count)]
    timeline = plan(template, pictures, 30, size, has_spin=True)
    drawn = cards.layers(timeline, SPOKEN, fonts_for(SPOKEN.texts), template.look, size)
    panels = [layers[0] for shot, layers in zip(timeline.shots, drawn, strict=True) if shot.caption]
    assert panels
    for panel in panels:
        assert panel.end is not None
        assert panel.end - panel.begin - 2 * panel.fade >= 1


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
