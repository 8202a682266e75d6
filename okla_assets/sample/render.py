"""Renders the sample vehicle: photos, walk-around video, and their exact truth.

The scene is made and photographed by Blender's Python module on the CPU. It needs an environment of
its own, since bpy is built for one Python version (4.2 for 3.11):

    python3.11 -m venv bpy && bpy/bin/pip install bpy==4.2.0 'numpy<2' pillow imageio-ffmpeg
    bpy/bin/python -m okla_assets.sample.render

It goes on where it was stopped; finished pictures are kept in --work. Truth is
what the scene knows: the matte is a render of the car alone, the azimuth is the camera's place, the
plate's corners are projected.
"""

import argparse
import json
import math
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from okla_assets.sample.surface import Floats

PHOTO_SIZE = (1280, 960)
VIDEO_SIZE = (1280, 720)
PHOTO_QUALITY = 88
FRAMES_OF_TRUTH = 12
"""So many of the video's frames get a matte."""

Facts = dict[str, object]


@dataclass(frozen=True)
class Shot:
    """Where the phone stands (metres), where it looks, and how its exposure turned out.

    `warmth` shifts the white balance: above 0 to yellow, below to blue. `lens` is the focal length
    on 35 mm film.
    """

    name: str
    place: tuple[float, float, float]
    target: tuple[float, float, float] = (0.0, 0.0, 0.66)
    lens: float = 27.0
    stops: float = 0.0
    warmth: float = 0.0


def standing(
    name: str,
    azimuth: float,
    distance: float,
    height: float,
    stops: float = 0.0,
    warmth: float = 0.0,
) -> Shot:
    """A shot of the whole car from an azimuth: 0 its front, 90 its left side, 180 its rear."""
    a = math.radians(azimuth)
    place = (distance * math.cos(a), distance * math.sin(a), height)
    return Shot(name, place, stops=stops, warmth=warmth)


EXTERIORS = (
    standing("IMG_0101", 38, 4.70, 1.60, stops=0.35),
    standing("IMG_0102", 8, 5.00, 1.55, stops=0.10),
    standing("IMG_0103", 322, 4.70, 1.55, stops=0.60, warmth=0.03),
    standing("IMG_0104", 270, 4.60, 1.40, stops=0.80),
    standing("IMG_0105", 220, 4.70, 1.60, stops=0.65, warmth=-0.02),
    standing("IMG_0106", 180, 4.60, 1.50, stops=0.65),
    standing("IMG_0107", 140, 4.70, 1.55, stops=0.45),
    standing("IMG_0108", 90, 4.60, 1.45, stops=0.45, warmth=0.02),
    standing("IMG_0109", 52, 4.80, 1.30, stops=0.35),
    standing("IMG_0110", 305, 4.90, 1.70, stops=0.60, warmth=-0.03),
    standing("IMG_0111", 150, 4.90, 1.75, stops=0.35, warmth=0.03),
    standing("IMG_0112", 210, 4.80, 1.35, stops=0.60),
)
CLOSE_UPS = (
    Shot("IMG_0113", (1.62, 2.55, 0.62), (1.325, 0.85, 0.36), 40.0, 0.40),
    Shot("IMG_0114", (3.15, 1.35, 0.95), (1.98, 0.45, 0.66), 38.0, 0.35),
    Shot("IMG_0115", (-3.25, 0.95, 1.10), (-2.0, 0.26, 0.82), 42.0, 0.65, 0.02),
)


def walk_around(frames: int) -> list[Shot]:
    """A full turn, as somebody walks it: an oval, the phone not quite steady."""
    shots = []
    for index in range(frames):
        turn = index / frames
        a = math.radians(30) + 2 * math.pi * turn
        sway = 0.03 * math.sin(14 * math.pi * turn) + 0.02 * math.sin(6 * math.pi * turn + 1)
        place = (6.0 * math.cos(a), 5.5 * math.sin(a), 1.50 + sway)
        target = (0.0, 0.0, 0.68 + 0.5 * sway)
        shots.append(Shot(f"frame_{round(turn * 1440):04d}", place, target, 30.0, 0.5))
    return shots


