"""The yard the sample car stands in: a house, a brick wall, a hedge, a tree, paving and sky."""

import math
from typing import Any

import bpy
import numpy as np

from okla_assets.sample import looks
from okla_assets.sample.surface import Mesh, tube

SEED = 4


def build(collection: Any) -> None:
    """Fills the collection, and gives the scene its sky."""
    _ground(collection)
    _house(collection)
    _garage(collection)
    _hedge(collection)
    _street_side(collection)
    _sky()


def leaves(centres: np.ndarray[Any, Any], size: float, rng: np.random.Generator) -> Mesh:
    """A small quad in a random direction at each of the centres (N, 3)."""
    count = len(centres)
    a = rng.normal(size=(count, 3))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(a, rng.normal(size=(count, 3)))
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    scale = size * rng.uniform(0.6, 1.3, (count, 1))
    corners = [
        centres + scale * (i * a + 0.6 * j * b) for i, j in ((-1, 0), (0, -1), (1, 0), (0, 1))
    ]
    points = np.stack(corners, 1).reshape(-1, 3)
    return Mesh(points, np.arange(4 * count).reshape(-1, 4))


def _ground(collection: Any) -> None:
    asphalt = looks.rough("asphalt", (0.075, 0.074, 0.073), (0.15, 0.147, 0.142), 0.7, 0.35, 90.0)
    slabs = looks.bricks(
        "slabs", [(0.30, 0.28, 0.25), (0.24, 0.23, 0.21)], (0.10, 0.10, 0.09), 0.40, 0.40, "xy"
    )
    kerb = looks.rough("kerb", (0.28, 0.28, 0.27), (0.38, 0.37, 0.35), 4.0, 0.2)
    grass = looks.rough("grass", (0.035, 0.07, 0.012), (0.09, 0.15, 0.03), 2.0, 0.8, 60.0)
    box = looks.box
    box("earth", (0, 0, -0.30), (160, 160, 0.2), grass, collection)
    box("asphalt", (0, 0, -0.15), (23, 17.2, 0.30), asphalt, collection)
    box("footpath", (0, -9.9, -0.06), (23, 2.6, 0.32), slabs, collection)
    box("kerb", (0, -8.55, -0.05), (23, 0.14, 0.32), kerb, collection)
    box("road", (20, 0, -0.16), (8, 80, 0.30), asphalt, collection)
    seam = looks.principled("seam", (0.03, 0.03, 0.03), Roughness=0.6)
    rng = np.random.default_rng(SEED)
    for start, turn in (((-4, 6.5), -0.3), ((6.5, 5.0), -1.9), ((-8, -5), 0.35)):
        steps = turn + rng.normal(0, 0.35, 60).cumsum() * 0.25
        line = np.stack(
            [
                start[0] + 0.1 * np.cos(steps).cumsum(),
                start[1] + 0.1 * np.sin(steps).cumsum(),
                0 * steps,
            ],
            1,
        )
        looks.add("crack", tube(line, 0.006, 6), seam, collection)
    drain = looks.principled("drain", (0.05, 0.045, 0.04), Metallic=0.8, Roughness=0.6)
    box("drain", (3.4, -6.6, 0.0), (0.45, 0.45, 0.012), drain, collection)


def _house(collection: Any) -> None:
    plaster = looks.rough("plaster", (0.56, 0.50, 0.40), (0.66, 0.60, 0.50), 0.6, 0.15, 40.0)
    plinth = looks.rough("plinth", (0.20, 0.19, 0.18), (0.27, 0.26, 0.24), 3.0, 0.3)
    white = looks.principled("window frame", (0.72, 0.72, 0.70), Roughness=0.4)
    pane = looks.principled("pane", (0.02, 0.025, 0.03), Roughness=0.05)
    wood = looks.principled("door", (0.10, 0.05, 0.025), Roughness=0.45)
    tiles = looks.bricks(
        "tiles", [(0.28, 0.09, 0.05), (0.20, 0.06, 0.04)], (0.06, 0.03, 0.02), 0.30, 0.22, "xz"
    )
    box = looks.box
    box("house", (0, -15, 3.0), (22, 8, 6.0), plaster, collection)
    box("plinth", (0, -11, 0.35), (22.06, 0.10, 0.7), plinth, collection)
    box("eaves", (0, -10.9, 6.05), (22.8, 0.9, 0.14), white, collection)
    roof = box("roof", (0, -13.4, 7.1), (23, 6.2, 0.16), tiles, collection)
    roof.rotation_euler[0] = math.radians(-24)
    for x in (-8.4, -5.2, -1.9, 4.6, 8.2):
        for z in (1.75, 4.55):
            box("frame", (x, -10.98, z), (1.25, 0.10, 1.45), white, collection)
            for side in (-1, 1):
                box("pane", (x + side * 0.29, -10.925, z), (0.50, 0.02, 1.25), pane, collection)
            box("sill", (x, -10.90, z - 0.78), (1.45, 0.25, 0.06), plinth, collection)
    box("door frame", (1.4, -10.97, 1.2), (1.30, 0.10, 2.4), white, collection)
    box("door", (1.4, -10.91, 1.16), (1.05, 0.06, 2.2), wood, collection)
    box("step", (1.4, -10.6, 0.14), (1.7, 0.7, 0.16), plinth, collection)
    box("down pipe", (-10.2, -10.9, 3.0), (0.09, 0.09, 6.0), plinth, collection)


