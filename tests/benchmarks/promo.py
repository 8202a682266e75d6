"""The promo as we make it, the same frames through moviepy's writer, and the same timeline composed
of moviepy's own clips.

    python -m tests.benchmarks.promo [--pictures FOLDER] [--seconds 20] [--rounds 3]

All get the same pictures, shots, windows, fades, words and x264 settings, at 1080p30, and run in
turn, each round in processes of their own. moviepy's composition is the ordinary one: ImageClips
resized and placed by functions of time, CrossFadeIn, CompositeVideoClip, write_videofile; the
wipe, which moviepy has no effect for, is a crossfade there, and the words fade without rising, so
moviepy has the easier work. Prints wall and CPU seconds (encoder included) and the ratio; with
`--look FOLDER` it keeps both clips and prints how much their frames differ.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.photo import codec
from okla_assets.imaging.promo import (
    cards as cards,
    frames as fr,
    moves as moves,
    timeline as tl,
    yuv,
)
from okla_assets.imaging.promo.layers import Layer
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from resources.decoding.moviepy_encoder import MoviePyEncoder
from resources.decoding.promo_encoder import X264, PromoEncoder
from resources.fonts import fonts_for

SIZE = (1920, 1080)
WORDS = cards.Words(
    "Honda CR-V EX 2023", "RD$ 1,895,000", ("32,000 km", "Automática", "AWD"), "+1 809 555 0134"
)
ENCODER = PromoEncoder()


@dataclass(frozen=True)
class Work:
    """What both engines are given."""

    timeline: tl.Timeline
    stage: fr.Stage


def made_pictures() -> dict[str, npt.NDArray[np.uint8]]:
    """Twelve pictures of 1600x1200: studio scenes with a block of detail, and busy close-ups."""
    rng = np.random.default_rng(1)
    found = {}
    for i in range(6):
        scene = np.asarray(
            cv2.convertScaleAbs(WHITE_STUDIO.render(1600, 1200, 0.3, 0.82)), np.uint8
        )
        detail = cv2.resize(rng.integers(0, 200, (60, 110, 3), np.uint8), (1100, 560))
        scene[418:978, 250:1350] = detail
        found[f"exterior_{i}"] = scene
        busy = rng.integers(0, 255, (150, 200, 3), np.uint8)
        found[f"interior_{i}"] = np.asarray(cv2.resize(busy, (1600, 1200)), np.uint8)
    return found


def work(folder: Path | None, seconds: float) -> Work:
    """The timeline of the folder's finished pictures (processed/VEHICLE), or of made ones."""
    if folder is None:
        pictures = made_pictures()
    else:
        names = ("exterior", "interior")
        files = [p for n in names for p in sorted(folder.glob(f"{n}_*_processed.jpg"))[:7]]
        pictures = {path.stem: codec.decode_trusted(path.read_bytes()) for path in files}
    car = moves.studio_place(1100, 560, 4 / 3)
    shown = [
        tl.Picture(name, "exterior", angle, car=car, plain=True)
        if name.startswith("exterior")
        else tl.Picture(name, "interior")
        for name, angle in zip(pictures, [*tl.ANGLES[:5], *[None] * len(pictures)], strict=False)
    ]
    template = tl.load_template()
    pace = template.pace.model_copy(update={"least_seconds": seconds, "most_seconds": seconds})
    template = template.model_copy(update={"pace": pace})
    timeline = tl.plan(template, shown, ENCODER.fps, SIZE, has_spin=False)
    fonts = fonts_for(WORDS.texts)
    stage = cards.stage(timeline, WORDS, fonts, template.look, SIZE, lambda key: pictures[key], ())
    return Work(timeline, stage)


def ours(given: Work, path: Path) -> None:
    """As the asset makes it."""
    ENCODER.encode(fr.frames(given.timeline, given.stage), given.timeline.frames, SIZE, path)


def writers(given: Work, path: Path) -> None:
    """Our frames through moviepy's writer."""
    encoder = MoviePyEncoder()
    encoder.encode(fr.frames(given.timeline, given.stage), given.timeline.frames, SIZE, path)


def moviepys(given: Work, path: Path) -> None:
    """The same shots as moviepy's clips."""
    import moviepy as mp

    fps = ENCODER.fps
    clips: list[Any] = []
    for shot, layers in zip(given.timeline.shots, given.stage.layers, strict=True):
        seconds = shot.length / fps
        parts = [_background(shot, given.stage, seconds), *(_words(x, seconds) for x in layers)]
        clip = mp.CompositeVideoClip(parts, size=SIZE).with_duration(seconds)
        clip = clip.with_start(shot.start / fps)
        if shot.overlap:
            clip = clip.with_effects([mp.vfx.CrossFadeIn(shot.overlap / fps)])
        clips.append(clip)
    whole = mp.CompositeVideoClip(clips, size=SIZE).with_duration(given.timeline.seconds)
    whole = whole.with_effects([mp.vfx.FadeOut(fr.LAST_FADE_SECONDS)])
    settings = ["-crf", str(ENCODER.crf), "-profile:v", "high", "-pix_fmt", "yuv420p"]
    settings += ["-x264-params", X264, "-g", str(2 * fps), "-movflags", "+faststart"]
    whole.write_videofile(
        str(path), fps=fps, codec="libx264", preset=ENCODER.preset, audio=False,
        threads=ENCODER.threads, ffmpeg_params=settings, logger=None,
    )  # fmt: skip


