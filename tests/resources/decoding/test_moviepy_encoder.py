"""MoviePy as the promo's engine: the same film as ours, and what an owner makes of it."""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.promo.audio import arrange
from okla_assets.imaging.promo.yuv import from_rgb
from resources.decoding import moviepy_encoder
from resources.decoding.moviepy_encoder import MoviePyEncoder
from resources.decoding.promo_encoder import Music, PromoEncoder
from resources.errors import BadInput, BrokenSetup
from tests.resources.decoding.test_promo_encoder import boxes, said_of, song

SIZE = (320, 180)
COUNT = 12


def frames() -> Iterator[npt.NDArray[np.uint8]]:
    """A soft coloured picture that moves."""
    y, x = np.mgrid[:180, :320]
    for i in range(COUNT):
        red = 128 + 100 * np.sin((x + 4 * i) / 25)
        rgb = np.dstack([red, 100 + y / 2, 200 - x / 3]).clip(0, 255).astype(np.uint8)
        yield from_rgb(rgb)


def planes(path: Path) -> npt.NDArray[np.int_]:
    """All frames as they are stored, planar YUV 4:2:0."""
    with av.open(str(path)) as film:
        return np.array([f.to_ndarray(format="yuv420p") for f in film.decode(video=0)], int)


def shown(path: Path) -> list[npt.NDArray[np.uint8]]:
    film, found = cv2.VideoCapture(str(path)), []
    while film.grab():
        found.append(np.asarray(film.retrieve()[1], np.uint8))
    return found


def test_its_film_is_ours(tmp_path: Path) -> None:
    music = Music(arrange(song(), COUNT / 30), 3.0)
    # Hardly compressed, so that what is compared is the frames and not x264's noise.
    for encoder, name in ((PromoEncoder(crf=1), "ours.mp4"), (MoviePyEncoder(crf=1), "theirs.mp4")):
        encoder.encode(frames(), COUNT, SIZE, tmp_path / name, music)
    ours, theirs = planes(tmp_path / "ours.mp4"), planes(tmp_path / "theirs.mp4")
    assert len(ours) == COUNT
    assert np.abs(ours - theirs).max() <= 2
    said = said_of(tmp_path / "theirs.mp4")
    assert "h264 (High)" in said
    assert "yuv420p(tv, bt709" in said
    assert "Audio: aac" in said
    names = boxes((tmp_path / "theirs.mp4").read_bytes())
    assert names.index("moov") < names.index("mdat")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.mp4", "theirs.mp4"]


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    music = Music(arrange(song(), COUNT / 30), 3.0)
    for name in ("a.mp4", "b.mp4"):
        MoviePyEncoder().encode(frames(), COUNT, SIZE, tmp_path / name, music)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def composed(tmp_path: Path, body: str) -> MoviePyEncoder:
    (tmp_path / "mine.py").write_text(f"import moviepy as mp\n\ndef compose(clip):\n    {body}\n")
    return MoviePyEncoder(composition=str(tmp_path / "mine.py"))


def test_an_owners_composition_is_the_promo(tmp_path: Path) -> None:
    logo = "mp.ColorClip((40, 40), color=(255, 0, 0)).with_duration(clip.duration)"
    own = composed(tmp_path, f"return mp.CompositeVideoClip([clip, {logo}])")
    own.encode(frames(), COUNT, SIZE, tmp_path / "own.mp4", Music(arrange(song(), 0.4), 3.0))
    film = shown(tmp_path / "own.mp4")
    assert len(film) == COUNT
    blue, green, red = film[5][20, 20]
    assert red > 200
    assert max(blue, green) < 60
    assert "Audio: aac" in said_of(tmp_path / "own.mp4")
    assert own.fingerprint() != MoviePyEncoder().fingerprint() != PromoEncoder().fingerprint()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return None", "compose returned None, no VideoClip"),
        ("return clip.resized(0.5)", r"makes .*160.* of a clip of .*320.* pixels"),
        ("return clip.with_duration(9)", r"makes 9 s of a clip of 0\.4 s"),
        ("return clip.with_effects([mp.vfx.TimeMirror()])", "after frame 11; it can have them in"),
    ],
)
def test_a_composition_that_cannot_be_the_promo_is_refused(
    body: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=told):
        composed(tmp_path, body).encode(frames(), COUNT, SIZE, tmp_path / "own.mp4")


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"composition: .*none\.py: there is no such file"):
        MoviePyEncoder(composition=str(tmp_path / "none.py")).fingerprint()
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(BadInput, match=r"empty\.py: has no function compose"):
        MoviePyEncoder(composition=str(tmp_path / "empty.py")).encode(
            frames(), COUNT, SIZE, tmp_path / "own.mp4"
        )
    with pytest.raises(BrokenSetup, match="MoviePy could not write the promo video"):
        MoviePyEncoder().encode(frames(), COUNT, SIZE, tmp_path / "nowhere" / "own.mp4")
    monkeypatch.setitem(__import__("sys").modules, "moviepy", None)
    with pytest.raises(BrokenSetup, match=r"moviepy is not installed.*okla-media\[moviepy\]"):
        moviepy_encoder._moviepy()
