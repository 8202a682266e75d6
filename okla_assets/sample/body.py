"""The skin of the sample car: its control net, and how lines and patches are drawn on it.

A compact five-door hatchback of nobody's make: 4.30 m long, 1.80 m wide, 1.50 m high, wheelbase
2.65 m. The origin lies on the ground midway between the axles. The net is written for the left
half, 16 columns from the nose's middle to the tail's; the right half is its mirror image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from okla_assets.sample.surface import Floats, LoopSurface, Mesh, inside, resampled, rounded

AXLES = (1.325, -1.325)
WHEEL_RADIUS = 0.32
ARCH_RADIUS = 0.372
HALF = 16
LENGTH, WIDTH, HEIGHT = 4.30, 1.80, 1.50

SIDE_X = (1.325, 0.82, 0.27, -0.28, -0.84, -1.325)
"""Where columns 5 to 10 of the wall's loops stand."""
HEIGHT_AT = (0, 3, 5, 7, 10, 12, 15)
"""Columns at which a wall's loop is given its height."""

Wall = tuple[float, float, float, tuple[float, float, float, float, float, float, float]]
WALLS: tuple[Wall, ...] = (
    # nose x, tail x, half width, heights at HEIGHT_AT
    (1.960, -1.960, 0.780, (0.205, 0.205, 0.200, 0.195, 0.200, 0.230, 0.240)),
    (2.100, -2.080, 0.866, (0.215, 0.215, 0.200, 0.195, 0.200, 0.240, 0.255)),
    (2.190, -2.150, 0.893, (0.300, 0.300, 0.290, 0.285, 0.290, 0.320, 0.330)),
    (2.215, -2.185, 0.893, (0.440, 0.440, 0.440, 0.430, 0.440, 0.460, 0.470)),
    (2.205, -2.175, 0.903, (0.580, 0.580, 0.600, 0.600, 0.620, 0.620, 0.610)),
    (2.175, -2.125, 0.920, (0.700, 0.715, 0.745, 0.770, 0.795, 0.800, 0.770)),
    (2.150, -2.120, 0.912, (0.745, 0.760, 0.790, 0.812, 0.838, 0.850, 0.850)),
    (2.090, -2.120, 0.890, (0.800, 0.815, 0.865, 0.890, 0.915, 0.930, 0.930)),
    (1.990, -2.100, 0.868, (0.840, 0.855, 0.905, 0.945, 0.965, 0.985, 0.985)),
)