def _background(shot: tl.Shot, stage: fr.Stage, seconds: float) -> Any:
    import moviepy as mp

    if shot.picture is None or shot.move is None:
        return mp.ImageClip(yuv.to_rgb(stage.card)).with_duration(seconds)
    picture = stage.load(shot.picture.key)
    size = (picture.shape[1], picture.shape[0])
    way = moves.path(shot.picture, shot.move, size, SIZE, shot.caption is not None)
    zoom: Callable[[float], float] = lambda t: SIZE[0] / way.at(t / seconds).w  # noqa: E731
    clip = mp.ImageClip(picture).with_duration(seconds).resized(zoom)

    def place(t: float) -> tuple[float, float]:
        window = way.at(t / seconds)
        return -window.x * zoom(t), -window.y * zoom(t)

    return clip.with_position(place)


def _words(layer: Layer, seconds: float) -> Any:
    import moviepy as mp

    height, width = layer.weights.shape
    planes = np.empty((height * 3 // 2, width), np.uint8)
    for plane, values in zip(
        yuv.planes_of(planes).values(),
        (layer.planes.y, layer.planes.u, layer.planes.v),
        strict=True,
    ):
        plane[:] = values
    rgba = np.dstack([yuv.to_rgb(planes), layer.weights])
    end = seconds if layer.end is None else layer.end
    clip = mp.ImageClip(rgba, transparent=True).with_position((layer.x, layer.y))
    fades = [mp.vfx.CrossFadeIn(layer.fade)]
    if layer.end is not None:
        fades.append(mp.vfx.CrossFadeOut(layer.fade))
    return clip.with_duration(end - layer.begin).with_effects(fades).with_start(layer.begin)


ENGINES = {"ours": ours, "writer": writers, "moviepy": moviepys}


def _one(engine: str, folder: Path | None, seconds: float, path: Path) -> None:
    """One clip in this process; prints wall and CPU seconds as JSON."""
    given = work(folder, seconds)
    if engine != "ours":
        import moviepy  # noqa: F401  its import is no part of the work
    before, began = os.times(), time.perf_counter()
    ENGINES[engine](given, path)
    after, wall = os.times(), time.perf_counter() - began
    cpu = sum(after[:4]) - sum(before[:4])
    encoder = after.children_user + after.children_system
    encoder -= before.children_user + before.children_system
    print(json.dumps({"wall": wall, "cpu": cpu, "encoder": encoder,
                      "frames": given.timeline.frames}))  # fmt: skip


def _differences(paths: Sequence[Path]) -> float:
    """Mean difference of luma between the two clips, a frame a second."""
    found = []
    films = [cv2.VideoCapture(str(path)) for path in paths]
    number = 0
    while all(film.grab() for film in films):
        if number % ENCODER.fps == ENCODER.fps // 2:
            a, b = (cv2.cvtColor(f.retrieve()[1], cv2.COLOR_BGR2GRAY).astype(int) for f in films)
            found.append(float(np.abs(a - b).mean()))
        number += 1
    return float(np.median(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--look", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        _one(args.one[0], args.pictures, args.seconds, Path(args.one[1]))
        return
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.look or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        clips = {engine: folder / f"{engine}.mp4" for engine in ENGINES}
        for number in range(args.rounds):
            for engine, path in clips.items():
                command = [sys.executable, "-m", "tests.benchmarks.promo", "--seconds",
                           str(args.seconds), "--one", engine, str(path)]  # fmt: skip
                command += ["--pictures", str(args.pictures)] if args.pictures else []
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                took = json.loads(said.splitlines()[-1])
                print(f"round {number + 1} {engine:8}", {k: round(v, 1) for k, v in took.items()})
                if engine not in best or took["wall"] < best[engine]["wall"]:
                    best[engine] = took
        difference = _differences([clips["ours"], clips["moviepy"]])
        written = _differences([clips["ours"], clips["writer"]])
    for key in ("wall", "cpu"):
        for engine, took in best.items():
            print(f"{key}: {engine} {took[key]:.1f} s, {took[key] / best['ours'][key]:.2f} of ours")
    print(f"median difference of luma from ours: writer {written:.2f}, moviepy {difference:.2f}")


if __name__ == "__main__":
    main()
