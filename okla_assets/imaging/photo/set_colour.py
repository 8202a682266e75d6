"""One car, one colour: what each photo tells of paint and light, and a correction for each.

Photos are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1]. All is measured on small copies.
The light of a photo is two numbers, ln(red / green) and ln(blue / green) of what is grey in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.photo.correction import CURVE_TOP, Correction, GainField, Measured, Paint
from okla_assets.imaging.photo.enhance import LUMINANCE, decode, encode, linear
from okla_assets.imaging.types import Alpha, Doubles, Floats, Pixels, Rgb

MEASURE_SIDE = 480
COLUMNS, ROWS = 8, 6  # of the cells in which paint is measured, and of a field's knots

LEAST_PAINT = 300  # pixels of a small copy
SAMPLE = 300
FEWER = 5  # of the floor's pixels one in so many is looked at
SMOOTH, BRIGHT = 60, 50  # percentiles: smoother than this share, brighter than that
FLARE = 0.002  # linear: keeps logarithms of black finite
ACHROMATIC = (14.0, 28.0)  # chroma in CIELAB: below is grey paint, above coloured, between a little
ACROSS = np.array([0.8, 0.6])
"""Of ln(red / green) and ln(blue / green): across the line on which sun, sky and lamps lie, as the
floors of real photos do, (-0.6, 0.8). What is off that line is paint and no light."""
OFF_LIGHTS = (0.25, 0.5)
"""How far across: to the first any grey car may lie (six dealers' do by 0.14 at most, the median of
their photos), from the second on none does, and no light."""
WHITE_PAINT = (66.0, 90.0)  # L* from which light paint is raised, and where white paint belongs
MIDDLE = 0.46  # encoded: where a well exposed scene has its middle
DARKEST = 1e-3  # encoded: keeps the logarithm of an all-black set's middle finite
MOST_SET_STOPS = 0.8
SET_SHARE = 0.6  # of these, where the picture's own background goes and the paint stays
MOST_STOPS = 1.3
MOST_BLACK = 0.05
CURVE_POINTS = 65

# One deviation each, of black paint and of white (natural logarithms but for CIELAB's); paint
# between L* DARK[0] and DARK[1] lies between. Black paint shows what it mirrors, white the light.
TINT = (2.0, 0.8)
LIGHTNESS = (14.0, 5.0)
LIGHT_DEVIATION = (0.12, 2.0)  # of gains from what the floor tells
STOPS_DEVIATION = (0.25, 0.6)
COLOURED_LEVEL = 3.5  # CIELAB: of the lightness of coloured paint
COLOURED_HUE, COLOURED_CHROMA, COLOURED_LIGHT, COLOURED_STOPS = 0.7, 1.6, 0.14, 0.5
GAIN_DEVIATION, SATURATION_DEVIATION = 0.8, 0.12
DARK = (20.0, 75.0)
SKY = (0.7, 0.15)  # share of its tint that paint keeps: grey paint mirrors the sky, white hardly
LEAST_FIELD = 0.15  # natural logarithm: less is no second light
MOST_GREY_CHROMA = 6.5
MOST_FROM_LIGHT = 0.4  # of the gains for coloured paint: more would tint what is not paint
MOST_CABIN_CAST, MOST_LONE_CAST = 0.3, 0.1  # natural logarithm
FIELD_SHARE = (0.8, 1.0)  # of a tint in parts that is taken away, from dark and from white paint
ANOTHER_CAR = 1.1  # how far in logarithms a paint is from the set's though the light is the same


def measure(photo: Rgb, vehicle: Alpha | None) -> Measured:
    """What the photo tells; `vehicle` is the matte of the vehicle it shows, if it is a good one."""
    scale = min(1.0, MEASURE_SIDE / max(photo.shape[:2]))
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    alpha = np.zeros(small.shape[:2], np.float32)
    if vehicle is not None:
        alpha = np.asarray(cv2.resize(vehicle, size, interpolation=cv2.INTER_AREA), np.float32)
    levels = linear(small)
    luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    opaque = cv2.erode(np.asarray(alpha > 0.98, np.uint8), np.ones((3, 3), np.uint8)) > 0
    dark = luma[opaque] if opaque.any() else luma
    return Measured(
        light=_light(levels, small, alpha),
        middle=float(np.median(luma)) / 255,
        black=float(np.percentile(dark, 0.4)) / 255,
        paint=_paint(levels, small, luma, opaque),
    )


def _light(levels: Floats, small: Rgb, alpha: Alpha) -> tuple[float, float]:
    """The floor beside the vehicle, else what is nearly grey anywhere."""
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    told = np.zeros(alpha.shape, bool)
    if rows.size:
        told = alpha < 0.02
        told[: (rows[0] + 2 * rows[-1]) // 3] = False
    if told.mean() < 0.03:
        darkest, brightest = _extremes(small)
        told = (alpha < 0.02) & (brightest - darkest < 46) & (brightest > 38) & (brightest < 250)
    if told.mean() < 0.02:
        return 0.0, 0.0
    red, blue = np.median(_ratios(levels[told][::FEWER]), axis=0)
    return float(red), float(blue)


def _extremes(photo: Rgb) -> tuple[Pixels, Pixels]:
    """The least and the greatest channel of each pixel, (H, W)."""
    red, green, blue = cv2.split(photo)
    least, most = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    return np.asarray(least, np.uint8), np.asarray(most, np.uint8)


def _paint(levels: Floats, small: Rgb, luma: Pixels, opaque: npt.NDArray[np.bool_]) -> Paint | None:
    """The smooth, brighter half of the opaque body between a quarter and four fifths of its height.

    Below are tyres and shadow, above roof and sky in the glass.
    """
    rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
    if rows.size < 10:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    band = np.zeros_like(opaque)
    band[round(top + 0.25 * (bottom - top)) : round(top + 0.8 * (bottom - top))] = True
    body = opaque & band
    darkest, brightest = _extremes(small)
    use = body & (brightest < 252)
    if np.count_nonzero(use) < LEAST_PAINT:
        return None
    busy = cv2.GaussianBlur(np.abs(cv2.Laplacian(np.asarray(luma, np.float32), -1)), (0, 0), 1.2)
    calm = busy <= np.percentile(busy[use], SMOOTH)  # of a plain body all is as calm as that
    unclipped, smooth = use, use & calm
    use = smooth & (luma >= np.percentile(luma[smooth], BRIGHT))
    colour = np.median(levels[use], axis=0)
    sample = small[smooth]
    sample = sample[:: -(-len(sample) // SAMPLE)]
    box = np.s_[top:bottom, left:right]
    # Also what is darker, or clipped in a channel, as another lamp's half may be; not the glass.
    lit = calm & (unclipped | (body & (darkest < 190)))
    lit &= levels @ np.array(LUMINANCE, np.float32) > 0.3 * (colour @ LUMINANCE)
    weight = np.asarray(lit[box], np.float32)
    grid = cv2.resize(weight, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    cells = cv2.resize(
        levels[box] * weight[..., None], (COLUMNS, ROWS), interpolation=cv2.INTER_AREA
    )
    cells = cells / np.maximum(grid, 1e-6)[..., None]
    height, width = opaque.shape
    return Paint(
        colour=_three(colour),
        sample=tuple((int(r), int(g), int(b)) for r, g, b in sample),
        box=(
            round(left / width, 4),
            round(top / height, 4),
            round((right - left) / width, 4),
            round((bottom - top) / height, 4),
        ),
        cells=tuple(_three(cell) for cell in cells.reshape(-1, 3)),
        weights=tuple(round(float(w), 4) for w in grid.ravel()),
    )


@dataclass(frozen=True)
class _Car:
    """The one paint in CIELAB, whether it is grey, white or black, and the set's ln(exposure)."""

    paint: Doubles
    grey: bool
    exposure: float