Column = tuple[float, float, float]
CROWN: tuple[tuple[Column, ...], ...] = (
    (  # bonnet, belt, tailgate
        *((1.48, 0.00, 0.945), (1.48, 0.30, 0.943), (1.46, 0.52, 0.935), (1.42, 0.68, 0.925)),
        *((1.32, 0.765, 0.922), (1.12, 0.81, 0.930), (0.74, 0.835, 0.950), (0.24, 0.843, 0.968)),
        *((-0.28, 0.845, 0.978), (-0.84, 0.845, 0.988), (-1.32, 0.838, 0.998)),
        *((-1.73, 0.825, 1.010), (-1.98, 0.775, 1.015), (-2.055, 0.58, 1.015)),
        *((-2.08, 0.30, 1.015), (-2.085, 0.00, 1.015)),
    ),
    (  # foot of the glass, doubled for a crisp cowl
        *((1.04, 0.00, 0.985), (1.025, 0.22, 0.985), (0.98, 0.43, 0.980), (0.91, 0.61, 0.972)),
        *((0.82, 0.725, 0.968), (0.70, 0.785, 0.966), (0.42, 0.805, 0.975), (0.08, 0.812, 0.986)),
        *((-0.30, 0.814, 0.994), (-0.82, 0.812, 1.004), (-1.30, 0.802, 1.018)),
        *((-1.70, 0.775, 1.038), (-1.93, 0.70, 1.060), (-2.01, 0.51, 1.075)),
        *((-2.035, 0.26, 1.080), (-2.04, 0.00, 1.080)),
    ),
    (
        *((0.98, 0.00, 1.005), (0.965, 0.22, 1.005), (0.92, 0.43, 1.000), (0.85, 0.605, 0.992)),
        *((0.76, 0.715, 0.988), (0.64, 0.772, 0.986), (0.38, 0.792, 0.995), (0.06, 0.799, 1.006)),
        *((-0.30, 0.801, 1.014), (-0.82, 0.799, 1.024), (-1.29, 0.789, 1.038)),
        *((-1.68, 0.762, 1.058), (-1.91, 0.685, 1.082), (-1.985, 0.50, 1.100)),
        *((-2.01, 0.25, 1.105), (-2.015, 0.00, 1.105)),
    ),
    (  # middle of the glass
        *((0.70, 0.00, 1.150), (0.685, 0.20, 1.150), (0.64, 0.40, 1.147), (0.58, 0.555, 1.143)),
        *((0.50, 0.658, 1.138), (0.40, 0.714, 1.134), (0.20, 0.738, 1.136), (0.00, 0.747, 1.140)),
        *((-0.32, 0.750, 1.145), (-0.80, 0.748, 1.150), (-1.25, 0.738, 1.160)),
        *((-1.61, 0.705, 1.178), (-1.81, 0.63, 1.205), (-1.89, 0.46, 1.225)),
        *((-1.915, 0.23, 1.232), (-1.92, 0.00, 1.235)),
    ),
    (  # its upper part
        *((0.36, 0.00, 1.330), (0.345, 0.19, 1.330), (0.31, 0.37, 1.326), (0.25, 0.505, 1.322)),
        *((0.19, 0.595, 1.318), (0.10, 0.648, 1.316), (-0.02, 0.668, 1.320)),
        *((-0.15, 0.677, 1.325), (-0.40, 0.680, 1.330), (-0.80, 0.678, 1.330)),
        *((-1.18, 0.665, 1.325), (-1.49, 0.632, 1.328), (-1.67, 0.565, 1.345)),
        *((-1.755, 0.42, 1.362), (-1.78, 0.21, 1.370), (-1.785, 0.00, 1.372)),
    ),
    (  # roof rail
        *((0.16, 0.00, 1.440), (0.15, 0.18, 1.438), (0.12, 0.35, 1.435), (0.07, 0.475, 1.432)),
        *((0.01, 0.555, 1.430), (-0.06, 0.603, 1.430), (-0.15, 0.620, 1.434)),
        *((-0.25, 0.627, 1.438), (-0.45, 0.630, 1.440), (-0.80, 0.628, 1.437)),
        *((-1.14, 0.616, 1.430), (-1.41, 0.585, 1.428), (-1.60, 0.52, 1.434)),
        *((-1.70, 0.385, 1.442), (-1.73, 0.19, 1.448), (-1.735, 0.00, 1.450)),
    ),
    (  # edge of the roof
        *((-0.04, 0.00, 1.487), (-0.05, 0.15, 1.486), (-0.08, 0.29, 1.482), (-0.12, 0.390, 1.477)),
        *((-0.17, 0.455, 1.475), (-0.22, 0.490, 1.475), (-0.29, 0.505, 1.478)),
        *((-0.38, 0.512, 1.481), (-0.52, 0.515, 1.483), (-0.80, 0.513, 1.480)),
        *((-1.10, 0.502, 1.473), (-1.35, 0.475, 1.468), (-1.51, 0.41, 1.468)),
        *((-1.60, 0.29, 1.472), (-1.625, 0.145, 1.475), (-1.63, 0.00, 1.476)),
    ),
    (
        *((-0.25, 0.00, 1.506), (-0.255, 0.06, 1.506), (-0.27, 0.12, 1.505), (-0.29, 0.165, 1.504)),
        *((-0.32, 0.195, 1.503), (-0.36, 0.215, 1.503), (-0.42, 0.225, 1.504)),
        *((-0.50, 0.23, 1.505), (-0.62, 0.233, 1.505), (-0.82, 0.233, 1.503)),
        *((-1.02, 0.228, 1.498), (-1.18, 0.215, 1.493), (-1.28, 0.185, 1.491)),
        *((-1.35, 0.13, 1.491), (-1.375, 0.065, 1.491), (-1.38, 0.00, 1.491)),
    ),
)  # fmt: skip


