"""The promo's frames, drawn where the encoder wants them: planar YUV 4:2:0, BT.709, video range.

A picture is brought once to a sheet, a little larger than the frame and already in YUV; a frame is
then one affine warp a plane. Half as many samples as in RGB pass through the warp, and the encoder
has nothing to convert. Frames are uint8 (H * 3 / 2, W): the luma rows, then U, then V.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.promo import moves as moves
from okla_assets.imaging.promo.timeline import Picture, Shot, Timeline
from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.types import Rgb

Plane = npt.NDArray[np.uint8]
Frame = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]

# ITU-R BT.709, 8 bits, video range: luma 16..235, chroma 16..240.
_KR, _KB = 0.2126, 0.0722
_TO_YUV = np.array(
    [
        [219 / 255 * _KR, 219 / 255 * (1 - _KR - _KB), 219 / 255 * _KB, 16],
        [
            -112 / 255 * _KR / (1 - _KB),
            -112 / 255 * (1 - _KR - _KB) / (1 - _KB),
            112 / 255,
            128,
        ],
        [
            112 / 255,
            -112 / 255 * (1 - _KR - _KB) / (1 - _KR),
            -112 / 255 * _KB / (1 - _KR),
            128,
        ],
    ]
)
WIPE_EDGE = 0.35
"""Width of a wipe's soft edge, as a share of the frame."""
BACKDROP_LIGHT = 0.55
"""How bright the blurred picture behind a picture is that does not fill the frame."""
LAST_FADE_SECONDS = 0.5
MOST_MORPHED = 14.0
"""Degrees between two pictures of a turn up to which the way between them is found: at 10 a car
moves as if filmed, at 22 its lamps and wheels come apart."""
QUICK_BLEND = 0.3
"""Across wider gaps, the share of the time in which one picture gives way to the next."""
FLOW_WIDTH = 480
"""Motion between two frames of the turn is searched on copies of this width."""


@dataclass(frozen=True)
class Yuv:
    """A picture's planes; U and V have half its width and height, both of which are even."""

    y: Plane
    u: Plane
    v: Plane


@dataclass(frozen=True)
class Sheet:
    """Part of a picture's plane: `origin` in the picture's pixels, `scale` sheet pixels to one."""

    planes: Yuv
    origin: tuple[float, float]
    scale: float


