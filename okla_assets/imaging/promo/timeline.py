"""What a promo shows, in which order and for how long.

A template (TOML, in `templates/`) lists scenes; `plan` fills them with the pictures a vehicle
really has and lays the shots on a timeline of frames. No pixels here.
"""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

TEMPLATES = Path(__file__).with_name("templates")

Shows = Literal["opening", "hero", "spin", "exterior", "interior", "detail", "closing"]
Transition = Literal["cut", "fade", "wipe", "dip"]
Caption = Literal["title", "specs"]
Kind = Literal["exterior", "interior", "detail"]

ANGLES = ("front-quarter", "rear-quarter", "side", "front", "rear", None)
"""Which views sell a car, best first."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Framing(_Data):
    """`tight` in [0, 1] from the widest framing to the closest; `x`, `y` in [-1, 1] of the room."""

    tight: float = Field(ge=0, le=1)
    x: float = Field(ge=-1, le=1)
    y: float = Field(ge=-1, le=1)


class Move(_Data):
    """The camera's way from one framing to another."""

    begin: Framing = Field(alias="from")
    end: Framing = Field(alias="to")


class Scene(_Data):
    """Up to `most` shots of one sort in the clip, entered by the transition `into`."""

    shows: Shows
    seconds: float = Field(gt=0)
    most: int = Field(default=1, ge=1)
    most_beside_spin: int | None = None
    moves: tuple[str, ...] = ()
    caption: Caption | None = None
    into: Transition = "cut"


class Pace(_Data):
    """Bounds of the whole clip; with fewer than `least_pictures` shots pictures come again.

    A shot with a caption takes at least `least_captioned` seconds: it is read.
    """

    least_seconds: float
    most_seconds: float
    least_pictures: int
    least_captioned: float
    transition_seconds: float


class Look(_Data):
    """Colours as #rrggbb."""

    card: str
    card_edge: str
    panel: str
    text: str
    soft_text: str
    accent: str


class Template(_Data):
    """A clip's timeline as data."""

    name: str
    pace: Pace
    moves: Mapping[str, Move]
    scenes: tuple[Scene, ...]
    look: Look


TemplateName = Literal["standard", "lively", "calm"]


def load_template(name: TemplateName = "standard") -> Template:
    """The template `templates/{name}.toml`; raises FileNotFoundError or ValidationError."""
    text = (TEMPLATES / f"{name}.toml").read_text(encoding="utf-8")
    return Template.model_validate(tomllib.loads(text))


@dataclass(frozen=True)
class Picture:
    """A finished picture that may be shown.

    `car` is the whole vehicle's box in shares of the picture (x, y, w, h), None where it shows
    no whole vehicle. `plain` says that the picture is on a studio scene, whose borders can be
    continued, `upright` that it is taller than wide. `quality` in 0..100. One that is `composed`
    was made for the frame's own format (`formats`): the frame never leaves it. `vehicle` is the
    whole vehicle's width and height on its photo, in pixels.
    """

    key: str
    kind: Kind
    angle: str | None = None
    quality: int = 100
    car: tuple[float, float, float, float] | None = None
    plain: bool = False
    upright: bool = False
    composed: bool = False
    vehicle: tuple[float, float] | None = None


@dataclass(frozen=True)
class Shot:
    """One shot: from frame `start`, `length` frames long, entered over its first `overlap` frames.

    `picture` is None for cards and the spin.
    """

    shows: Shows
    seconds: float
    into: Transition
    move: Move | None = None
    picture: Picture | None = None
    caption: Caption | None = None
    start: int = 0
    length: int = 0
    overlap: int = 0


@dataclass(frozen=True)
class Timeline:
    """Shots in order; two neighbours share the later one's `overlap` frames."""

    shots: tuple[Shot, ...]
    fps: int
    frames: int = field(init=False)

    def __post_init__(self) -> None:
        last = self.shots[-1]
        object.__setattr__(self, "frames", last.start + last.length)

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


def choose_hero(pictures: Sequence[Picture]) -> Picture | None:
    """The picture that opens: a whole car before a part, the best view of it, the best quality."""
    exteriors = [p for p in pictures if p.kind == "exterior"]
    return min(exteriors, key=_rank, default=None)