def wall(nose: float, tail: float, half: float, heights: Sequence[float]) -> Floats:
    """Control points (16, 3) of one loop round bumpers and sides."""
    front = [(nose, 0.0), (nose - 0.01, 0.38), (nose - 0.075, 0.70), (nose - 0.25, 0.955)]
    middle = [(1.70, 0.985), *((x, 1.0) for x in SIDE_X), (-1.73, 0.985)]
    rear = [(tail + 0.19, 0.95), (tail + 0.055, 0.70), (tail + 0.01, 0.38), (tail, 0.0)]
    x, y = np.array([*front, *middle, *rear]).T
    return np.stack([x, y * half, np.interp(np.arange(HALF), HEIGHT_AT, heights)], 1)


def control_net() -> Floats:
    """The whole net (rows, 30, 3), left half and mirror image."""
    rows = [wall(*w) for w in WALLS]
    for row, by in ((3, -0.030), (4, -0.016)):  # the doors' hollow, under the crease
        rows[row][6:10, 1] += np.array([0.6, 1.0, 1.0, 0.6]) * by
    for row in (3, 4, 5):  # the wings' muscles, over the wheels
        rows[row][[5, 10], 1] += 0.012
    rows += [np.array(row) for row in CROWN]
    for row, by in ((8, 0.006), (9, 0.014)):  # the bonnet's two folds
        rows[row][2, 2] += by
    spine = rows[-1] * [1, 0, 1] + [0, 0, 0.002]
    left = np.stack([*rows, spine])
    right = left[:, HALF - 2 : 0 : -1] * [1, -1, 1]
    return np.concatenate([left, right], axis=1)


@dataclass(frozen=True)
class Projection:
    """A way of drawing on the skin: plane coordinates of points, and which part they may hit."""

    flat: Callable[[Floats], Floats]
    hit: Callable[[Floats, Floats], npt.NDArray[np.bool_]]


def _around(centre: float, sign: int) -> Projection:
    """Seen from an upright axis: degrees from the car's middle, and height in centimetres."""

    def flat(p: Floats) -> Floats:
        angle = np.degrees(np.arctan2(p[:, 1], sign * (p[:, 0] - centre)))
        return np.stack([angle, p[:, 2] * 100], 1)

    def hit(p: Floats, n: Floats) -> npt.NDArray[np.bool_]:
        return np.asarray((sign * (p[:, 0] - centre) > 0) & (np.abs(n[:, 2]) < 0.93))

    return Projection(flat, hit)


SIDE = Projection(lambda p: p[:, [0, 2]] * 100, lambda p, n: (p[:, 1] > 0) & (n[:, 1] > 0.12))
NOSE = _around(1.30, 1)
TAIL = _around(-1.30, -1)


