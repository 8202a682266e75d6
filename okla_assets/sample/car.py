"""The sample car, built in Blender out of the skin and its fittings."""

from typing import Any

import bpy
import numpy as np

from okla_assets.sample import looks
from okla_assets.sample.body import (
    ARCH_RADIUS,
    AXLES,
    NOSE,
    SIDE,
    TAIL,
    WHEEL_RADIUS,
    Projection,
    Skin,
    outline,
)
from okla_assets.sample.surface import (
    Floats,
    Mesh,
    join,
    lathe,
    mirrored,
    moved,
    pill,
    ribbon,
    rounded,
    tube,
    turned,
)

Line = list[tuple[float, float]]

PLATE_TEXT = "OKLA 360"
PLATE_SIZE = (0.52, 0.112)

# Outlines in the projections of body.py: centimetres, degrees, or (c, v) of the skin.
FRONT_WINDOW: Line = [(54, 101.5), (-24, 102.5), (-25, 138), (-3, 138), (8, 135)]
REAR_WINDOW: Line = [
    (-33, 102.5),
    (-106, 103.5),
    (-128, 106.5),
    (-127, 112),
    (-114, 131),
    (-104, 137),
    (-34, 138),
]
QUARTER_WINDOW: Line = [(-134, 107.5), (-158, 111), (-152, 117), (-128, 132), (-118, 133.5)]
WINDSCREEN: Line = [(-4.55, 11.1), (4.55, 11.1), (4.6, 13.9), (-4.6, 13.9)]
TAIL_WINDOW: Line = [(-3.0, 11.25), (3.0, 11.25), (2.9, 13.75), (-2.9, 13.75)]
HEADLIGHT: Line = [(23, 69), (40, 68), (56, 70.5), (70, 78.5), (62, 79), (44, 76.5), (24, 73.5)]
TAIL_LIGHT: Line = [(25, 84), (44, 82.5), (62, 84), (72, 90), (64, 95), (44, 94.5), (25, 91.5)]
GRILLE: Line = [(-21.5, 63.5), (21.5, 63.5), (22.5, 73), (-22.5, 73)]
INTAKE: Line = [(-29, 26.5), (29, 26.5), (35, 40), (-35, 40)]
FOG_RECESS: Line = [(41, 29), (50, 30), (54, 44), (46, 44)]
REFLECTOR: Line = [(38, 40), (56, 40), (57, 43.5), (38, 43.5)]


