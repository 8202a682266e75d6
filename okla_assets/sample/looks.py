"""Materials of the sample scene, and how meshes of arrays come into Blender."""

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

from okla_assets.sample.surface import Mesh

Colour = tuple[float, float, float]


def add(name: str, mesh: Mesh, material: Any, collection: Any, smooth: bool = True) -> Any:
    """A mesh of arrays as an object of the scene."""
    data = bpy.data.meshes.new(name)
    count = len(mesh.faces)
    data.vertices.add(len(mesh.vertices))
    data.vertices.foreach_set("co", mesh.vertices.astype(np.float32).ravel())
    data.loops.add(4 * count)
    data.loops.foreach_set("vertex_index", mesh.faces.astype(np.int32).ravel())
    data.polygons.add(count)
    data.polygons.foreach_set("loop_start", np.arange(count, dtype=np.int32) * 4)
    data.polygons.foreach_set("use_smooth", np.full(count, smooth))
    data.update(calc_edges=True)
    data.validate()
    data.materials.append(material)
    thing = bpy.data.objects.new(name, data)
    collection.objects.link(thing)
    return thing


def box(
    name: str,
    centre: Colour,
    size: Colour,
    material: Any,
    collection: Any,
    bevel: float = 0.0,
    turn_z: float = 0.0,
) -> Any:
    """A box, its edges rounded where `bevel` (metres) says so."""
    corners = np.array([(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]) / 2
    faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    mesh = Mesh(corners * np.array(size), np.array(faces))
    thing = add(name, mesh, material, collection, smooth=bevel > 0)
    thing.location = centre
    thing.rotation_euler[2] = turn_z
    if bevel:
        rounding = thing.modifiers.new("bevel", "BEVEL")
        rounding.width, rounding.segments = bevel, 4
    return thing


def principled(name: str, colour: Colour, **inputs: float | Colour) -> Any:
    """A material of Blender's principled shader; inputs by their names, `_` for a space."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    for key, value in inputs.items():
        socket = shader.inputs[key.replace("_", " ")]
        socket.default_value = (*value, 1) if isinstance(value, tuple) else value
    return material


def clear(name: str, tint: Colour, mirror: Colour = (1, 1, 1), ior: float = 1.5) -> Any:
    """Thin glass: lets light through, tinted, and mirrors by Fresnel. Refracts nothing."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    through = tree.nodes.new("ShaderNodeBsdfTransparent")
    through.inputs[0].default_value = (*tint, 1)
    gloss = tree.nodes.new("ShaderNodeBsdfGlossy")
    gloss.inputs["Color"].default_value = (*mirror, 1)
    gloss.inputs["Roughness"].default_value = 0.01
    fresnel = tree.nodes.new("ShaderNodeFresnel")
    fresnel.inputs[0].default_value = ior
    mix = tree.nodes.new("ShaderNodeMixShader")
    out = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(fresnel.outputs[0], mix.inputs[0])
    tree.links.new(through.outputs[0], mix.inputs[1])
    tree.links.new(gloss.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], out.inputs[0])
    return material


def rough(
    name: str, dark: Colour, light: Colour, scale: float, bump: float, fine: float = 0.0
) -> Any:
    """A matt material mottled between two colours, with relief: ground, plaster, leaves.

    `scale` is the coarse noise's in 1/m, `fine` that of a second, grainy one.
    """
    material = principled(name, dark, Roughness=0.9)
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    place = tree.nodes.new("ShaderNodeNewGeometry")
    coarse = tree.nodes.new("ShaderNodeTexNoise")
    coarse.inputs["Scale"].default_value = scale
    coarse.inputs["Detail"].default_value = 4
    tree.links.new(place.outputs["Position"], coarse.inputs["Vector"])
    height = coarse.outputs[0]
    if fine:
        grain = tree.nodes.new("ShaderNodeTexNoise")
        grain.inputs["Scale"].default_value = fine
        grain.inputs["Detail"].default_value = 1
        tree.links.new(place.outputs["Position"], grain.inputs["Vector"])
        blend = tree.nodes.new("ShaderNodeMix")
        blend.inputs[0].default_value = 0.55
        tree.links.new(coarse.outputs[0], blend.inputs[2])
        tree.links.new(grain.outputs[0], blend.inputs[3])
        height = blend.outputs[0]
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.36, 0.66
    ramp.color_ramp.elements[0].color = (*dark, 1)
    ramp.color_ramp.elements[1].color = (*light, 1)
    tree.links.new(height, ramp.inputs[0])
    tree.links.new(ramp.outputs[0], shader.inputs["Base Color"])
    relief = tree.nodes.new("ShaderNodeBump")
    relief.inputs["Strength"].default_value = bump
    relief.inputs["Distance"].default_value = 0.02
    tree.links.new(height, relief.inputs["Height"])
    tree.links.new(relief.outputs[0], shader.inputs["Normal"])
    return material


def bricks(
    name: str,
    colours: Sequence[Colour],
    mortar: Colour,
    width: float,
    height: float,
    plane: str,
) -> Any:
    """A wall of bricks or a floor of slabs, sizes in metres, in the plane xz, yz or xy."""
    material = principled(name, colours[0], Roughness=0.85)
    tree = material.node_tree
    place = tree.nodes.new("ShaderNodeNewGeometry")
    split = tree.nodes.new("ShaderNodeSeparateXYZ")
    joined = tree.nodes.new("ShaderNodeCombineXYZ")
    tree.links.new(place.outputs["Position"], split.inputs[0])
    for socket, axis in enumerate(plane):
        tree.links.new(split.outputs["xyz".index(axis)], joined.inputs[socket])
    wall = tree.nodes.new("ShaderNodeTexBrick")
    for key, value in {
        "Scale": 1.0,
        "Brick Width": width,
        "Row Height": height,
        "Mortar Size": 0.005,
        "Bias": 0.0,
    }.items():
        wall.inputs[key].default_value = value
    wall.inputs["Color1"].default_value = (*colours[0], 1)
    wall.inputs["Color2"].default_value = (*colours[1], 1)
    wall.inputs["Mortar"].default_value = (*mortar, 1)
    tree.links.new(joined.outputs[0], wall.inputs["Vector"])
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 3.0
    noise.inputs["Detail"].default_value = 4
    tree.links.new(place.outputs["Position"], noise.inputs["Vector"])
    dirt = tree.nodes.new("ShaderNodeMix")
    dirt.data_type, dirt.blend_type = "RGBA", "OVERLAY"
    dirt.inputs[0].default_value = 0.6
    tree.links.new(wall.outputs[0], dirt.inputs[6])
    tree.links.new(noise.outputs[0], dirt.inputs[7])
    shader = tree.nodes["Principled BSDF"]
    tree.links.new(dirt.outputs[2], shader.inputs["Base Color"])
    relief = tree.nodes.new("ShaderNodeBump")
    relief.inputs["Strength"].default_value = 0.5
    relief.inputs["Distance"].default_value = 0.01
    relief.invert = True
    tree.links.new(wall.outputs["Fac"], relief.inputs["Height"])
    tree.links.new(relief.outputs[0], shader.inputs["Normal"])
    return material