class Skin:
    """The sampled surface, with lines and patches found by projection or by parameter."""

    def __init__(self, columns: int = 960, rows: int = 340) -> None:
        net = control_net()
        rough, _, _ = LoopSurface(net).sampled(480, 170)
        low, high = rough.vertices.min(0), rough.vertices.max(0)
        # A B-spline runs inside its net; the car's size is met exactly by stretching the net.
        net[..., 0] = (net[..., 0] - (low[0] + high[0]) / 2) * LENGTH / (high[0] - low[0]) + 0.02
        net[..., 1] *= WIDTH / (high[1] - low[1])
        net[..., 2] = 0.2 + (net[..., 2] - low[2]) * (HEIGHT - 0.2) / (high[2] - low[2])
        self.surface = LoopSurface(net)
        self.mesh, self.c, self.v = self.surface.sampled(columns, rows)
        self.normals = self.surface.normals(self.c, self.v)
        self.centres = self.mesh.vertices[self.mesh.faces].mean(1)
        self.rows = len(net)
        self.steps = np.array([net.shape[1] / columns, (len(net) - 1) / (rows - 1)])

    def face_parameters(self) -> Floats:
        """c in [-15, 15) and v of the faces' middles, (M, 2)."""
        period = self.surface.net.shape[1]
        first = self.mesh.faces[:, 0]
        dc, dv = self.steps
        c = (self.c[first] + dc / 2 + period / 2) % period - period / 2
        return np.stack([c, self.v[first] + dv / 2], 1)

    def patch(self, outline: Floats, projection: Projection) -> npt.NDArray[np.bool_]:
        """Which faces lie in an outline drawn on the left half, or in its mirror image."""
        left = self.centres * [1, 0, 1] + np.abs(self.centres * [0, 1, 0])
        first = self.mesh.faces[:, 0]
        normals = self.normals[first] * np.where(
            self.centres[:, 1:2] < 0, [[1, -1, 1]], [[1, 1, 1]]
        )
        return inside(projection.flat(left), outline) & projection.hit(left, normals)

    def patch_by_parameter(self, outline: Floats, around: float = 0.0) -> npt.NDArray[np.bool_]:
        """Which faces lie in an outline of (c - around, v)."""
        period = self.surface.net.shape[1]
        at = self.face_parameters()
        at[:, 0] = (at[:, 0] - around + period / 2) % period - period / 2
        return inside(at, outline)

    def drop(self, line: Floats, projection: Projection) -> tuple[Floats, Floats]:
        """Points and normals (N, 3) of a projected line (N, 2) on the skin's left half."""
        coarse = slice(None, None, 7)  # enough for Newton's method to start from
        choose = projection.hit(self.mesh.vertices[coarse], self.normals[coarse])
        flat = projection.flat(self.mesh.vertices[coarse][choose])
        nearest = np.array([np.argmin(((flat - p) ** 2).sum(1)) for p in line])
        c, v = self.c[coarse][choose][nearest].copy(), self.v[coarse][choose][nearest].copy()
        h = 1e-3
        for _ in range(8):
            at = projection.flat(self.surface.at(c, v))
            dc = (projection.flat(self.surface.at(c + h, v)) - at) / h
            dv = (projection.flat(self.surface.at(c, v + h)) - at) / h
            det = dc[:, 0] * dv[:, 1] - dc[:, 1] * dv[:, 0]
            det = np.where(np.abs(det) < 1e-6, 1e-6, det)
            miss = line - at
            step_c = (miss[:, 0] * dv[:, 1] - miss[:, 1] * dv[:, 0]) / det
            step_v = (dc[:, 0] * miss[:, 1] - dc[:, 1] * miss[:, 0]) / det
            c += step_c.clip(-0.2, 0.2)
            v = (v + step_v.clip(-0.2, 0.2)).clip(0, self.rows - 1.01)
        return self.surface.at(c, v), self.surface.normals(c, v)

    def trace(
        self, line: Floats, closed: bool, projection: Projection, step: float = 0.012
    ) -> tuple[Floats, Floats]:
        """A projected line laid on the skin at equal steps in metres."""
        points, normals = self.drop(resampled(line, 1.0, closed), projection)
        both = resampled(np.concatenate([points, normals], 1), step, closed)
        return both[:, :3], both[:, 3:] / np.linalg.norm(both[:, 3:], axis=1, keepdims=True)

    def trace_by_parameter(
        self, line: Floats, closed: bool, around: float = 0.0, step: float = 0.012
    ) -> tuple[Floats, Floats]:
        """A line of (c - around, v) laid on the skin at equal steps in metres."""
        fine = resampled(line, 0.02, closed)
        c = (fine[:, 0] + around) % self.surface.net.shape[1]
        both = np.concatenate(
            [self.surface.at(c, fine[:, 1]), self.surface.normals(c, fine[:, 1])], 1
        )
        both = resampled(both, step, closed)
        return both[:, :3], both[:, 3:] / np.linalg.norm(both[:, 3:], axis=1, keepdims=True)

    def part(self, chosen: npt.NDArray[np.bool_], lift: float = 0.0) -> Mesh:
        """Some of the faces as a mesh of their own, moved along the normals by `lift` metres."""
        faces = self.mesh.faces[chosen]
        used, index = np.unique(faces, return_inverse=True)
        return Mesh(
            self.mesh.vertices[used] + lift * self.normals[used],
            np.asarray(index, np.int64).reshape(faces.shape),
        )


def outline(line: Sequence[tuple[float, float]], radius: float = 3.0) -> Floats:
    """A closed outline, its corners rounded by about `radius`."""
    return rounded(line, True, radius)
