"""Words in any script: right fonts, right order, and no boxes."""

import numpy as np
import pytest

from okla_assets.imaging.promo import text as words
from resources.fonts import fonts_for

LATIN = "Ñandú Ärger Žluťoučký"
ARABIC = "تويوتا كورولا 2023 Hybrid"
TEXTS = [LATIN, ARABIC, "本田 CR-V 2023年款", "ホンダ", "होंडा सिटी", "Тойота", "รถยนต์", "רכב 2021"]


@pytest.mark.parametrize("text", TEXTS)
def test_every_script_has_a_font(text: str) -> None:
    kept, missing = fonts_for([text]).split(text)
    assert (kept, missing) == (text, ())
    assert words.draw_line(kept, fonts_for([text]), 40, 700).max() == 255


def test_accents_are_drawn_above_their_letters() -> None:
    fonts = fonts_for(["Ññ"])
    plain, accented = (words.draw_line(t, fonts, 60, 700) for t in ("N", "Ñ"))
    cap = 60 * 1.1 - 0.72 * 60 - 3  # above the capitals
    assert plain[: int(cap)].max() == 0
    assert accented[: int(cap)].max() > 200


def test_a_composed_and_a_decomposed_accent_look_alike() -> None:
    fonts = fonts_for(["é"])
    one, two = (words.clean(t) for t in ("caf\u00e9", "cafe\u0301"))
    assert one == two
    drawn = [words.draw_line(text, fonts, 40, 500) for text in (one, two)]
    assert np.array_equal(drawn[0], drawn[1])


def test_what_no_font_has_is_named_and_left_out() -> None:
    text = "Kia \U000f0000\U0010fffd Rio \u0378"
    kept, missing = fonts_for([text]).split(text)
    assert kept == "Kia Rio"
    assert missing == ("\u0378",)  # private characters are no text at all


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("abc", ["abc"]),
        ("שלום abc", ["abc", "שלום "]),
        ("abc שלום def", ["abc ", "שלום", " ", "def"]),
        ("מחיר 1,250 שח", ["שח", " ", "1,250", "מחיר "]),
        ("بسعر 900$", ["900$", "بسعر "]),
    ],
)
def test_runs_stand_in_the_order_of_the_bidirectional_algorithm(text: str, seen: list[str]) -> None:
    fonts = fonts_for([text])
    assert [run.text for run in words.visual_runs(text, fonts)] == seen


def test_indic_vowels_are_shaped() -> None:
    """The vowel sign of कि is written before its letter: shaped, it is not wider than its parts."""
    fonts = fonts_for(["कि"])
    ka, ki = (words.draw_line(t, fonts, 80, 500).max(axis=0) for t in ("क", "कि"))
    assert np.flatnonzero(ki)[-1] > np.flatnonzero(ka)[-1]


def test_long_text_is_wrapped_then_smaller_then_cut() -> None:
    fonts = fonts_for(["abc…"])
    roomy = words.fit("Honda CR-V", fonts, 700, 60, 30, 900, 2)
    assert roomy == words.Fitted(("Honda CR-V",), 60)
    wrapped = words.fit("Honda CR-V Touring Hybrid", fonts, 700, 60, 30, 500, 2)
    assert len(wrapped.lines) == 2 and wrapped.size == 60
    lengths = [words.width_of(t, fonts, 60, 700) for t in wrapped.lines]
    assert min(lengths) > 0.6 * max(lengths)
    cut = words.fit("Honda CR-V Touring Hybrid " * 5, fonts, 700, 60, 30, 500, 2)
    assert cut.size == 30 and cut.lines[-1].endswith("…")
    for found in (roomy, wrapped, cut):
        assert all(words.width_of(t, fonts, found.size, 700) <= 900 for t in found.lines)