class Studio:
    def __init__(self, threads: int) -> None:
        import bpy

        from okla_assets.sample import yard
        from okla_assets.sample.car import Car

        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene: Any = bpy.context.scene
        self.layer: Any = bpy.context.view_layer
        self.car = bpy.data.collections.new("car")
        self.yard = bpy.data.collections.new("yard")
        for collection in (self.car, self.yard):
            self.scene.collection.children.link(collection)
        self.plates = Car(self.car).build()
        yard.build(self.yard)
        self.camera = bpy.data.objects.new("phone", bpy.data.cameras.new("phone"))
        self.scene.collection.objects.link(self.camera)
        self.scene.camera = self.camera
        self.mask = _glowing()
        render, cycles = self.scene.render, self.scene.cycles
        render.engine = "CYCLES"
        render.use_persistent_data = True
        render.threads_mode, render.threads = "FIXED", threads
        render.image_settings.color_mode = "RGBA"
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 1, 2
        cycles.transmission_bounces, cycles.transparent_max_bounces = 0, 10
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.use_adaptive_sampling = cycles.use_light_tree = False
        cycles.denoising_prefilter, cycles.denoising_quality = "FAST", "BALANCED"
        self.scene.view_settings.view_transform = "AgX"
        self.scene.view_settings.look = "AgX - Medium High Contrast"

    def photograph(self, shot: Shot, size: tuple[int, int], samples: int, path: Path) -> None:
        """The scene as a PNG."""
        self._aim(shot, size)
        self._only_car(False)
        self.scene.cycles.samples = samples
        self.scene.view_settings.exposure = shot.stops
        self._render(path)

    def matte(self, shot: Shot, size: tuple[int, int], path: Path) -> None:
        """The car's share of each pixel as an 8-bit PNG; glass belongs to the car."""
        self._aim(shot, size)
        self._only_car(True)
        self.scene.cycles.samples = 8
        raw = path.with_suffix(".rgba.png")
        self._render(raw)
        Image.open(raw).getchannel("A").save(path, optimize=True)
        raw.unlink()

    def once(self, path: Path, shot: Shot, size: tuple[int, int], samples: int) -> None:
        """`photograph`, unless that picture is there."""
        if not path.exists():
            self.photograph(shot, size, samples, path)

    def matte_once(self, path: Path, shot: Shot, size: tuple[int, int]) -> None:
        """`matte`, unless it is there."""
        if not path.exists():
            self.matte(shot, size, path)

    def plates_seen(self, shot: Shot, size: tuple[int, int]) -> list[Facts]:
        """The plates that can be seen: corners in pixels, each from its top left clockwise.

        `facing` is the cosine between the plate's normal and the line of sight.
        """
        from bpy_extras.object_utils import world_to_camera_view
        from mathutils import Vector

        self._aim(shot, size)
        self.layer.update()
        seen: list[Facts] = []
        for corners in self.plates.values():
            across, down = corners[1] - corners[0], corners[3] - corners[0]
            facing = -np.cross(across, down)
            sight = np.array(shot.place) - corners.mean(0)
            cosine = facing @ sight / np.linalg.norm(facing) / np.linalg.norm(sight)
            if cosine < 0.1:
                continue
            quad = [world_to_camera_view(self.scene, self.camera, Vector(c)) for c in corners]
            pixels = [[round(q.x * size[0], 2), round((1 - q.y) * size[1], 2)] for q in quad]
            if all(0 <= x <= size[0] and 0 <= y <= size[1] for x, y in pixels):
                seen.append({"quad": pixels, "facing": round(float(cosine), 3)})
        return seen

    def _aim(self, shot: Shot, size: tuple[int, int]) -> None:
        from mathutils import Vector

        self.scene.render.resolution_x, self.scene.render.resolution_y = size
        self.camera.data.lens = shot.lens
        self.camera.location = shot.place
        sight = Vector(shot.target) - Vector(shot.place)
        self.camera.rotation_euler = sight.to_track_quat("-Z", "Y").to_euler()

    def _only_car(self, only: bool) -> None:
        self.yard.hide_render = only
        self.scene.render.film_transparent = only
        self.scene.cycles.use_denoising = not only
        self.layer.material_override = self.mask if only else None

    def _render(self, path: Path) -> None:
        import bpy

        unfinished = path.with_suffix(".part.png")
        self.scene.render.filepath = str(unfinished)
        bpy.ops.render.render(write_still=True)
        unfinished.rename(path)


def _glowing() -> Any:
    import bpy

    material = bpy.data.materials.new("mask")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    light = tree.nodes.new("ShaderNodeEmission")
    out = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(light.outputs[0], out.inputs[0])
    return material


def phone_look(picture: Image.Image, warmth: float, seed: int) -> Image.Image:
    """What a phone adds: sharpening, its white balance, darker corners, grain."""
    rng = np.random.default_rng(seed)
    sharp = picture.convert("RGB").filter(ImageFilter.UnsharpMask(1.2, 60, 2))
    pixels: Floats = np.asarray(sharp, np.float64)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    pixels = pixels * (1 - 0.06 * (x**2 + y**2))[..., None]
    pixels = pixels * [1 + warmth, 1.0, 1 - warmth]
    grain = rng.normal(0, 2.0, (height, width, 1)) + rng.normal(0, 1.0, (height, width, 3))
    return Image.fromarray((pixels + grain).clip(0, 255).round().astype(np.uint8))