def solve(photos: Sequence[Measured]) -> list[Correction]:
    """A correction for each photo of one car, as measured; in their order.

    One paint is found for the car: its median over the photos. Grey, white and black paint (by its
    chroma) is drawn to neutral, since that is what it is in all but few cars and the light of
    phones is not; coloured paint keeps its own hue. Each photo's gains, exposure and saturation
    then bring its paint there by least squares, against what the floor tells of the light, and
    against changing much. A paint far from the set's under the same light is another car's: its
    photo is not changed by the set. Photos without paint follow their light.
    """
    known = _car_of(photos)
    if known is None:
        return [_by_light(photo) for photo in photos]
    car, common, ours = known
    flags = iter(ours)
    return [
        _to_paint(photo, photo.paint, car, np.array(photo.light) - common)
        if photo.paint is not None and next(flags)
        else _by_light(photo)
        for photo in photos
    ]


def _car_of(photos: Sequence[Measured]) -> tuple[_Car, Doubles, list[bool]] | None:
    """The set's car, the light that its photos have in common, and which photos with paint show
    that car; None where no photo shows paint."""
    lights = np.array([photo.light for photo in photos if photo.paint is not None])
    seen = [photo.paint for photo in photos if photo.paint is not None]
    if not seen:
        return None
    stops = _set_stops(float(np.median([photo.middle for photo in photos])))
    light = np.median(lights, axis=0)
    ratios = _ratios(np.array([paint.colour for paint in seen]))
    usual = np.median(ratios, axis=0)
    ours = [not _another(r - usual, own - light) for r, own in zip(ratios, lights, strict=True)]
    if not any(ours):
        ours = [True] * len(seen)
    labs = np.array([_brighter_half(_sample(p)) for p, our in zip(seen, ours, strict=True) if our])
    grey = _greyness(labs, usual, light)
    # A dark picture of a black car is no dark picture.
    stops *= SET_SHARE * min(1.0, float(np.median(labs[:, 0])) / 40)
    car = _Car(_car_paint(labs, grey, stops), grey > 0.5, stops * np.log(2))
    # A floor that is blue on the whole set is no blue floor: the set itself has a cast.
    common = light * (0.3 if light[1] > 0.1 > light[0] else 1.0)
    return car, common, ours