class Car:
    """Builds everything into one collection."""

    def __init__(self, collection: Any) -> None:
        self.collection = collection
        self.skin = Skin()
        self.free = np.ones(len(self.skin.mesh.faces), bool)
        paint = looks.principled(
            "paint",
            (0.36, 0.012, 0.016),
            Metallic=0.35,
            Roughness=0.38,
            Coat_Weight=1.0,
            Coat_Roughness=0.02,
        )
        self.paint = paint
        self.black = looks.principled("plastic", (0.012, 0.012, 0.013), Roughness=0.55)
        self.gloss = looks.principled("piano black", (0.006, 0.006, 0.007), Roughness=0.12)
        self.gap = looks.principled("gap", (0.003, 0.003, 0.003), Roughness=0.9)
        self.chrome = looks.principled("chrome", (0.75, 0.76, 0.78), Metallic=1.0, Roughness=0.12)
        self.alloy = looks.principled("alloy", (0.50, 0.51, 0.53), Metallic=1.0, Roughness=0.28)
        self.rubber = looks.principled("rubber", (0.014, 0.014, 0.015), Roughness=0.8)
        self.steel = looks.principled("steel", (0.30, 0.29, 0.28), Metallic=1.0, Roughness=0.4)
        self.cloth = looks.principled("cloth", (0.035, 0.036, 0.04), Roughness=0.9)
        self.trim = looks.principled("trim", (0.02, 0.02, 0.022), Roughness=0.7)
        self.sky_cloth = looks.principled("headliner", (0.30, 0.29, 0.27), Roughness=0.95)
        self.glass = looks.clear("glass", (0.62, 0.68, 0.66))
        self.privacy = looks.clear("privacy glass", (0.22, 0.24, 0.24))
        self.lens = looks.clear("lens", (0.93, 0.94, 0.95))
        self.red_lens = looks.clear("red lens", (0.75, 0.02, 0.02))
        self.lamp = looks.principled(
            "lamp", (0.9, 0.9, 0.9), Emission_Color=(1.0, 0.97, 0.9), Emission_Strength=1.6
        )
        self.red_lamp = looks.principled(
            "red lamp", (0.5, 0.01, 0.01), Emission_Color=(1.0, 0.03, 0.02), Emission_Strength=0.8
        )
        self.reflector = looks.principled("reflector", (0.45, 0.01, 0.01), Roughness=0.15)

    def build(self) -> dict[str, Floats]:
        """The car, and the corners (4, 3) of its plates in space by their place."""
        self._glass()
        self._lights()
        self._front()
        self._rear()
        self._sides()
        self._shell()
        for x in AXLES:
            self._wheel(x)
        self._cabin()
        self._mirrors()
        self._small_parts()
        return {"front": self._plate("front"), "rear": self._plate("rear")}

    # --- ways of drawing -------------------------------------------------------------------------

    def _add(self, name: str, mesh: Mesh, material: Any, both: bool = False) -> None:
        looks.add(name, join([mesh, mirrored(mesh)]) if both else mesh, material, self.collection)

    def _cut(self, chosen: Any, name: str, material: Any, lift: float = 0.0) -> None:
        """Faces taken out of the paint and given to another material."""
        chosen = chosen & self.free
        self.free &= ~chosen
        self._add(name, self.skin.part(chosen, lift), material)

    def _edge(
        self,
        line: Floats,
        projection: Projection,
        width: float,
        height: float,
        material: Any,
        closed: bool = True,
        both: bool = True,
    ) -> None:
        points, normals = self.skin.trace(line, closed, projection)
        self._add("edge", ribbon(points, normals, width, height, closed), material, both)

    def _edge_by_parameter(
        self,
        line: Floats,
        width: float,
        height: float,
        material: Any,
        closed: bool = True,
        around: float = 0.0,
        both: bool = False,
    ) -> None:
        points, normals = self.skin.trace_by_parameter(line, closed, around)
        self._add("edge", ribbon(points, normals, width, height, closed), material, both)

    def _gap(self, line: Line, projection: Projection) -> None:
        self._edge(rounded(line, False), projection, 0.006, 0.0006, self.gap, closed=False)

    # --- parts -----------------------------------------------------------------------------------

    def _glass(self) -> None:
        for line, material in (
            (FRONT_WINDOW, self.glass),
            (REAR_WINDOW, self.privacy),
            (QUARTER_WINDOW, self.privacy),
        ):
            shape = outline(line, 5.0)
            self._cut(self.skin.patch(shape, SIDE), "window", material)
            self._edge(shape, SIDE, 0.022, 0.003, self.gloss)
        pillar = [(-20, 103), (-38, 103), (-38, 137.5), (-20, 137.5)]
        self._cut(self.skin.patch(np.array(pillar, float), SIDE), "pillar", self.gloss)
        c_pillar = [(-123, 107), (-136, 108), (-122, 132), (-108, 133)]
        self._cut(self.skin.patch(np.array(c_pillar, float), SIDE), "pillar", self.gloss)
        for screen, around, material in (
            (WINDSCREEN, 0.0, self.glass),
            (TAIL_WINDOW, 15.0, self.privacy),
        ):
            shape = outline(screen, 0.35)
            self._cut(self.skin.patch_by_parameter(shape, around), "screen", material)
            self._edge_by_parameter(shape, 0.040, 0.0015, self.gloss, around=around)
        belt = [(62, 99.6), (0, 100.6), (-106, 101.8), (-134, 105.2), (-164, 109.5)]
        self._edge(rounded(belt, False), SIDE, 0.014, 0.005, self.chrome, closed=False)

    def _lights(self) -> None:
        shape = outline(HEADLIGHT)
        faces = self.skin.patch(shape, NOSE)
        self._add("bucket", self.skin.part(faces, -0.06), self.trim)
        self._cut(faces, "lens", self.lens)
        self._edge(shape, NOSE, 0.012, 0.0015, self.gloss)
        for angle, z, size in ((33, 71.8, 0.030), (45, 72.8, 0.030), (56, 74.5, 0.024)):
            points, normals = self.skin.drop(np.array([[angle, z]], float), NOSE)
            centre, normal = points[0] - 0.03 * normals[0], normals[0]
            turn = np.degrees(np.arctan2(normal[1], normal[0]))
            for material, profile in (
                (
                    self.chrome,
                    [(size, -0.03), (size, 0.012), (size * 0.85, 0.012), (size * 0.7, -0.02)],
                ),
                (self.lamp, [(0.0, -0.012), (size * 0.55, -0.014), (size * 0.75, -0.022)]),
            ):
                ring = turned(turned(lathe(profile, 48), "z", -90), "z", float(turn))
                self._add("lamp", moved(ring, tuple(centre)), material, both=True)
        strip = [(25.5, 73.0), (44, 75.6), (62, 78.2), (67, 78.4)]
        points, normals = self.skin.trace(rounded(strip, False), False, NOSE)
        self._add(
            "day light",
            ribbon(points - 0.012 * normals, normals, 0.010, 0.002, False),
            self.lamp,
            both=True,
        )

        shape = outline(TAIL_LIGHT)
        faces = self.skin.patch(shape, TAIL)
        self._add("bucket", self.skin.part(faces, -0.045), self.reflector)
        self._cut(faces, "lens", self.red_lens)
        self._edge(shape, TAIL, 0.010, 0.0015, self.gloss)
        for z, material in ((86.5, self.red_lamp), (89, self.chrome), (91.5, self.red_lamp)):
            strip = [(29, z), (45, z - 0.3), (62, z + 0.3)]
            points, normals = self.skin.trace(rounded(strip, False), False, TAIL)
            self._add(
                "tail strip",
                ribbon(points - 0.014 * normals, normals, 0.012, 0.003, False),
                material,
                both=True,
            )

    def _front(self) -> None:
        for line, material in ((GRILLE, self.gap), (INTAKE, self.gap)):
            shape = outline(line)
            self._cut(self.skin.patch(shape, NOSE), "grille", material, lift=-0.012)
            self._edge(shape, NOSE, 0.018, 0.005, self.gloss, both=False)
        for z in (65.5, 67.4, 69.3, 71.2):
            slat = np.array([(-20.5, z), (20.5, z)], float)
            self._edge(slat, NOSE, 0.009, 0.004, self.gloss, closed=False, both=False)
        for z in (29.5, 32.5, 35.5, 38):
            slat = np.array([(-28, z), (28, z)], float)
            self._edge(slat, NOSE, 0.008, 0.004, self.black, closed=False, both=False)
        chrome = [(-24, 73.6), (-22, 64.0), (-19, 62.6), (19, 62.6), (22, 64.0), (24, 73.6)]
        self._edge(rounded(chrome, False), NOSE, 0.012, 0.008, self.chrome, False, both=False)
        shape = outline(FOG_RECESS)
        self._cut(self.skin.patch(shape, NOSE), "fog recess", self.black, lift=-0.02)
        self._edge(shape, NOSE, 0.012, 0.004, self.black)
        self._badge(NOSE, 68.6, 1)

        bonnet = [(-4.6, 10.2), (-4.45, 9.2), (-4.2, 8.3), (-3.4, 7.75), (0, 7.7)]
        bonnet += [(-c, v) for c, v in bonnet[-2::-1]]
        self._edge_by_parameter(rounded(bonnet, False, 0.6), 0.006, 0.0006, self.gap, closed=False)
        self._edge_by_parameter(
            np.array([(-4.4, 10.72), (4.4, 10.72)]), 0.075, 0.003, self.black, closed=False
        )
        self._gap([(176, 72.5), (172, 67), (166, 57)], SIDE)

    def _badge(self, projection: Projection, z: float, sign: int) -> None:
        points, normals = self.skin.drop(np.array([[0.0, z]]), projection)
        place = points[0] + normals[0] * 0.006
        tilt = float(np.degrees(np.arcsin(normals[0][2])))
        ring = lathe(
            [(0.030, -0.01), (0.046, 0.0), (0.046, 0.008), (0.040, 0.010), (0.036, 0.004)], 64
        )
        disc = lathe([(0.0, 0.006), (0.030, 0.005), (0.038, 0.002)], 64)
        bar = pill((0, 0.006, 0), (0.066, 0.012, 0.012), 6)
        for mesh, material in ((ring, self.chrome), (disc, self.gloss), (bar, self.chrome)):
            upright = turned(turned(mesh, "z", -90), "y", -tilt)
            if sign < 0:
                upright = turned(upright, "z", 180)
            self._add("badge", moved(upright, tuple(place)), material)

    def _rear(self) -> None:
        lower = outline([(-34, 25), (34, 25), (30, 39), (-30, 39)])
        self._cut(self.skin.patch(lower, TAIL), "diffuser", self.black, lift=0.002)
        self._edge(lower, TAIL, 0.010, 0.002, self.black, both=False)
        shape = outline(REFLECTOR)
        self._cut(self.skin.patch(shape, TAIL), "reflector", self.reflector)
        gate = [(-3.15, 13.9), (-3.25, 11.0), (-3.2, 8.0), (-2.9, 5.2), (-2.4, 4.45), (0, 4.35)]
        gate += [(-c, v) for c, v in gate[-2::-1]]
        self._edge_by_parameter(
            rounded(gate, False, 0.6), 0.007, 0.0006, self.gap, closed=False, around=15.0
        )
        bar = np.array([(-17.5, 81.0), (17.5, 81.0)])
        self._edge(bar, TAIL, 0.022, 0.012, self.chrome, closed=False, both=False)
        self._badge(TAIL, 92.0, -1)
        spoiler = np.array([(-2.7, 14.0), (2.7, 14.0)])
        points, normals = self.skin.trace_by_parameter(spoiler, False, 15.0)
        points = points + np.array([-0.035, 0, 0.006])
        self._add(
            "spoiler",
            ribbon(points, normals * 0 + [0, 0, 1], 0.17, 0.014, False, 0.012),
            self.paint,
        )
        stop = points[len(points) * 2 // 5 : len(points) * 3 // 5] + np.array([-0.086, 0, 0.002])
        self._add("stop lamp", tube(stop, 0.006), self.red_lamp)
        wiper = np.array([(-0.2, 11.45), (1.9, 11.75)])
        points, normals = self.skin.trace_by_parameter(wiper, False, 15.0)
        self._add("rear wiper", tube(points + 0.016 * normals, 0.007), self.black)
        hub = pill((0, 0, 0), (0.05, 0.06, 0.05), 3)
        self._add("rear wiper", moved(hub, tuple(points[0])), self.black)

    def _sides(self) -> None:
        self._gap(
            [(66, 99), (78, 84), (83, 60), (80, 37), (74, 33), (-20, 32.5), (-28, 36), (-29, 101)],
            SIDE,
        )
        self._gap(
            [
                (-29, 36),
                (-34, 32.5),
                (-84, 32.5),
                (-93, 37),
                (-98, 52),
                (-112, 70),
                (-133, 84),
                (-140, 98),
                (-134, 106),
            ],
            SIDE,
        )
        for x, z in ((-6, 84.5), (-95, 87.5)):
            recess = outline(
                [(x - 5, z - 2.6), (x + 7, z - 2.6), (x + 7, z + 2.4), (x - 5, z + 2.4)]
            )
            self._edge(recess, SIDE, 0.004, 0.0008, self.gap)
            handle = np.array([(x - 9, z + 0.4), (x + 8, z)], float)
            points, normals = self.skin.trace(handle, False, SIDE)
            rise = np.sqrt(np.sin(np.linspace(0, np.pi, len(points)))).reshape(-1, 1)
            self._add(
                "handle",
                ribbon(points + normals * 0.030 * rise, normals, 0.026, 0.010, False, 0.012),
                self.paint,
                both=True,
            )
        cap = outline([(-150, 82), (-164, 82), (-164, 94), (-150, 94)])
        points, normals = self.skin.trace(cap, True, SIDE)
        self._add("fuel cap", mirrored(ribbon(points, normals, 0.005, 0.0006, True)), self.gap)
        sill = [(92, 29.5), (60, 28.5), (-60, 28.5), (-92, 29.5)]
        self._edge(rounded(sill, False), SIDE, 0.020, 0.006, self.black, closed=False)
        for axle in AXLES:
            turn = np.linspace(np.radians(-13), np.radians(193), 90)
            lip = np.stack([np.cos(turn), np.sin(turn)], 1)
            arch = lip * (ARCH_RADIUS + 0.016) * 100 + [axle * 100, WHEEL_RADIUS * 100]
            arch = arch[arch[:, 1] > 28]
            points, normals = self.skin.trace(arch, False, SIDE)
            self._add(
                "arch", ribbon(points, normals, 0.050, 0.010, False, 0.012), self.black, both=True
            )

    def _shell(self) -> None:
        """What is left of the skin: paint, the black lower edge, and the wheel houses' holes."""
        centres = self.skin.centres
        for axle in AXLES:
            near = np.hypot(centres[:, 0] - axle, centres[:, 2] - WHEEL_RADIUS) < ARCH_RADIUS
            self.free &= ~(near & (np.abs(centres[:, 1]) > 0.5))
            house = lathe(
                [(ARCH_RADIUS + 0.01, 0.87), (ARCH_RADIUS + 0.01, 0.58), (0.02, 0.55)], 96
            )
            house = Mesh(house.vertices, house.faces)
            high = house.vertices[house.faces][:, :, 2].min(1) > -0.16
            self._add(
                "wheel house",
                moved(Mesh(house.vertices, house.faces[high]), (axle, 0, WHEEL_RADIUS)),
                self.gap,
                both=True,
            )
        low = self.skin.face_parameters()[:, 1] < 1.75
        self._cut(low, "lower edge", self.black)
        self._add("paint", self.skin.part(self.free), self.paint)
        v = self.skin.face_parameters()[:, 1]
        cabin = self.free & (v > 4) & (centres[:, 0] < 1.0) & (centres[:, 0] > -2.02)
        self._add("lining", self.skin.part(cabin & (v < 13.6), -0.03), self.trim)
        self._add("headliner", self.skin.part(self.free & (v >= 13.6), -0.03), self.sky_cloth)
        looks.box("underbody", (0, 0, 0.33), (3.9, 1.10, 0.22), self.gap, self.collection)
        looks.box("floor", (-0.1, 0, 0.36), (1.85, 1.64, 0.20), self.gap, self.collection)

    def _wheel(self, x: float) -> None:
        half = 0.1025
        tread = [(0.3185, y) for y in (-0.070, -0.034)]
        shoulder = [
            (0.226, -half + 0.012),
            (0.250, -half),
            (0.285, -half - 0.004),
            (0.308, -half + 0.010),
        ]
        grooves: list[tuple[float, float]] = []
        for y in (-0.045, 0.0, 0.045):
            grooves += [
                (0.320, y - 0.012),
                (0.313, y - 0.008),
                (0.313, y + 0.002),
                (0.320, y + 0.006),
            ]
        profile = [*shoulder, tread[0], *grooves, (0.3185, 0.070)]
        profile += [(r, -y) for r, y in shoulder[::-1]]
        place = (x, 0.772, WHEEL_RADIUS)
        parts = [
            (lathe(profile, 128), self.rubber),
            (
                lathe(
                    [
                        *((0.228, 0.097), (0.236, 0.101), (0.232, 0.106), (0.222, 0.104)),
                        *((0.212, 0.085), (0.205, 0.05), (0.200, -0.09)),
                    ],
                    128,
                ),
                self.alloy,
            ),
            (lathe([(0.0, 0.030), (0.150, 0.030), (0.150, 0.018), (0.0, 0.018)], 96), self.steel),
            (lathe([(0.205, -0.02), (0.0, -0.02)], 64), self.gap),
            (
                lathe(
                    [(0.0, 0.082), (0.026, 0.080), (0.030, 0.074), (0.055, 0.070), (0.070, 0.05)],
                    64,
                ),
                self.alloy,
            ),
            (lathe([(0.0, 0.0835), (0.024, 0.0825)], 48), self.gloss),
            (
                moved(
                    pill((0, 0, 0), (0.09, 0.07, 0.17), 5), (-0.11 if x > 0 else 0.11, 0.02, 0.03)
                ),
                self.black,
            ),
        ]
        spokes = []
        for spoke in range(5):
            for lean in (-1, 1):
                t = np.linspace(0, 1, 16)
                path = np.stack(
                    [
                        0.045 + 0.172 * t,
                        0.066 + 0.034 * np.sin(t * np.pi / 2),
                        lean * (0.012 + 0.036 * t),
                    ],
                    1,
                )
                width = 0.034 - 0.008 * t
                blade = ribbon(path, np.tile([[0.0, 1.0, 0.0]], (16, 1)), 1.0, 0.008, False, 0.022)
                shaped = blade.vertices.reshape(16, -1, 3)
                shaped[..., 2] = (
                    path[:, None, 2] + (shaped[..., 2] - path[:, None, 2]) * width[:, None]
                )
                shaped[..., 0] = (
                    path[:, None, 0] + (shaped[..., 0] - path[:, None, 0]) * width[:, None]
                )
                spokes.append(
                    turned(Mesh(shaped.reshape(-1, 3), blade.faces), "y", spoke * 72.0 + 18)
                )
        parts.append((join(spokes), self.alloy))
        nuts = [
            moved(
                pill((0, 0, 0), (0.016, 0.02, 0.016), 6),
                (0.044 * np.cos(a), 0.074, 0.044 * np.sin(a)),
            )
            for a in np.arange(5) * 2 * np.pi / 5
        ]
        parts.append((join(nuts), self.steel))
        for mesh, material in parts:
            self._add("wheel", moved(mesh, place), material, both=True)

    def _cabin(self) -> None:
        add = self._add
        add("dashboard", pill((0.62, 0, 0.90), (0.62, 1.42, 0.22), 5), self.trim)
        add("console", pill((0.15, 0, 0.60), (1.0, 0.22, 0.30), 6), self.trim)
        screen = turned(pill((0, 0, 0), (0.02, 0.26, 0.15), 10), "y", -15)
        add("screen", moved(screen, (0.34, 0.0, 1.02)), self.gloss)
        for y in (0.37, -0.37):
            for x, wide in ((-0.15, 0.50), (-0.98, 0.58)):
                add("seat", pill((x, y, 0.58), (0.54, wide, 0.20), 5), self.cloth)
                back = turned(pill((0, 0, 0.30), (0.16, wide - 0.02, 0.66), 4), "y", -16)
                add("seat", moved(back, (x - 0.26, y, 0.58)), self.cloth)
                head = turned(pill((0, 0, 0), (0.09, 0.25, 0.17), 3.5), "y", -10)
                add("headrest", moved(head, (x - 0.47, y, 1.265 if x > -0.5 else 1.20)), self.cloth)
        wheel_turn = np.linspace(0, 2 * np.pi, 65)
        rim = np.stack([0 * wheel_turn, 0.185 * np.cos(wheel_turn), 0.185 * np.sin(wheel_turn)], 1)
        add(
            "steering wheel",
            moved(turned(tube(rim, 0.015), "y", 24), (0.28, 0.37, 0.95)),
            self.trim,
        )
        hub = turned(pill((0, 0, 0), (0.05, 0.16, 0.12), 3), "y", 24)
        add("steering wheel", moved(hub, (0.29, 0.37, 0.95)), self.trim)
        for turn in (0, 180, 270):
            spoke = turned(pill((0, 0.11, 0), (0.02, 0.15, 0.03), 4), "x", turn)
            add("steering wheel", moved(turned(spoke, "y", 24), (0.285, 0.37, 0.95)), self.trim)
        add("mirror", pill((0.33, 0, 1.335), (0.03, 0.24, 0.07), 4), self.trim)
        add("parcel shelf", pill((-1.62, 0, 0.98), (0.62, 1.36, 0.03), 6), self.trim)

    def _mirrors(self) -> None:
        case = pill((0, 0, 0), (0.15, 0.20, 0.135), 3.2)
        squeezed = case.vertices.copy()
        squeezed[:, 0] *= 1 - 0.9 * (squeezed[:, 1].clip(-0.1, 0.1) + 0.1)
        self._add(
            "mirror case",
            moved(Mesh(squeezed, case.faces), (0.525, 0.975, 1.045)),
            self.paint,
            both=True,
        )
        foot = np.array([(0.55, 0.79, 0.995), (0.545, 0.86, 1.005), (0.535, 0.93, 1.015)])
        self._add("mirror foot", tube(foot, 0.024), self.gloss, both=True)
        band = pill((0.527, 0.975, 0.995), (0.142, 0.185, 0.05), 3.2)
        self._add("mirror band", band, self.gloss, both=True)
        face = pill((0.462, 0.972, 1.045), (0.024, 0.165, 0.105), 5)
        self._add("mirror glass", face, self.chrome, both=True)

    def _small_parts(self) -> None:
        for start, end in ((3.3, -0.2), (-0.4, -3.9)):
            line = np.array([(start, 11.02), (end, 11.45)])
            points, normals = self.skin.trace_by_parameter(line, False)
            self._add("wiper", tube(points + 0.014 * normals, 0.006), self.black)
            arm = np.array(
                [
                    points[0] + [0.06, 0, -0.01],
                    points[0] + 0.03 * normals[0],
                    points[len(points) // 2] + 0.024 * normals[0],
                ]
            )
            self._add("wiper", tube(arm, 0.008), self.black)
        t = np.linspace(0, 1, 50)
        line = np.stack([-16.0 - 120.0 * t, np.full(50, 143.6)], 1)
        points, normals = self.skin.drop(line, SIDE)
        rise = 0.040 * np.sin(np.pi * t).clip(0, 1)[:, None] ** 0.4 - 0.006
        self._add("roof rail", tube(points + rise * [0, 0, 1], 0.012), self.alloy, both=True)
        fin = pill((0, 0, 0), (0.15, 0.045, 0.10), 2.4)
        slanted = fin.vertices.copy()
        slanted[:, 0] -= 0.5 * slanted[:, 2]
        self._add("antenna", moved(Mesh(slanted, fin.faces), (-1.42, 0, 1.495)), self.gloss)

    def _plate(self, place: str) -> Floats:
        """The plate with its holder; returns its corners from its own top left clockwise."""
        front = place == "front"
        sign = 1 if front else -1
        z = 0.520 if front else 0.715
        ends = np.array([[a, b] for a in (-13, 0, 13) for b in (z * 100 - 5, z * 100 + 5)], float)
        points, normals = self.skin.drop(ends, NOSE if front else TAIL)
        x = float((points[:, 0] * sign).max()) + 0.008
        tilt = float(np.arcsin(normals[2:4, 2].mean()))
        frame = bpy.data.objects.new(f"{place} plate", None)
        self.collection.objects.link(frame)
        frame.location = (sign * x, 0, z)
        frame.rotation_euler = (np.pi / 2 - tilt, 0, np.pi / 2 if front else -np.pi / 2)
        width, height = PLATE_SIZE
        white = looks.principled(f"{place} white", (0.80, 0.80, 0.78), Roughness=0.35)
        blue = looks.principled(f"{place} blue", (0.01, 0.06, 0.35), Roughness=0.35)
        ink = looks.principled(f"{place} ink", (0.01, 0.01, 0.01), Roughness=0.4)
        layers = (
            ((0, 0, -0.008), (width + 0.022, height + 0.026, 0.020), self.black, 0.006),
            ((0, 0, 0.004), (width, height, 0.004), white, 0.0),
            ((-width / 2 + 0.022, 0, 0.0062), (0.040, height - 0.004, 0.001), blue, 0.0),
        )
        for centre, size, material, bevel in layers:
            looks.box("plate", centre, size, material, self.collection, bevel).parent = frame
        curve = bpy.data.curves.new(f"{place} text", "FONT")
        curve.body, curve.align_x, curve.align_y = PLATE_TEXT, "CENTER", "CENTER"
        curve.size, curve.extrude, curve.offset = 0.104, 0.0006, 0.0026
        curve.space_character, curve.space_word = 1.05, 0.8
        curve.materials.append(ink)
        text = bpy.data.objects.new(f"{place} text", curve)
        self.collection.objects.link(text)
        text.parent, text.location, text.scale = frame, (0.020, 0, 0.0068), (0.86, 1, 1)
        bpy.context.view_layer.update()
        corners = [(-1, 1), (1, 1), (1, -1), (-1, -1)]
        from mathutils import Vector

        return np.array(
            [
                frame.matrix_world @ Vector((a * width / 2, b * height / 2, 0.006))
                for a, b in corners
            ]
        )
