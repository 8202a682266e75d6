"""The promo's frames, one after the other, for the encoder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from okla_assets.imaging.promo import moves
from okla_assets.imaging.promo.layers import Layer, draw_layer
from okla_assets.imaging.promo.sheets import Sheet, draw_window, make_sheet
from okla_assets.imaging.promo.spin_sequence import SpinSequence
from okla_assets.imaging.promo.timeline import Picture, Shot, Timeline
from okla_assets.imaging.promo.transitions import blend
from okla_assets.imaging.promo.yuv import Frame, blank, to_rgb
from okla_assets.imaging.types import Rgb

LAST_FADE_SECONDS = 0.5


@dataclass(frozen=True)
class Stage:
    """What the frames are made from: pictures by key, the turn (keys and gaps), card and layers.

    `card` is the background of the opening and closing card, `edge` the colour that dips go
    through, `layers` what is drawn over the shot of that position. `composed` says that the turn
    was made for the frame's own format.
    """

    size: tuple[int, int]
    load: Callable[[str], Rgb]
    spin: Sequence[tuple[str, float]]
    card: Frame
    edge: tuple[int, int, int]
    layers: Sequence[Sequence[Layer]]
    composed: bool = False


Painter = Callable[[int], Frame]


def frames(timeline: Timeline, stage: Stage) -> Iterator[Frame]:
    """Every frame of the clip in order. A frame may be reused after the next one is asked for."""
    edge = blank(stage.size, stage.edge)
    painters: dict[int, Painter] = {}
    shots = timeline.shots
    current = 0
    fade = round(LAST_FADE_SECONDS * timeline.fps)
    for number in range(timeline.frames):
        if (
            current + 1 < len(shots)
            and number >= shots[current + 1].start + shots[current + 1].overlap
        ):
            painters.pop(current, None)
            current += 1
        frame = _painted(current, number, timeline, stage, painters)
        following = current + 1
        if following < len(shots) and number >= shots[following].start:
            shot = shots[following]
            after = _painted(following, number, timeline, stage, painters)
            progress = (number - shot.start + 1) / (shot.overlap + 1)
            frame = blend(frame, after, progress, shot.into, edge)
        left = timeline.frames - 1 - number
        if left < fade:
            frame = blend(frame, edge, 1 - left / fade, "fade", edge)
        yield frame


def poster(timeline: Timeline, stage: Stage, share: float) -> Rgb:
    """The first shot of a picture as it is after this share of its time, as RGB."""
    position, shot = next((i, s) for i, s in enumerate(timeline.shots) if s.picture)
    return to_rgb(_painted(position, shot.start + int(share * shot.length), timeline, stage, {}))


def _painted(
    position: int, number: int, timeline: Timeline, stage: Stage, painters: dict[int, Painter]
) -> Frame:
    shot = timeline.shots[position]
    if position not in painters:
        painters[position] = _painter(shot, stage)
    frame = painters[position](number - shot.start)
    for drawn in stage.layers[position]:
        draw_layer(frame, drawn, (number - shot.start) / timeline.fps)
    return frame


def _painter(shot: Shot, stage: Stage) -> Painter:
    if shot.shows in ("opening", "closing"):
        return lambda _: stage.card.copy()
    if shot.move is None:
        raise ValueError(f"a shot of the {shot.shows} needs a move")
    width, height = stage.size
    canvas = np.empty((height * 3 // 2, width), np.uint8)
    last = max(1, shot.length - 1)
    if shot.picture is not None:
        picture = stage.load(shot.picture.key)
        size = (picture.shape[1], picture.shape[0])
        way = moves.path(shot.picture, shot.move, size, stage.size, shot.caption is not None)
        scale = width / min(way.begin.w, way.end.w)
        sheet = make_sheet(picture, way.bounds, scale, shot.picture.plain)

        def paint(index: int) -> Frame:
            draw_window(sheet, way.at(index / last), canvas)
            return canvas

        return paint
    return _turning(shot, stage, canvas, last)


def _turning(shot: Shot, stage: Stage, canvas: Frame, last: int) -> Painter:
    """The turn, once around; what lies beyond its pictures goes on as their border is."""
    assert shot.move is not None
    turn = SpinSequence(lambda i: stage.load(stage.spin[i][0]), [gap for _, gap in stage.spin])
    car = Picture("spin", "exterior", car=moves.spin_place(turn.size[0] / turn.size[1]), plain=True)
    car = replace(car, composed=stage.composed)
    way = moves.path(car, shot.move, turn.size, stage.size, False)

    def paint(index: int) -> Frame:
        planes = turn.at(moves.ease(index / last))
        draw_window(Sheet(planes, (0.0, 0.0), 1.0), way.at(index / last), canvas)
        return canvas

    return paint