def solve_cabin(photos: Sequence[Measured]) -> list[Correction]:
    """A correction for each photo of one cabin, or of anything else without paint, in their order.

    Their lights are brought together, and half of what they have in common is taken away, as a
    cabin may be beige; so are their middles.
    """
    if not photos:
        return []
    light = np.median([photo.light for photo in photos], axis=0)
    middle = float(np.median([photo.middle for photo in photos]))
    aim = middle * 2 ** (_set_stops(middle) / 2.2)
    corrections = []
    for photo in photos:
        cast = 0.5 * np.clip(light, -MOST_CABIN_CAST, MOST_CABIN_CAST)
        cast = cast + 0.8 * np.clip(photo.light - light, -MOST_CABIN_CAST, MOST_CABIN_CAST)
        ratio = max(aim, DARKEST) / max(photo.middle, 0.05)
        stops = float(np.clip(0.7 * 2.2 * np.log2(ratio), -0.3, 1.0))
        x = np.array([*-cast, stops * np.log(2), 0.0])
        corrections.append(Correction(_gains(x), 1.0, _curve(x[2], photo.black)))
    return corrections


def solve_turn(photos: Sequence[Measured], beside: Sequence[Measured] = ()) -> Correction:
    """One correction for all pictures of a turn, as if they were one: exposure and tint stay one.

    It brings the turn's paint to that of the car's photos as measured, `beside` it; where they show
    none, to the turn's own. Raises ValueError where the turn has no pictures.
    """
    if not photos:
        raise ValueError("a turn of no pictures has no colour")
    paints = [photo.paint for photo in photos if photo.paint is not None]
    paint = None
    if paints:
        sample = tuple(pixel for p in paints for pixel in p.sample)
        colour = _three(np.median([p.colour for p in paints], axis=0))
        paint = replace(paints[0], colour=colour, sample=sample[:: -(-len(sample) // SAMPLE)])
    red, blue = np.median([photo.light for photo in photos], axis=0)
    turn = Measured(
        light=(float(red), float(blue)),
        middle=float(np.median([photo.middle for photo in photos])),
        black=float(np.median([photo.black for photo in photos])),
        paint=paint,
    )
    known = _car_of(beside)
    if known is None or paint is None:
        correction = solve([turn])[0]
    else:
        car, common, _ = known
        correction = _to_paint(turn, paint, car, np.array(turn.light) - common)
    # Without the field: what lies at one place of a picture is another part on each.
    return replace(correction, field=None)


def _another(paint: Doubles, light: Doubles) -> bool:
    """Whether a paint so far from the set's, under a light so far from the set's, is another's."""
    distance = float(np.hypot(*paint))
    along = float(light @ paint) / max(distance, 1e-6)
    odd = paint[0] * paint[1] > 0  # no lamp is purple or green
    return distance > ANOTHER_CAR and (odd or paint[0] > 0.8) and along < 0.35 * distance


def _greyness(labs: Doubles, paint: Doubles, light: Doubles) -> float:
    """How sure it is that the paint (CIELAB a photo) is grey, white or black: 0 to 1.

    Its chroma is small, as seen or by the floor's light, and of a hue that light can have; or its
    hue is another on each photo, as that of no coloured paint is.
    """
    tints = labs[:, 1:]
    seen = float(np.hypot(*np.median(tints, axis=0)))
    luminance = _luminance_of(float(np.median(labs[:, 0])))
    red, blue = np.exp(paint - light)
    under_light = np.array([red, 1.0, blue]) / (np.array([red, 1.0, blue]) @ LUMINANCE) * luminance
    chroma = min(seen, float(np.hypot(*_lab(under_light)[1:])))
    agreement = float(np.hypot(*tints.mean(axis=0)) / max(np.hypot(*tints.T).mean(), 1e-6))
    by_chroma = (ACHROMATIC[1] - chroma) / (ACHROMATIC[1] - ACHROMATIC[0])
    by_hue = float(_as_light(np.stack([paint, paint - light])).max())
    return float(np.clip(max(min(by_chroma, by_hue), (0.8 - agreement) / 0.2), 0, 1))


def _as_light(ratios: Doubles) -> Doubles:
    """How likely such logarithms (..., 2), or differences of them, are those of light: 0 to 1."""
    return np.asarray(
        np.clip((OFF_LIGHTS[1] - np.abs(ratios @ ACROSS)) / (OFF_LIGHTS[1] - OFF_LIGHTS[0]), 0, 1)
    )


def _car_paint(labs: Doubles, grey: float, stops: float) -> Doubles:
    """CIELAB of the one paint, at the brightness that it is to have.

    Of grey paint a part of its tint stays, the more the less sure it is that it is `grey`; of
    coloured paint the clearest photos count most: what mirrors the sky is paler.
    """
    light = float(np.percentile(labs[:, 0], 60))
    luminance = _luminance_of(light) * 2**stops
    light = min(float(_lab(np.full(3, luminance))[0]), 96.0)
    tint = np.median(labs[:, 1:], axis=0)
    chroma = float(np.hypot(*tint))
    if grey <= 0.5:
        return np.array([light, *tint * np.percentile(np.hypot(*labs[:, 1:].T), 70) / chroma])
    if light > WHITE_PAINT[0]:
        light += 0.65 * max(0.0, WHITE_PAINT[1] - light)
    keep = min(_between(SKY, light), MOST_GREY_CHROMA / max(chroma, 1e-6))
    return np.array([light, *tint * (1 - (2 * grey - 1) * (1 - keep))])


def _set_stops(middle: float) -> float:
    """How much the set's exposure is to change, in stops: over half of the way to MIDDLE."""
    stops = 0.6 * 2.2 * np.log2(MIDDLE / max(middle, 0.05))
    return float(np.clip(stops, -0.15, MOST_SET_STOPS))


def _to_paint(photo: Measured, paint: Paint, car: _Car, light: Doubles) -> Correction:
    """The correction that brings the photo's paint to the car's: least squares in CIELAB.

    Unknown are the logarithms of the gains of red and blue by green's, of the exposure and of the
    saturation. `light` is how far the photo's light is from the set's.
    """
    lightness = float(car.paint[0])
    if car.grey:
        tint = np.eye(2) / _between(TINT, lightness)
        by_light, stops = _between(LIGHT_DEVIATION, lightness), _between(STOPS_DEVIATION, lightness)
        saturation, level = 1e-3, _between(LIGHTNESS, lightness)
    else:
        a, b = car.paint[1:] / np.hypot(*car.paint[1:])
        tint = np.array([[a, b], [-b, a]]) / [[COLOURED_CHROMA], [COLOURED_HUE]]
        by_light, stops = COLOURED_LIGHT, COLOURED_STOPS
        saturation, level = SATURATION_DEVIATION, COLOURED_LEVEL
    deviations = np.array([GAIN_DEVIATION, GAIN_DEVIATION, stops, saturation])
    usual = np.array([0.0, 0.0, car.exposure, 0.0])
    sample = _sample(paint)

    def residuals(x: Doubles) -> Doubles:
        lab = _brighter_half(_moved(sample, x, photo.black))
        return np.concatenate(
            [
                tint @ (lab[1:] - car.paint[1:]),
                [(lab[0] - lightness) / level],
                (x[:2] + light) / by_light,
                (x - usual) / deviations,
            ]
        )

    bound = np.full(4, np.inf)
    starts = [usual]
    if not car.grey:
        bound[:2] = MOST_FROM_LIGHT
        # What mirrors a bright sky has two answers, of which the darker may be the better one.
        level_now = _brighter_half(sample)[0]
        darker = np.log(_luminance_of(lightness) / max(_luminance_of(level_now), FLARE))
        starts.append(np.array([0.0, 0.0, darker, 0.0]))
    middle = np.array([*-light, 0.0, 0.0])
    found = [_descended(residuals, start, middle - bound, middle + bound) for start in starts]
    x = min(found, key=lambda x: float((residuals(x) ** 2).sum()))
    x[2] = np.clip(x[2], -MOST_STOPS * np.log(2), MOST_STOPS * np.log(2))
    field = _field(paint, x, car.paint) if car.grey else None
    return Correction(_gains(x), round(float(np.exp(x[3])), 4), _curve(x[2], photo.black), field)


def _descended(
    residuals: Callable[[Doubles], Doubles], start: Doubles, least: Doubles, most: Doubles
) -> Doubles:
    """The least squares near the start, within bounds, by Gauss and Newton's steps."""
    x = start
    for _ in range(12):
        now = residuals(x)
        slopes = np.stack([(residuals(x + step) - now) / 0.03 for step in np.eye(4) * 0.03], axis=1)
        step = np.clip(np.linalg.lstsq(slopes, -now, rcond=None)[0], -0.5, 0.5)
        x = np.clip(x + step, least, most)
        if np.abs(step).max() < 0.003:
            break
    return x


def _between(ends: tuple[float, float], lightness: float) -> float:
    """A value between that of black paint and that of white, for paint of this L*."""
    share = float(np.clip((lightness - DARK[0]) / (DARK[1] - DARK[0]), 0, 1))
    return ends[0] + share**2 * (ends[1] - ends[0])


def _sample(paint: Paint) -> Doubles:
    return np.asarray(linear(np.array([paint.sample], np.uint8))[0], np.float64)


def _field(paint: Paint, x: Doubles, target: Doubles) -> GainField | None:
    """What grey paint still has of a tint here and there, taken from it smoothly."""
    weights = np.array(paint.weights).reshape(ROWS, COLUMNS)
    cells = np.array(paint.cells).reshape(ROWS, COLUMNS, 3) * np.array(_gains(x))
    logs = _ratios(_of_lab(target)) - _ratios(cells)
    # Dark paint shows what it mirrors, and its ratios are noise: it counts by what the eye sees.
    weights = weights * np.minimum(1, encode(np.asarray(cells @ LUMINANCE, np.float32)) / 0.3) ** 2
    weights = weights * _as_light(logs)  # a stripe or a lamp is no second light
    known = cv2.GaussianBlur(weights, (0, 0), 0.8)
    spread = cv2.GaussianBlur(np.clip(logs, -1.2, 1.2) * weights[..., None], (0, 0), 0.8)
    share = _between(FIELD_SHARE, float(target[0]))
    logs = share * spread / (known + 0.02)[..., None]
    gains = np.exp(np.stack([logs[..., 0], np.zeros_like(known), logs[..., 1]], axis=-1))
    gains /= (gains @ LUMINANCE)[..., None]
    if np.abs(logs).max() < LEAST_FIELD:
        return None
    return GainField(
        paint.box, COLUMNS, ROWS, tuple(_three(np.log(g)) for g in gains.reshape(-1, 3))
    )


def _by_light(photo: Measured) -> Correction:
    """For photos that show no paint of the car: half of a small cast, exposure by its middle."""
    cast = np.clip(0.5 * np.array(photo.light), -MOST_LONE_CAST, MOST_LONE_CAST)
    x = np.array([*-cast, _set_stops(photo.middle) * np.log(2), 0.0])
    return Correction(_gains(x), 1.0, _curve(x[2], photo.black))


def _gains(x: Doubles) -> tuple[float, float, float]:
    """Gains that leave the luminance of grey as the exposure says."""
    gains = np.exp([x[0], 0.0, x[1]])
    return _three(gains / (gains @ LUMINANCE) * np.exp(x[2]))


def _moved(colour: Doubles, x: Doubles, black: float) -> Doubles:
    """Linear colours (..., 3) under gains, saturation and curve: what `enhance.corrected` does."""
    lifted = colour * np.array(_gains(x))
    luminance = (lifted @ LUMINANCE)[..., None]
    lifted = luminance + np.exp(x[3]) * (lifted - luminance)
    encoded = encode(np.asarray(lifted.clip(0), np.float32))
    out = np.interp(encoded, np.linspace(0, CURVE_TOP, CURVE_POINTS), _curve(x[2], black))
    return decode(np.asarray(out, np.float32)).astype(np.float64)


def _curve(exposure: float, black: float) -> tuple[float, ...]:
    """Encoded output at equally spaced encoded input: black point, and a shoulder up to white.

    What was white before the exposure (`exp(exposure)` now) is white after it: nothing is clipped
    that was not, and a darker photo keeps its highlights.
    """
    steps = np.linspace(0, CURVE_TOP, CURVE_POINTS, dtype=np.float32)
    levels = np.asarray(decode(steps), np.float64)
    white = float(np.exp(exposure))
    knee = 0.55 * min(1.0, white)
    slope = (white - knee) / (1 - knee)
    t = ((levels - knee) / (white - knee)).clip(0, 1)
    bent = 1 - (1 - t) ** slope if slope >= 1 else slope * t + (1 - slope) * t**3
    out = encode(np.asarray(np.where(levels <= knee, levels, knee + (1 - knee) * bent), np.float32))
    start = 0.7 * min(black, MOST_BLACK)
    out = ((out - start) / (1 - start)).clip(0, 1)
    return tuple(round(float(v), 5) for v in out)


def _ratios(levels: npt.ArrayLike) -> Doubles:
    """ln(red / green), ln(blue / green) of linear colours (..., 3)."""
    logs = np.log(np.asarray(levels, np.float64) + FLARE)
    return np.asarray(np.stack([logs[..., 0] - logs[..., 1], logs[..., 2] - logs[..., 1]], axis=-1))


_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def _lab(levels: Doubles) -> Doubles:
    """CIELAB (D65) of linear sRGB colours (..., 3)."""
    xyz = levels @ _TO_XYZ.T / _TO_XYZ.sum(axis=1)
    f = np.where(xyz > 216 / 24389, np.cbrt(np.maximum(xyz, 1e-9)), (24389 / 27 * xyz + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _brighter_half(levels: Doubles) -> Doubles:
    """CIELAB of the brighter half of linear colours (N, 3): the mean of its middle."""
    luminance = levels @ LUMINANCE
    labs = np.sort(_lab(levels[luminance >= np.median(luminance)].clip(0, 1)), axis=0)
    outer = len(labs) * 3 // 8
    return np.asarray(labs[outer : len(labs) - outer].mean(axis=0))


def _of_lab(lab: Doubles) -> Doubles:
    """The inverse of `_lab`, for colours within sRGB that are not nearly black."""
    y = (lab[0] + 16) / 116
    xyz = np.array([y + lab[1] / 500, y, y - lab[2] / 200]) ** 3 * _TO_XYZ.sum(axis=1)
    return np.linalg.solve(_TO_XYZ, xyz)


def _luminance_of(lightness: float) -> float:
    """Linear luminance of L*."""
    return ((lightness + 16) / 116) ** 3 if lightness > 8 else lightness * 27 / 24389


def _three(values: npt.ArrayLike) -> tuple[float, float, float]:
    red, green, blue = (round(float(v), 5) for v in np.asarray(values))
    return red, green, blue