def _garage(collection: Any) -> None:
    brick = looks.bricks(
        "brick", [(0.30, 0.10, 0.06), (0.22, 0.08, 0.05)], (0.32, 0.30, 0.27), 0.25, 0.083, "yz"
    )
    metal = looks.principled("gate", (0.30, 0.33, 0.34), Metallic=0.2, Roughness=0.5)
    stone = looks.rough("coping", (0.34, 0.33, 0.31), (0.44, 0.43, 0.40), 3.0, 0.2)
    box = looks.box
    box("garage", (-14, 0.5, 1.6), (5, 9.0, 3.2), brick, collection)
    box("coping", (-13.95, 0.5, 3.25), (5.2, 9.2, 0.12), stone, collection)
    box("wall", (-11.7, -7, 1.0), (0.24, 6.2, 2.0), brick, collection)
    box("wall", (-11.7, 8, 1.0), (0.24, 6.2, 2.0), brick, collection)
    for y in (-1.6, 2.6):
        for step in range(7):
            box(
                "gate", (-11.46, y, 0.18 + step * 0.34), (0.08, 2.6, 0.325), metal, collection, 0.01
            )


def _hedge(collection: Any) -> None:
    green = looks.rough("hedge", (0.018, 0.045, 0.010), (0.07, 0.13, 0.025), 1.5, 0.0, 25.0)
    core = looks.principled("hedge core", (0.010, 0.020, 0.006), Roughness=1.0)
    rng = np.random.default_rng(SEED)
    count = 26000
    u, v = rng.uniform(-11.5, 11.5, count), rng.uniform(0, 1, count)
    bulge = 0.16 * np.sin(1.7 * u) + 0.10 * np.sin(4.1 * u + 1)
    face = v < 0.72
    y = np.where(face, 9.3, 9.3 + rng.uniform(0, 1.0, count)) - bulge + rng.normal(0, 0.05, count)
    z = np.where(face, 1.75 * v / 0.72, 1.75) + 0.4 * bulge + rng.normal(0, 0.05, count)
    looks.add("hedge", leaves(np.stack([u, y, z], 1), 0.055, rng), green, collection, smooth=False)
    looks.box("hedge core", (0, 9.95, 0.8), (23, 1.0, 1.6), core, collection)
    fence = looks.principled("fence", (0.16, 0.11, 0.07), Roughness=0.8)
    for x in np.arange(-11.5, 11.6, 0.145):
        looks.box("plank", (float(x), 11.4, 1.1), (0.12, 0.03, 2.2), fence, collection)


def _street_side(collection: Any) -> None:
    stone = looks.bricks(
        "stone", [(0.34, 0.31, 0.27), (0.26, 0.25, 0.23)], (0.20, 0.19, 0.17), 0.5, 0.22, "yz"
    )
    plaster = looks.rough("far plaster", (0.50, 0.49, 0.46), (0.60, 0.58, 0.55), 0.5, 0.1)
    ochre = looks.rough("ochre", (0.50, 0.36, 0.20), (0.56, 0.42, 0.26), 0.5, 0.1)
    roof = looks.principled("far roof", (0.12, 0.06, 0.045), Roughness=0.8)
    pane = looks.principled("far pane", (0.03, 0.035, 0.04), Roughness=0.1)
    bark = looks.rough("bark", (0.06, 0.045, 0.03), (0.12, 0.09, 0.065), 6.0, 0.6)
    leaf = looks.rough("leaf", (0.03, 0.07, 0.012), (0.11, 0.18, 0.035), 0.9, 0.0, 20.0)
    box = looks.box
    for y in (-7.4, 7.2):
        box("low wall", (12.6, y, 0.5), (0.3, 5.0, 1.0), stone, collection)
    for y, width, high, material in (
        (-13, 11, 6, plaster),
        (0.5, 12, 5, ochre),
        (15, 13, 6.5, plaster),
    ):
        box("far house", (30, y, high / 2), (8, width, high), material, collection)
        top = box("far roof", (30, y, high + 0.9), (7.0, width + 0.6, 0.3), roof, collection)
        top.rotation_euler[1] = math.radians(-20)
        for window in np.arange(-width / 2 + 1.6, width / 2 - 1, 2.6):
            for z in (1.6, 4.2):
                box("far pane", (25.97, y + float(window), z), (0.1, 1.1, 1.3), pane, collection)
    rng = np.random.default_rng(SEED)
    for x, y, high in ((14.2, 5.4, 6.0), (14.0, -5.6, 5.2), (-15, 13.5, 7.0), (7.5, 14.5, 6.5)):
        trunk = np.array(
            [[x, y, -0.2], [x + 0.05, y, 1.2], [x - 0.05, y + 0.1, 2.4], [x, y, high * 0.8]]
        )
        looks.add("trunk", tube(trunk, np.array([0.20, 0.16, 0.12, 0.03])), bark, collection)
        clumps = rng.normal(0, 1, (26, 3)) * [1.0, 1.0, 0.8] + [x, y, high * 0.72]
        spread = rng.normal(0, 0.42, (26, 420, 3))
        looks.add(
            "crown",
            leaves((clumps[:, None] + spread).reshape(-1, 3), 0.085, rng),
            leaf,
            collection,
            smooth=False,
        )


def _sky() -> None:
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    sky = tree.nodes.new("ShaderNodeTexSky")
    sky.sky_type = "NISHITA"
    sky.sun_elevation, sky.sun_rotation = math.radians(47), math.radians(62)
    # A thin veil of cloud: soft shadows, as sellers' photos on a bright grey day have them.
    sky.sun_intensity, sky.sun_size = 0.28, math.radians(9)
    sky.air_density, sky.dust_density = 1.2, 2.2
    background = tree.nodes["Background"]
    tree.links.new(sky.outputs[0], background.inputs[0])
    background.inputs[1].default_value = 0.16
