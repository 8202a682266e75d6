"""Renders the sample car on a plain floor, one light at a time: truth for shadow and reflection.

Needs the environment of `okla_assets.sample.render`, and takes some minutes on two idle cores:

    bpy/bin/python -m tests.benchmarks.studio_floor_render build/floor

The lights are those that `okla_assets.imaging.studio.scene.Light` names, each of the strength at
which the free floor is as bright as its albedo, so that a scene's floor is their sum by its shares:
a dome, a box (the zenith to 45 degrees from it) and a sun. Written are VIEW_LIGHT.npy, linear
float16 (H, W, 3): `dome`, `box` and `sun` on a matte floor, and `mirror`, what a mirroring floor
without any colour of its own shows under the showroom's dome and box. `studio_floor` measures with
them. Without the car a matte floor has its albedo, and a mirror shows Fresnel's share of the dome.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from okla_assets.sample.render import EXTERIORS, Shot, Studio
from okla_assets.sample.surface import Floats

SIZE = (320, 240)
SAMPLES = 12  # a pixel, and a denoiser: what is looked for is smooth
VIEWS = ("IMG_0101", "IMG_0102", "IMG_0104", "IMG_0105", "IMG_0106", "IMG_0107")
ALBEDO = 0.8
GLOSS_ROUGHNESS = 0.1
SHOWROOM = (0.4, 0.6)  # dome and box of `gray_showroom`
BOX_EDGE = math.sqrt(0.5)  # height of a direction, of its length, above which the box shines
SUN_DIRECTION, SUN_WIDTH = 60.0, 13.0
"""Degrees: where its shadow falls from the viewer (as `Light.direction`), and how wide it is."""
SUN_REACH = 0.7
"""Length of its shadow in heights of what casts it: `shadow.SPREADS`, medium."""


class PlainFloor:
    """The sample car on an endless floor."""

    def __init__(self, threads: int) -> None:
        import bpy

        self.studio = Studio(threads)
        scene: Any = self.studio.scene
        self.studio.yard.hide_render = True
        scene.cycles.samples = SAMPLES
        scene.cycles.use_denoising = True
        scene.cycles.diffuse_bounces = 2
        scene.render.image_settings.file_format = "OPEN_EXR"
        scene.render.image_settings.color_depth = "32"
        scene.render.film_transparent = False
        self.studio.layer.material_override = None
        bpy.ops.mesh.primitive_plane_add(size=2000)
        self.floor: Any = bpy.context.object
        self.matte, self.mirror = _matte(), _mirror()
        bpy.ops.object.light_add(type="SUN")
        self.sun: Any = bpy.context.object
        self.sun.data.angle = math.radians(SUN_WIDTH)
        self.sky = _Sky()

    def rendered(self, shot: Shot, light: str, work: Path) -> Floats:
        """The car on the floor in one light, linear (H, W, 3)."""
        import bpy

        self.studio._aim(shot, SIZE)
        floor = self.mirror if light == "mirror" else self.matte
        if self.floor.active_material != floor:
            self.floor.active_material = floor
        self.sky.shine(light)
        self.sun.hide_render = light != "sun"
        if light == "sun":
            elevation = math.atan2(1, SUN_REACH)
            self.sun.data.energy = math.pi / math.sin(elevation)
            # Its light falls the way that the shadow does, turned from the camera's line of sight.
            ahead = math.atan2(-shot.place[1], -shot.place[0])
            turn = ahead + math.radians(SUN_DIRECTION)
            self.sun.rotation_euler = (0, math.pi / 2 - elevation, turn + math.pi)
        path = work / "render.exr"
        self.studio.scene.render.filepath = str(path)
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(str(path))
        pixels = np.empty(SIZE[0] * SIZE[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        path.unlink()
        return pixels.reshape(SIZE[1], SIZE[0], 4)[::-1, :, :3].astype(np.float64)


class _Sky:
    """The world: what shines from everywhere, and from a round lamp box in the zenith."""

    def __init__(self) -> None:
        import bpy

        world = bpy.data.worlds.new("lights")
        bpy.context.scene.world = world
        world.use_nodes = True
        tree = world.node_tree
        place = tree.nodes.new("ShaderNodeTexCoord")
        parts = tree.nodes.new("ShaderNodeSeparateXYZ")
        above = tree.nodes.new("ShaderNodeMath")
        above.operation, above.inputs[1].default_value = "GREATER_THAN", BOX_EDGE
        box, both = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeMath")
        box.operation, both.operation = "MULTIPLY", "ADD"
        tree.links.new(place.outputs["Generated"], parts.inputs[0])
        tree.links.new(parts.outputs["Z"], above.inputs[0])
        tree.links.new(above.outputs[0], box.inputs[0])
        tree.links.new(box.outputs[0], both.inputs[0])
        background = tree.nodes["Background"]
        background.inputs["Color"].default_value = (1, 1, 1, 1)
        tree.links.new(both.outputs[0], background.inputs["Strength"])
        self.box: Any = box.inputs[1]
        self.dome: Any = both.inputs[1]

    def shine(self, light: str) -> None:
        lights = {"dome": (1.0, 0.0), "box": (0.0, 1.0), "sun": (0.0, 0.0), "mirror": SHOWROOM}
        dome, box = lights[light]
        self.dome.default_value = dome
        # The floor under it is as bright as under a whole dome.
        self.box.default_value = box / (1 - BOX_EDGE**2)


def _matte() -> Any:
    material, tree, out = _material("matte")
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value = (ALBEDO, ALBEDO, ALBEDO, 1)
    tree.links.new(diffuse.outputs[0], out.inputs[0])
    return material


def _mirror() -> Any:
    """What lacquer mirrors, by Fresnel's law, over black."""
    material, tree, out = _material("mirror")
    black = tree.nodes.new("ShaderNodeBsdfDiffuse")
    black.inputs["Color"].default_value = (0, 0, 0, 1)
    shine = tree.nodes.new("ShaderNodeBsdfGlossy")
    shine.inputs["Color"].default_value = (1, 1, 1, 1)
    shine.inputs["Roughness"].default_value = GLOSS_ROUGHNESS
    share = tree.nodes.new("ShaderNodeFresnel")
    share.inputs["IOR"].default_value = 1.5
    mix = tree.nodes.new("ShaderNodeMixShader")
    for output, socket in ((share, 0), (black, 1), (shine, 2)):
        tree.links.new(output.outputs[0], mix.inputs[socket])
    tree.links.new(mix.outputs[0], out.inputs[0])
    return material


def _material(name: str) -> tuple[Any, Any, Any]:
    import bpy

    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    return material, tree, tree.nodes.new("ShaderNodeOutputMaterial")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the renders; finished ones are kept")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    floor = PlainFloor(given.threads)
    shots = [shot for shot in EXTERIORS if shot.name in VIEWS]
    # By light, then by view: a camera that moves costs nothing, another floor costs its tree anew.
    for light in ("dome", "box", "mirror", "sun"):
        for shot in shots:
            path = given.out / f"{shot.name}_{light}.npy"
            if not path.exists():
                np.save(path, floor.rendered(shot, light, given.out).astype(np.float16))


if __name__ == "__main__":
    main()