def azimuth_of(shot: Shot) -> float:
    """Where the camera stands about the car: 0 front, 90 left side, 180 rear."""
    return round(math.degrees(math.atan2(shot.place[1], shot.place[0])) % 360, 2)


def encode(frames: list[Path], fps: int, out: Path) -> None:
    """The frames as an H.264 video that any phone or browser plays."""
    import imageio_ffmpeg

    width, height = VIDEO_SIZE
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps)]
    command += ["-i", "-", "-an", "-c:v", "libx264", "-preset", "slow", "-crf", "23"]
    command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(out)]
    pictures = (phone_look(Image.open(f), 0.0, i) for i, f in enumerate(frames))
    raw = b"".join(picture.tobytes() for picture in pictures)
    subprocess.run(command, input=raw, check=True)


def render_photos(studio: Studio, out: Path, work: Path, samples: int) -> list[Facts]:
    """Renders what is missing of the photos in `work`, writes them, and returns their truth."""
    for shot in (*EXTERIORS, *CLOSE_UPS):
        studio.once(work / f"{shot.name}.png", shot, PHOTO_SIZE, samples)
    for shot in EXTERIORS:
        studio.matte_once(work / f"{shot.name}_matte.png", shot, PHOTO_SIZE)
    media = out / "media"
    photos: list[Facts] = []
    for number, shot in enumerate((*EXTERIORS, *CLOSE_UPS)):
        picture = phone_look(Image.open(work / f"{shot.name}.png"), shot.warmth, 1000 + number)
        picture.save(media / "photos" / f"{shot.name}.jpg", quality=PHOTO_QUALITY)
        whole = shot in EXTERIORS
        photos.append(
            {
                "file": f"photos/{shot.name}.jpg",
                "azimuth_deg": azimuth_of(shot) if whole else None,
                "matte": f"mattes/{shot.name}.png" if whole else None,
                "plates": studio.plates_seen(shot, PHOTO_SIZE),
            }
        )
        if whole:
            _copy(work / f"{shot.name}_matte.png", out / "mattes" / f"{shot.name}.png")
    return photos


def render_video(
    studio: Studio, out: Path, work: Path, samples: int, frames: int, fps: int
) -> Facts:
    """Renders what is missing of the video in `work`, writes it, and returns its truth."""
    turn = walk_around(frames)
    marked = range(0, frames, max(1, frames // FRAMES_OF_TRUTH))
    for shot in turn:
        studio.once(work / f"{shot.name}.png", shot, VIDEO_SIZE, samples)
    for old in (out / "mattes").glob("frame_*.png"):
        old.unlink()
    for index in marked:
        matte = work / f"{turn[index].name}_matte.png"
        studio.matte_once(matte, turn[index], VIDEO_SIZE)
        _copy(matte, out / "mattes" / f"frame_{index:03d}.png")
    film = out / "media" / "video" / "walkaround.mp4"
    encode([work / f"{shot.name}.png" for shot in turn], fps, film)
    return {
        "file": "video/walkaround.mp4",
        "fps": fps,
        "frames": [
            {
                "index": index,
                "azimuth_deg": azimuth_of(shot),
                "matte": f"mattes/frame_{index:03d}.png" if index in marked else None,
                "plates": studio.plates_seen(shot, VIDEO_SIZE),
            }
            for index, shot in enumerate(turn)
        ],
    }


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description="Render the sample vehicle.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="for the results")
    parser.add_argument("--work", type=Path, default=Path("build/sample"), help="finished renders")
    parser.add_argument("--samples", type=int, default=8, help="for each pixel of a photo")
    parser.add_argument("--video-samples", type=int, default=3)
    parser.add_argument("--frames", type=int, default=120, help="of the video: divisors of 1440")
    parser.add_argument("--fps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--video-only", action="store_true", help="leave the photos as they are")
    given = parser.parse_args()
    out, work, truth = given.out, given.work, given.out / "truth.json"
    for folder in (work, out / "media" / "photos", out / "media" / "video", out / "mattes"):
        folder.mkdir(parents=True, exist_ok=True)
    studio = Studio(given.threads)
    if given.video_only:
        photos = json.loads(truth.read_text())["photos"]
    else:
        photos = render_photos(studio, out, work, given.samples)
    video = render_video(studio, out, work, given.video_samples, given.frames, given.fps)
    from okla_assets.sample.car import PLATE_TEXT

    known = {"plate_text": PLATE_TEXT, "photos": photos, "video": video}
    truth.write_text(json.dumps(known) + "\n")


if __name__ == "__main__":
    main()
