"""Finds the walk around a vehicle in a video's observed azimuths, and the frames that represent it.

Azimuths are the vehicle's own, in degrees: 0 its front, 90 its left side. Around a vehicle the
azimuth goes one way; a single observation may be wrong by half a turn (front taken for rear) and is
then left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.types import Doubles

MOST_GAP = 60.0  # degrees: a spin with a wider hole jumps; the same rule holds for photos
LEAST_TURN = 360.0 - MOST_GAP
LEAST_SEEN = 0.25  # of the observations must show a vehicle, or the video is about something else
MOST_MISSED = 2  # observations in a row without a vehicle that do not end a part
STRAY = 60.0  # degrees: an observation this far off both its neighbours, which agree, is wrong
STILL = 3.0  # degrees: within this of an end nobody has begun to walk, or has stopped
OFF_CENTRE = 0.2  # of a moment's spacing: how far sharpness may draw a frame from its moment
WIDER = 0.1  # of the spacing: how much wider than it a step may be
JUMP = 0.02  # of the spacing: so much wider still costs what a frame does that is OFF_CENTRE
PACE_SIGMA = 18.0  # degrees: a walking person's pace changes no faster
LOOK_ERROR = 8.0  # degrees that a look may well be off
STANDS = 2  # looks within STILL of the first or last one: a person stands, and has not begun
LEAST_PACED = 6  # looks of a walk from which its pace can be told


@dataclass(frozen=True)
class Observation:
    """The main vehicle at one moment; `azimuth` None where none was seen from outside."""

    time: float
    azimuth: float | None
    confidence: float


@dataclass(frozen=True)
class WalkAround:
    """A part of a video that circles the vehicle.

    `turned` are the degrees that the view has gone round at each of `times` (seconds), from 0 to at
    most 360. `first` is the azimuth at the start, `direction` +1 where azimuths increase.
    """

    times: tuple[float, ...]
    turned: tuple[float, ...]
    first: float
    direction: int

    @property
    def start(self) -> float:
        return self.times[0]

    @property
    def end(self) -> float:
        return self.times[-1]

    def azimuth_at(self, time: float) -> float:
        """The azimuth at a second of the turn, in [0, 360)."""
        gone = float(np.interp(time, self.times, self.turned))
        return float((self.first + self.direction * gone) % 360)


def find_turn(observations: Sequence[Observation]) -> WalkAround:
    """The walk around the vehicle that observations, in order of time, show: the first full circle,
    or all of a walk that leaves a gap of at most MOST_GAP.

    Raises Refused: no_vehicle, not_a_turn.
    """
    seen = sum(one.azimuth is not None for one in observations)
    if seen < max(3, LEAST_SEEN * len(observations)):
        raise Refused(
            "no_vehicle",
            "The video hardly shows a whole car from outside; walk around it at five steps' "
            "distance.",
        )
    best: tuple[float, WalkAround | None] = (-1.0, None)
    for part in _parts(observations):
        turn = _turn_of(part)
        if turn.turned[-1] > best[0]:
            best = turn.turned[-1], turn
    covered, found = best
    if found is None or covered < LEAST_TURN:
        raise Refused(
            "not_a_turn",
            f"The video goes {max(0.0, covered):.0f} of 360 degrees round the car; a 360 view "
            "needs one walk all around it.",
        )
    return found


def moments_of(
    turn: WalkAround, times: Sequence[float], sharpness: Sequence[float], count: int
) -> list[int]:
    """Indices of at most `count` frames: the sharpest near each of `count` moments that lie equally
    far apart round the vehicle, whatever the pace, such that no step between two of them jumps.

    `times` are those of all frames there are, in order. Where the turn holds no more than
    `count` of them, all are taken; a moment without a frame near it has none. The best choice is
    found by dynamic programming (Viterbi 1967), for each frame that may be the first: the last
    step of a turn leads back to it.
    """
    inside = [i for i, time in enumerate(times) if turn.start <= time <= turn.end]
    if len(inside) <= count:
        return inside
    turned = np.interp([times[i] for i in inside], turn.times, turn.turned)
    sharp = np.log(np.maximum([sharpness[i] for i in inside], 1e-6))
    # Where the walk does not close the circle, its ends are the nearest there is to the rest.
    spacing = min(360.0 / count, turn.turned[-1] / (count - 1))
    first = (turn.turned[-1] - spacing * (count - 1)) / 2
    near = []
    for middle in first + spacing * np.arange(count):
        off = (turned - middle) / spacing
        frames = np.flatnonzero((off >= -0.5) & (off < 0.5))
        if frames.size:
            near.append((middle, frames, sharp[frames] - (off[frames] / OFF_CENTRE) ** 2))
    middle, frames, worth = near[0]
    best = np.where(np.eye(len(frames), dtype=bool), worth, -np.inf)  # first frame, latest one
    came_from = []
    for (before, earlier, _), (after, later, worth) in pairwise(near):
        steps = (turned[later] - turned[earlier][:, None]) / (after - before)
        ways = best[:, :, None] - _jump(steps)
        came_from.append(ways.argmax(axis=1))
        best = ways.max(axis=1) + worth
    back = 360.0 - turned[near[-1][1]] + turned[frames][:, None]
    best -= _jump(back / (360.0 - near[-1][0] + middle))
    start, latest = np.unravel_index(best.argmax(), best.shape)
    chosen = [int(latest)]
    for sources in reversed(came_from):
        chosen.append(int(sources[start, chosen[-1]]))
    return [inside[near[k][1][which]] for k, which in enumerate(reversed(chosen))]


def _jump(steps: Doubles) -> Doubles:
    """What steps cost that are so many spacings wide."""
    return (np.maximum(steps - 1 - WIDER, 0) / JUMP) ** 2


def _parts(observations: Sequence[Observation]) -> list[list[Observation]]:
    """Stretches in which the vehicle is seen, gaps of MOST_MISSED observations allowed."""
    parts: list[list[Observation]] = [[]]
    missed = 0
    for one in observations:
        if one.azimuth is not None:
            if missed > MOST_MISSED:
                parts.append([])
            parts[-1].append(one)
            missed = 0
        else:
            missed += 1
    return [part for part in parts if len(part) >= 3]


def _turn_of(part: Sequence[Observation]) -> WalkAround:
    """The walk of a part: azimuths made monotone, standing still at both ends cut off."""
    from scipy.optimize import isotonic_regression  # 0.4 s to import, for vehicles with a video

    kept = without_strays(part)
    times = np.array([one.time for one in kept])
    angles = unwrapped([one.azimuth or 0.0 for one in kept])
    weights = np.array([max(one.confidence, 0.05) for one in kept])
    direction = 1 if angles[-1] >= angles[0] else -1
    steady = isotonic_regression(direction * angles, weights=weights).x
    begun = int(np.flatnonzero(steady <= steady[0] + STILL)[-1])
    stopped = int(np.flatnonzero(steady >= steady[-1] - STILL)[0])
    # Who stands still does so for more than a look; else it is the next look that errs.
    begun = begun if begun >= STANDS else 0
    stopped = stopped if len(kept) - 1 - stopped >= STANDS else len(kept) - 1
    turned = steady
    if stopped - begun >= LEAST_PACED:
        walked = slice(begun, stopped + 1)
        turned[walked] = _at_a_pace(direction * angles[walked], times[walked], weights[walked])
    # A full circle ends half a frame before its start comes round again.
    over = np.flatnonzero(turned > turned[begun] + 360.0 - STILL)
    last = min(stopped, int(over[0]) - 1 if over.size else stopped)
    if last <= begun:
        begun, last = 0, len(kept) - 1
    part_turned = turned[begun : last + 1] - turned[begun]
    part_times = times[begun : last + 1]
    if over.size and int(over[0]) <= stopped:
        # The circle closes between two observations: go on to just before that second.
        close = float(np.interp(turned[begun] + 360.0 - STILL, turned[last:], times[last:]))
        if close > part_times[-1]:
            part_times = np.append(part_times, close)
            part_turned = np.append(part_turned, 360.0 - STILL)
    return WalkAround(
        tuple(part_times.tolist()),
        tuple(part_turned.tolist()),
        float(direction * turned[begun] % 360),
        direction,
    )


def _at_a_pace(angles: Doubles, times: Doubles, weights: Doubles) -> Doubles:
    """Degrees at each time of a walk whose pace changes slowly; never falling.

    Local lines (Cleveland 1979) over PACE_SIGMA, single looks far off them left out.
    """
    sigma = PACE_SIGMA / max(float(angles[-1] - angles[0]), PACE_SIGMA) * (times[-1] - times[0])
    apart = times[None, :] - times[:, None]
    near = np.exp(-0.5 * (apart / sigma) ** 2) * weights
    trust = np.ones(len(times))
    for _ in range(3):
        share = near * trust
        mean = (share @ angles) / share.sum(axis=1)
        middle = (share * apart).sum(axis=1) / share.sum(axis=1)
        away = apart - middle[:, None]
        slope = (share * away * angles).sum(axis=1) / (share * away**2).sum(axis=1)
        smooth = mean - slope * middle
        off = np.abs(angles - smooth)
        trust = 1 / (1 + (off / max(2 * float(np.median(off)), LOOK_ERROR)) ** 4)
    return np.asarray(np.maximum.accumulate(smooth))


def without_strays(part: Sequence[Observation]) -> list[Observation]:
    """The observations without those that contradict the walk: a front that was taken for a rear,
    at an end of the walk too, and what contradicts both neighbours while these agree."""
    walk = _one_way(part)
    azimuths = [one.azimuth or 0.0 for one in walk]
    kept = []
    for i, one in enumerate(walk):
        if 0 < i < len(walk) - 1:
            before, after = azimuths[i - 1], azimuths[i + 1]
            if (
                apart(before, after) <= STRAY
                and apart(azimuths[i], before) > STRAY
                and apart(azimuths[i], after) > STRAY
            ):
                continue
        kept.append(one)
    return kept


def _one_way(part: Sequence[Observation]) -> list[Observation]:
    """The observations that one walk can have seen, as many as possible (dynamic programming).

    Each that is left out costs 1, each step the square of what it goes beyond STRAY, in STRAYs: two
    looks that are far apart because they are few stay, one that is half a turn off goes.
    """
    count = len(part)
    azimuths = np.array([one.azimuth or 0.0 for one in part])
    off = np.abs((azimuths[:, None] - azimuths[None, :] + 180) % 360 - 180)
    steps = (np.maximum(off - STRAY, 0) / STRAY) ** 2
    costs = np.arange(count, dtype=np.float64)  # of a walk that begins with this one
    came_from = [-1] * count
    for i in range(1, count):
        ways = costs[:i] + steps[:i, i] + np.arange(i - 1, -1, -1)
        best = i - 1 - int(ways[::-1].argmin())  # of equal ones that which leaves out the fewest
        if ways[best] <= costs[i]:
            costs[i], came_from[i] = ways[best], best
    last = count - 1 - int((costs + np.arange(count - 1, -1, -1))[::-1].argmin())
    kept = []
    while last >= 0:
        kept.append(part[last])
        last = came_from[last]
    return kept[::-1]


def apart(a: float, b: float) -> float:
    """Degrees between two directions, 0 to 180."""
    return abs((a - b + 180) % 360 - 180)


def unwrapped(azimuths: Sequence[float]) -> Doubles:
    """The same directions without the jump at 360: each within 180 degrees of the one before."""
    return np.asarray(np.unwrap(np.asarray(azimuths, np.float64), period=360.0))


def gaps_of(azimuths: Sequence[float]) -> tuple[float, ...]:
    """Degrees from each azimuth to the next and from the last to the first, each in [0, 360)."""
    following = [*azimuths[1:], *azimuths[:1]]
    return tuple(round((b - a) % 360, 1) for a, b in zip(azimuths, following, strict=True))