def to_yuv(rgb: Rgb) -> Yuv:
    """The picture's planes; its width and height must be even."""
    full = cv2.transform(rgb, _TO_YUV)
    half = cv2.resize(full[..., 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    y, u, v = full[..., 0], half[..., 0], half[..., 1]
    return Yuv(*(np.ascontiguousarray(plane, np.uint8) for plane in (y, u, v)))


def to_rgb(frame: Frame) -> Rgb:
    """A frame as RGB uint8 (H, W, 3)."""
    y, u, v = (plane.astype(np.float32) for plane in planes_of(frame).values())
    size = (y.shape[1], y.shape[0])
    # Chroma lies on the left of its luma pixels: half a luma pixel off the middle.
    place = np.array([[0.5, 0, 0.0], [0, 0.5, -0.25]])
    warp = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    full = [
        y,
        *(
            cv2.warpAffine(c, place, size, flags=warp, borderMode=cv2.BORDER_REPLICATE)
            for c in (u, v)
        ),
    ]
    back = np.linalg.inv(_TO_YUV[:, :3])
    yuv = np.dstack(full) - _TO_YUV[:, 3].astype(np.float32)
    return np.asarray(cv2.convertScaleAbs(cv2.transform(yuv, back).clip(0, 255)), np.uint8)


def planes_of(frame: Frame) -> dict[str, Plane]:
    """Views of a frame's planes: y, u, v."""
    width, height = frame.shape[1], frame.shape[0] * 2 // 3
    chroma = frame[height:].reshape(2, height // 2, width // 2)
    return {"y": frame[:height], "u": chroma[0], "v": chroma[1]}


def blank(size: tuple[int, int], rgb: tuple[int, int, int]) -> Frame:
    """A frame (width, height) of one colour."""
    width, height = size
    frame = np.empty((height * 3 // 2, width), np.uint8)
    yuv = _TO_YUV[:, :3] @ np.array(rgb) + _TO_YUV[:, 3]
    for plane, value in zip(planes_of(frame).values(), yuv, strict=True):
        plane[:] = round(float(value))
    return frame


def from_rgb(rgb: Rgb) -> Frame:
    """An RGB picture as a frame; width and height must be even."""
    found = to_yuv(rgb)
    frame = np.empty((rgb.shape[0] * 3 // 2, rgb.shape[1]), np.uint8)
    for plane, values in zip(planes_of(frame).values(), (found.y, found.u, found.v), strict=True):
        plane[:] = values
    return frame


# --- words and panels -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """Something drawn over a shot: planes and their weights (0..255), at even (x, y).

    It fades in at `begin` and is gone at `end` (seconds of the shot; None stays), rising by `rise`
    pixels while it comes.
    """

    planes: Yuv
    weights: Plane
    half_weights: Plane
    x: int
    y: int
    begin: float = 0.0
    end: float | None = None
    fade: float = 0.45
    rise: float = 0.0


def layer(
    rgba: npt.NDArray[np.uint8],
    x: int,
    y: int,
    *,
    begin: float = 0.0,
    end: float | None = None,
    rise: float = 0.0,
) -> Layer:
    """A layer of an RGBA picture (straight alpha) whose corner is at (x, y) of the frame."""
    left, top = x % 2, y % 2
    height, width = rgba.shape[:2]
    padding = ((top, (top + height) % 2), (left, (left + width) % 2), (0, 0))
    even = np.pad(rgba, padding, mode="edge")
    even[..., 3] = np.pad(rgba[..., 3], padding[:2])
    weights = np.ascontiguousarray(even[..., 3])
    half = cv2.resize(weights, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    planes = to_yuv(np.ascontiguousarray(even[..., :3]))
    return Layer(
        planes, weights, np.asarray(half, np.uint8), x - left, y - top, begin, end, rise=rise
    )


def draw_layer(frame: Frame, drawn: Layer, seconds: float) -> None:
    """Blends a layer into a frame as it is `seconds` into its shot."""
    strength = min(max((seconds - drawn.begin) / drawn.fade, 0.0), 1.0)
    coming = strength
    if drawn.end is not None:
        strength = min(strength, max((drawn.end - seconds) / drawn.fade, 0.0))
    if strength <= 0:
        return
    sink = drawn.rise * (1 - moves.ease(coming)) if drawn.rise else 0.0
    for name, plane in planes_of(frame).items():
        halves = 1 if name == "y" else 2
        weights = drawn.weights if name == "y" else drawn.half_weights
        values = getattr(drawn.planes, name)
        x, y = drawn.x // halves, drawn.y // halves
        if sink:
            weights = _shifted(weights, sink / halves)
            values = _shifted(values, sink / halves)
        if strength < 1:
            weights = np.asarray(cv2.convertScaleAbs(weights, alpha=strength), np.uint8)
        h, w = weights.shape
        part = plane[y : y + h, x : x + w]
        part[:] = _mix(part, values[: part.shape[0], : part.shape[1]], weights)


def _shifted(plane: Plane, down: float) -> Plane:
    """The plane moved down by a fraction of a pixel or more; what leaves is lost."""
    height, width = plane.shape
    warp = np.array([[1, 0, 0], [0, 1, down]], np.float64)
    edge = cv2.BORDER_CONSTANT
    return np.asarray(cv2.warpAffine(plane, warp, (width, height), borderMode=edge), np.uint8)


def _mix(under: Plane, over: Plane, weights: Plane) -> Plane:
    weights = weights[: under.shape[0], : under.shape[1]]
    kept = cv2.multiply(under, 255 - weights, scale=1 / 255)
    return np.asarray(cv2.add(kept, cv2.multiply(over, weights, scale=1 / 255)), np.uint8)


# --- sheets ---------------------------------------------------------------------------------------


def make_sheet(picture: Rgb, bounds: moves.Window, scale: float, plain: bool) -> Sheet:
    """The part of the picture's plane inside `bounds`, at `scale`.

    Beyond the picture a studio scene (`plain`) goes on as its border is; anything else stands
    before a blurred, darker copy of itself.
    """
    height, width = picture.shape[:2]
    x0, y0 = np.floor(bounds.x) - 2, np.floor(bounds.y) - 2
    x1, y1 = np.ceil(bounds.x + bounds.w) + 2, np.ceil(bounds.y + bounds.h) + 2
    inside = [max(0, int(x0)), max(0, int(y0)), min(width, int(x1)), min(height, int(y1))]
    part = picture[inside[1] : inside[3], inside[0] : inside[2]]
    size = (_even((x1 - x0) * scale), _even((y1 - y0) * scale))
    # The part keeps its exact scale: a rounded one would move the vehicle within the sheet.
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(
        part,
        (round(part.shape[1] * scale), round(part.shape[0] * scale)),
        interpolation=method,
    )
    place = np.array(
        [
            [small.shape[1] / part.shape[1] / scale, 0, 0.0],
            [0, small.shape[0] / part.shape[0] / scale, 0.0],
        ]
    )
    left, top = (inside[0] - x0) * scale, (inside[1] - y0) * scale
    place[:, 2] = [
        place[0, 0] * (0.5 - left) - 0.5,
        place[1, 1] * (0.5 - top) - 0.5,
    ]
    warp = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = inside[0] <= x0 and inside[1] <= y0 and inside[2] >= x1 and inside[3] >= y1
    edge = cv2.BORDER_REPLICATE
    if plain and not whole:
        small = _calm_border(np.asarray(small, np.uint8))
    sheet = cv2.warpAffine(small, place, size, flags=warp, borderMode=edge)
    if plain and not whole:
        # One grey level spans many rows of so smooth a scene: without noise it shows as bands.
        sheet += np.random.default_rng(7).triangular(-1, 0, 1, sheet.shape[:2])[..., None]
        sheet = cv2.convertScaleAbs(sheet)
    if not plain and not whole:
        mask = np.full(small.shape[:2], 255, np.uint8)
        mask = cv2.warpAffine(mask, place, size, flags=warp)
        sheet = _over_backdrop(np.asarray(sheet, np.uint8), np.asarray(mask, np.uint8), part)
    return Sheet(to_yuv(np.asarray(sheet, np.uint8)), (float(x0), float(y0)), scale)


def _calm_border(picture: Rgb) -> npt.NDArray[np.float32]:
    """The picture whose outermost pixels are smoothed along the border, to be continued from."""
    calm = picture.astype(np.float32)
    depth, blur = 6, (0, 0)
    for turned in (calm, calm.transpose(1, 0, 2)):
        for rows in (slice(0, depth), slice(-depth, None)):
            line = turned[rows].mean(axis=0, keepdims=True)
            sigma = max(2.0, line.shape[1] / 60)
            smooth = cv2.GaussianBlur(line, blur, sigma, borderType=cv2.BORDER_REPLICATE)
            turned[0 if rows.start == 0 else -1] = smooth[0]
    return calm


def _over_backdrop(sheet: Rgb, mask: Plane, part: Rgb) -> Rgb:
    height, width = sheet.shape[:2]
    tiny = cv2.resize(part, (64, max(2, 64 * height // width)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(tiny, (0, 0), 4)
    large = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)
    large = cv2.convertScaleAbs(large, alpha=BACKDROP_LIGHT)
    weights = cv2.merge([mask] * 3)
    kept = cv2.multiply(large, 255 - weights, scale=1 / 255)
    return np.asarray(cv2.add(kept, cv2.multiply(sheet, weights, scale=1 / 255)), np.uint8)


def _even(length: float) -> int:
    return max(2, int(np.ceil(length / 2)) * 2)


def look(sheet: Sheet, window: moves.Window, frame: Frame) -> None:
    """Fills the frame with what the window shows of the sheet."""
    planes = planes_of(frame)
    height, width = planes["y"].shape
    luma, chroma = moves.matrices(window, sheet.origin, sheet.scale, (width, height))
    for name, plane in planes.items():
        matrix = luma if name == "y" else chroma
        cv2.warpAffine(
            getattr(sheet.planes, name),
            matrix,
            (plane.shape[1], plane.shape[0]),
            dst=plane,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )


# --- transitions ----------------------------------------------------------------------------------


def blend(before: Frame, after: Frame, progress: float, kind: str, between: Frame) -> Frame:
    """A frame of a transition at progress 0..1; a dip goes through the frame `between`."""
    share = moves.ease(progress)
    if kind == "dip":
        first, second = (before, between) if share < 0.5 else (between, after)
        share = share * 2 if share < 0.5 else share * 2 - 1
        return np.asarray(cv2.addWeighted(first, 1 - share, second, share, 0), np.uint8)
    if kind == "wipe":
        return _wiped(before, after, share)
    return np.asarray(cv2.addWeighted(before, 1 - share, after, share, 0), np.uint8)


def _wiped(before: Frame, after: Frame, share: float) -> Frame:
    """The new shot comes from the left behind a soft edge."""
    out = np.empty_like(before)
    olds, news = planes_of(before), planes_of(after)
    for name, plane in planes_of(out).items():
        across = (np.arange(plane.shape[1], dtype=np.float32) + 0.5) / plane.shape[1]
        edge = ((share * (1 + WIPE_EDGE) - across) / WIPE_EDGE).clip(0, 1)
        weights = np.rint(edge * edge * (3 - 2 * edge) * 255).astype(np.uint8)
        plane[:] = _mix(olds[name], news[name], np.broadcast_to(weights, plane.shape))
    return out


# --- the turn -------------------------------------------------------------------------------------


class SpinSequence:
    """Pictures of a turn as a continuous film; `gaps` are the angles from each to the next one.

    Between near pictures a moment is morphed: dense optical flow both ways (DIS, Kroeger et al.
    2016, arXiv:1603.03590), each picture warped towards the moment, the two mixed by nearness.
    Across a wide gap flow finds no way, and one picture gives way to the next.
    """

    def __init__(self, load: Callable[[int], Rgb], gaps: Sequence[float]) -> None:
        self._load, self._gaps = load, gaps
        self._ends = np.cumsum(gaps)
        self._planes: dict[int, Yuv] = {}
        self._flows: tuple[int, tuple[Flow, Flow]] | None = None
        height, width = load(0).shape[:2]
        self.size = (width - width % 2, height - height % 2)

    def at(self, share: float) -> Yuv:
        """The picture at a share of the whole turn, 0 and 1 being the first picture."""
        angle = (share % 1.0) * float(self._ends[-1])
        index = min(int(np.searchsorted(self._ends, angle, "right")), len(self._gaps) - 1)
        after = (index + 1) % len(self._gaps)
        between = 1 - (float(self._ends[index]) - angle) / max(self._gaps[index], 1e-6)
        near = self._gaps[index] <= MOST_MORPHED
        if not near:
            between = min(max((between - 0.5) / QUICK_BLEND + 0.5, 0.0), 1.0)
        if between < 1e-3 or between > 1 - 1e-3:
            return self._picture(index if between < 0.5 else after)
        one, other = self._picture(index), self._picture(after)
        for old in [k for k in self._planes if k not in (index, after)]:
            del self._planes[old]
        if near:
            return _morphed(one, other, *self._flow(index, one.y, other.y), between)
        planes = ((getattr(one, n), getattr(other, n)) for n in ("y", "u", "v"))
        mixed = (cv2.addWeighted(a, 1 - between, b, between, 0) for a, b in planes)
        return Yuv(*(np.asarray(plane, np.uint8) for plane in mixed))

    def _picture(self, index: int) -> Yuv:
        if index not in self._planes:
            width, height = self.size
            picture = self._load(index)
            if picture.shape[:2] != (height, width):
                picture = picture[:height, :width]
            # An upright frame continues the scene far beyond it: noise would become stripes.
            calm = cv2.convertScaleAbs(_calm_border(picture))
            self._planes[index] = to_yuv(np.asarray(calm, np.uint8))
        return self._planes[index]

    def _flow(self, index: int, one: Plane, other: Plane) -> tuple[Flow, Flow]:
        if self._flows is None or self._flows[0] != index:
            scale = min(1.0, FLOW_WIDTH / one.shape[1])
            a, b = (
                cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                for p in (one, other)
            )
            search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            # DIS reuses the buffer it is given: each direction gets its own.
            forth, back = (
                np.asarray(search.calc(p, q, np.zeros((*p.shape, 2), np.float32)), np.float32)
                for p, q in ((a, b), (b, a))
            )
            self._flows = index, (forth / scale, back / scale)
        return self._flows[1]


def _morphed(
    one: Yuv,
    other: Yuv,
    forth: Flow,
    back: Flow,
    share: float,
) -> Yuv:
    """`share` of the way from one picture to the other; flows in pixels of the luma plane."""
    mixed = []
    for name in ("y", "u", "v"):
        a, b = getattr(one, name), getattr(other, name)
        if name != "v":  # U and V share their maps
            size, smaller = (a.shape[1], a.shape[0]), 1 if name == "y" else 2
            # The flow of the picture itself, backwards: exact where the flow is smooth.
            to_one = _map(size, forth, share / smaller)
            to_other = _map(size, back, (1 - share) / smaller)
        near = cv2.remap(a, *to_one, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        far = cv2.remap(b, *to_other, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mixed.append(np.asarray(cv2.addWeighted(near, 1 - share, far, share, 0), np.uint8))
    return Yuv(*mixed)


def _map(size: tuple[int, int], flow: Flow, share: float) -> tuple[Flow, Flow]:
    """Where each pixel of a plane comes from: columns and rows."""
    x, y = _grid(*size)
    back_x, back_y = (cv2.resize(part, size) * np.float32(share) for part in cv2.split(flow))
    return x - back_x, y - back_y


@lru_cache(maxsize=4)
def _grid(width: int, height: int) -> tuple[Flow, Flow]:
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return x[None, :], y[:, None]


# --- the clip -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """What the frames are made from: pictures by key, the turn (keys and gaps), card and layers.

    `scene` is the studio scene of the turn's pictures.
    `card` is the background of the opening and closing card, `edge` the colour that dips go
    through, `layers` what is drawn over the shot of that position.
    """

    size: tuple[int, int]
    load: Callable[[str], Rgb]
    spin: Sequence[tuple[str, float]]
    scene: Scene
    card: Frame
    edge: tuple[int, int, int]
    layers: Sequence[Sequence[Layer]]


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
            look(sheet, way.at(index / last), canvas)
            return canvas

        return paint
    return _turning(shot, stage, canvas, last)


def _turning(shot: Shot, stage: Stage, canvas: Frame, last: int) -> Painter:
    """The turn, once around; what lies beyond its pictures goes on as their border is."""
    assert shot.move is not None
    turn = SpinSequence(lambda i: stage.load(stage.spin[i][0]), [gap for _, gap in stage.spin])
    car = Picture("spin", "exterior", car=moves.spin_place(stage.scene), plain=True)
    way = moves.path(car, shot.move, turn.size, stage.size, False)

    def paint(index: int) -> Frame:
        planes = turn.at(moves.ease(index / last))
        look(Sheet(planes, (0.0, 0.0), 1.0), way.at(index / last), canvas)
        return canvas

    return paint
