"""Curves and surfaces of the sample car as arrays; no Blender in here.

Points are float64 (N, 3) in metres: x forward, y to the car's own left, z up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices (N, 3) and faces (M, 4) of vertex indices."""

    vertices: Floats
    faces: Ints


def join(meshes: Sequence[Mesh]) -> Mesh:
    offsets = np.cumsum([0, *(len(m.vertices) for m in meshes[:-1])])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + o for m, o in zip(meshes, offsets, strict=True)]),
    )


def mirrored(mesh: Mesh) -> Mesh:
    """The mesh on the car's other side, faces still outward."""
    return Mesh(mesh.vertices * [1, -1, 1], mesh.faces[:, ::-1])


def grid_faces(rows: int, columns: int, closed: bool = False) -> Ints:
    """Faces over a grid of vertices, row by row; `closed` joins the last column to the first."""
    r = np.arange(rows - 1)[:, None]
    c = np.arange(columns if closed else columns - 1)[None, :]
    n = (c + 1) % columns
    corners = (r * columns + c, r * columns + n, (r + 1) * columns + n, (r + 1) * columns + c)
    return np.stack(np.broadcast_arrays(*corners), axis=-1).reshape(-1, 4).astype(np.int64)


@dataclass(frozen=True, eq=False)
class LoopSurface:
    """A uniform cubic B-spline over closed loops (rows) of control points, (R, C, 3).

    The parameter c runs around the loops in [0, C) and closes; v runs across them in [0, R - 1],
    from the first loop, which the surface meets, to the last, over which it runs on mirrored in y.
    """

    net: Floats

    def at(self, c: Floats, v: Floats) -> Floats:
        """Points (N, 3) at parameters (N,)."""
        columns = self.net.shape[1]
        first = 2 * self.net[:1] - self.net[1:2]
        last = self.net[-2:-1] * [1, -1, 1]
        padded = np.concatenate([first, self.net, last])
        ci, vi = np.floor(c).astype(int), np.minimum(np.floor(v).astype(int), len(self.net) - 2)
        wc, wv = _basis(c - ci), _basis(v - vi)
        points = np.zeros((len(c), 3))
        for i in range(4):
            for j in range(4):
                weight = (wv[:, i] * wc[:, j])[:, None]
                points += weight * padded[vi + i, (ci + j - 1) % columns]
        return points

    def normals(self, c: Floats, v: Floats) -> Floats:
        """Outward unit normals (N, 3)."""
        h = 1e-3
        top = len(self.net) - 1
        along = self.at(c + h, v) - self.at(c - h, v)
        up = self.at(c, np.minimum(v + h, top)) - self.at(c, np.maximum(v - h, 0))
        return unit(np.cross(along, up))

    def sampled(self, columns: int, rows: int) -> tuple[Mesh, Floats, Floats]:
        """The surface as a mesh, and the parameters c and v of its vertices."""
        cs = np.arange(columns) * self.net.shape[1] / columns
        vs = np.linspace(0, len(self.net) - 1, rows)
        v, c = (a.ravel() for a in np.meshgrid(vs, cs, indexing="ij"))
        return Mesh(self.at(c, v), grid_faces(rows, columns, closed=True)), c, v


def _basis(t: Floats) -> Floats:
    """Weights (N, 4) of the uniform cubic B-spline."""
    first, last = (1 - t) ** 3, t**3
    weights: Floats = np.stack(
        [first, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, last], 1
    )
    return weights / 6


def unit(vectors: Floats) -> Floats:
    """Vectors (N, 3) at length 1."""
    lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)


def inside(points: Floats, polygon: Floats) -> npt.NDArray[np.bool_]:
    """Which points (N, 2) a polygon (M, 2) contains (even-odd rule)."""
    x, y = points[:, :1], points[:, 1:]
    x0, y0 = polygon.T
    x1, y1 = np.roll(polygon, -1, axis=0).T
    crosses = (y0 > y) != (y1 > y)
    slope = (x1 - x0) / np.where(y1 == y0, 1.0, y1 - y0)
    return np.asarray((crosses & (x < x0 + slope * (y - y0))).sum(axis=1) % 2 == 1)