def plan(
    template: Template,
    pictures: Sequence[Picture],
    fps: int,
    size: tuple[int, int],
    *,
    has_spin: bool,
    left_out: Collection[Shows] = (),
) -> Timeline:
    """The clip of these pictures for frames of `size` (width, height).

    Raises ValueError where there is no exterior to open with.
    """
    hero = choose_hero(pictures)
    if hero is None:
        raise ValueError("a promo opens with an exterior, and there is none")
    shots: list[Shot] = []
    for scene in template.scenes:
        if scene.shows not in left_out:
            shots += _shots(scene, template, pictures, hero, has_spin, size)
    return _lay(_repeated(shots, template), template.pace, fps)


def _rank(picture: Picture) -> tuple[bool, bool, int, int, str]:
    angle = picture.angle if picture.angle in ANGLES else None
    return (
        picture.car is None,
        not picture.plain,
        ANGLES.index(angle),
        -picture.quality,
        picture.key,
    )


def _shots(
    scene: Scene,
    template: Template,
    pictures: Sequence[Picture],
    hero: Picture,
    has_spin: bool,
    size: tuple[int, int],
) -> list[Shot]:
    moves = [template.moves[name] for name in scene.moves]
    plain = Shot(scene.shows, scene.seconds, scene.into, caption=scene.caption)
    if scene.shows in ("opening", "closing"):
        return [plain]
    if scene.shows == "spin":
        return [replace(plain, move=moves[0])] if has_spin else []
    if scene.shows == "hero":
        chosen = [hero]
    else:
        most = scene.most
        if has_spin and scene.most_beside_spin is not None:
            most = scene.most_beside_spin
        kind = scene.shows
        chosen = _varied([p for p in pictures if p.kind == kind and p != hero], hero, size)[:most]
    shots = [
        replace(plain, picture=p, move=moves[i % len(moves)], caption=None if i else scene.caption)
        for i, p in enumerate(chosen)
    ]
    read = template.pace.least_captioned
    return [replace(s, seconds=max(s.seconds, read)) if s.caption else s for s in shots]


def _varied(pictures: Sequence[Picture], hero: Picture, size: tuple[int, int]) -> list[Picture]:
    """Best first, but every view once before any comes twice; close-ups that fill the frame."""
    seen: dict[str | None, int] = {hero.angle: 0}
    rounds: list[tuple[int, Picture]] = []
    for picture in sorted(pictures, key=_rank):
        view = picture.angle if picture.kind == "exterior" else picture.key
        seen[view] = seen.get(view, -1) + 1
        rounds.append((seen[view], picture))
    upright = size[0] < size[1]

    def order(item: tuple[int, Picture]) -> tuple[object, ...]:
        repeat, picture = item
        part = picture.car is None
        return (part, repeat, part and picture.upright != upright, *_rank(picture))

    return [picture for _, picture in sorted(rounds, key=order)]


def _repeated(shots: list[Shot], template: Template) -> list[Shot]:
    """The shots, pictures shown again under other moves where there are too few of them."""
    shown = [s for s in shots if s.shows not in ("opening", "closing")]
    again: list[Shot] = []
    moves = list(template.moves.values())
    sources = [s for s in shown if s.picture is not None]
    into = next(scene.into for scene in template.scenes if scene.shows == "exterior")
    while len(shown) + len(again) < template.pace.least_pictures:
        source = sources[len(again) % len(sources)]
        used = [s.move for s in (*shown, *again) if s.picture == source.picture]
        move = next((m for m in moves if m not in used), moves[0])
        caption: Caption | None = None if again else "specs"
        again.append(replace(source, move=move, caption=caption, into=into))
    end = len(shots) - (shots[-1].shows == "closing")
    return [*shots[:end], *again, *shots[end:]]


def _lay(shots: Sequence[Shot], pace: Pace, fps: int) -> Timeline:
    """Frames: picture shots stretched alike so that the clip keeps its pace."""
    moving = sum(s.seconds for s in shots if s.picture or s.shows == "spin")
    fixed = sum(s.seconds for s in shots) - moving
    shared = pace.transition_seconds * sum(s.into != "cut" for s in shots)
    wanted = min(max(moving + fixed - shared, pace.least_seconds), pace.most_seconds)
    factor = (wanted + shared - fixed) / moving
    laid: list[Shot] = []
    end = 0
    for shot in shots:
        seconds = shot.seconds * (factor if shot.picture or shot.shows == "spin" else 1)
        overlap = round(pace.transition_seconds * fps) if laid and shot.into != "cut" else 0
        length = max(round(seconds * fps), 2 * overlap + 1)
        laid.append(replace(shot, start=end - overlap, length=length, overlap=overlap))
        end += length - overlap
    return Timeline(tuple(laid), fps)