def rounded(
    line: Sequence[tuple[float, float]], closed: bool, radius: float = 3.0, times: int = 3
) -> Floats:
    """A line (N, 2) with its corners cut (Chaikin 1974), each at most `radius` along its sides."""
    points = np.array(line, float)
    for _ in range(times):
        a = points if closed else points[:-1]
        b = np.roll(points, -1, axis=0) if closed else points[1:]
        length = np.linalg.norm(b - a, axis=1, keepdims=True)
        share = np.minimum(0.25, radius / np.maximum(length, 1e-9))
        cut = np.stack([a + share * (b - a), b - share * (b - a)], 1).reshape(-1, 2)
        points = cut if closed else np.concatenate([points[:1], cut[1:-1], points[-1:]])
        radius /= 2
    return points


def resampled(line: Floats, step: float, closed: bool) -> Floats:
    """A line (N, D) at equal steps of about `step`; a closed one does not repeat its start."""
    whole = np.concatenate([line, line[:1]]) if closed else line
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(whole, axis=0), axis=1))])
    count = max(3, round(float(length[-1]) / step))
    at = np.linspace(0, length[-1], count + 1)
    if closed:
        at = at[:-1]
    return np.stack([np.interp(at, length, whole[:, d]) for d in range(line.shape[1])], 1)


def ribbon(
    points: Floats, normals: Floats, width: float, height: float, closed: bool, sink: float = 0.004
) -> Mesh:
    """A rounded strip laid along points (N, 3) of a surface: seals, trims and gaps."""
    if closed:
        along = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    else:
        along = np.gradient(points, axis=0)
    across = unit(np.cross(normals, along)) * width / 2
    profile = [(-1, -sink), (-1, height * 0.4), (-0.6, height), (0, height * 1.1)]
    profile += [(-a, h) for a, h in profile[2::-1]]
    strip = np.stack([points + a * across + h * normals for a, h in profile], 0)
    strip = strip.transpose(1, 0, 2)
    if closed:
        strip = np.concatenate([strip, strip[:1]])
    return Mesh(strip.reshape(-1, 3), grid_faces(len(strip), len(profile)))


def lathe(profile: Sequence[tuple[float, float]], segments: int = 96) -> Mesh:
    """A profile of (radius, y) turned about the y axis."""
    angle = np.arange(segments) * 2 * np.pi / segments
    r, y = np.array(profile, float).T
    points = np.stack(
        np.broadcast_arrays(r[:, None] * np.cos(angle), y[:, None], r[:, None] * np.sin(angle)),
        -1,
    )
    return Mesh(points.reshape(-1, 3), grid_faces(len(r), segments, closed=True))


def tube(points: Floats, radius: float | Floats, sides: int = 12) -> Mesh:
    """A round bar along points (N, 3), open at its ends where the radius is not 0."""
    along = unit(np.gradient(points, axis=0))
    helper = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
    a = unit(np.cross(along, helper))
    b = np.cross(along, a)
    t = np.arange(sides) * 2 * np.pi / sides
    r = np.broadcast_to(np.asarray(radius, float), (len(points),))[:, None, None]
    ring = points[:, None] + r * (
        np.cos(t)[None, :, None] * a[:, None] + np.sin(t)[None, :, None] * b[:, None]
    )
    return Mesh(ring.reshape(-1, 3), grid_faces(len(points), sides, closed=True))


def pill(
    centre: tuple[float, float, float], size: tuple[float, float, float], power: float = 4.0
) -> Mesh:
    """A superellipsoid: a box with round edges; the power 2 makes an ellipsoid."""
    rows, columns = 33, 64
    lat = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    lon = (np.arange(columns) * 2 * np.pi / columns)[None, :]

    def bent(values: Floats) -> Floats:
        return np.sign(values) * np.abs(values) ** (2 / power)

    shape = np.stack(
        np.broadcast_arrays(
            bent(np.cos(lat)) * bent(np.cos(lon)),
            bent(np.cos(lat)) * bent(np.sin(lon)),
            bent(np.sin(lat)) * np.ones_like(lon),
        ),
        -1,
    ).reshape(-1, 3)
    return Mesh(
        shape * np.array(size) / 2 + np.array(centre), grid_faces(rows, columns, closed=True)
    )


def turned(mesh: Mesh, axis: str, degrees: float) -> Mesh:
    """The mesh turned about an axis through the origin."""
    s, c = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    matrix = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }[axis]
    return Mesh(mesh.vertices @ np.array(matrix).T, mesh.faces)


def moved(mesh: Mesh, by: tuple[float, float, float]) -> Mesh:
    return Mesh(mesh.vertices + np.array(by), mesh.faces)
