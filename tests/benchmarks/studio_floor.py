"""Shadow and reflection against a render of the sample car on a plain floor.

    bpy/bin/python -m tests.benchmarks.studio_floor_render build/floor
    python -m tests.benchmarks.studio_floor build/floor [--sheet build/floor.jpg]

The truth of a view is the scene's own empty picture with its floor darkened by the render's ratio
of light, and on a shining floor with what the render's mirror adds. Ours is what `studio.compose`
draws on the same picture around the same car, its camera fitted to the matte as for any photo.
Prints the mean absolute difference in 8-bit levels over the floor within 1.5 vehicle heights of the
vehicle, for each scene and view; `flat` is the floor without any shadow or reflection. `--keep`
makes what `tests/imaging/studio/test_truth_of_shadow.py` compares with.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.camera import View, set_height, tells_height, view_of
from okla_assets.imaging.studio.placement import Placement
from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.studio.scenes import SCENES, SceneId
from okla_assets.imaging.studio.shadow import Casting
from okla_assets.imaging.types import Alpha, Floats
from okla_assets.sample import FOLDER
from okla_assets.sample.truth import truth

ALBEDO = 0.8  # of the rendered floor
AROUND = 1.5  # vehicle heights
INDEX = 1.5  # of refraction, of the rendered mirror's lacquer
SUN_DIRECTION = 60.0  # of the rendered sun, as of `Light.direction`
SHOWROOM_DOME = 0.4  # what its mirror shows of the free sky
CLEAR = 3
"""Pixels around the matte that are left out: of them part is car."""
SCENES_RENDERED: tuple[SceneId, ...] = ("white_studio", "gray_showroom", "outdoor_day")


class Rendered:
    """One view of the render: its matte, its camera as fitted, and its lights."""

    def __init__(self, folder: Path, name: str, azimuth: float) -> None:
        self.name = name
        self.layers = {
            path.stem.removeprefix(f"{name}_"): np.load(path).astype(np.float32)
            for path in folder.glob(f"{name}_*.npy")
        }
        self.height, self.width = self.layers["dome"].shape[:2]
        grey = codec.decode_gray((FOLDER / "mattes" / f"{self.name}.png").read_bytes())
        small = cv2.resize(grey, (self.width, self.height), interpolation=cv2.INTER_AREA)
        self.alpha: Alpha = studio.as_alpha(np.asarray(small, np.uint8))
        self.azimuth = azimuth
        self.own = view_of(self.alpha, azimuth)

    def view(self, height: float | None) -> View:
        """The camera, with the height of the set where its own matte does not tell it."""
        assert self.own is not None
        if height is None or tells_height(self.own):
            return self.own
        found = view_of(self.alpha, self.azimuth, height)
        assert found is not None
        return found

    def light(self, scene: Scene) -> Floats:
        """The matte floor and the car under the scene's light, where the free floor is 1."""
        shares = {name: getattr(scene.light, name) for name in ("dome", "box", "sun")}
        mixed = sum(share * self.layers[name] for name, share in shares.items() if share)
        return np.asarray(mixed / ALBEDO, np.float32)


def near(alpha: Alpha, view: View) -> npt.NDArray[np.bool_]:
    """The floor within AROUND vehicle heights of a vehicle with this matte, as a mask (H, W)."""
    reach = round(AROUND * view.vehicle_height)
    body = (alpha > 0.02).astype(np.uint8)
    wide = cv2.dilate(body, np.ones((2 * CLEAR + 1, 2 * CLEAR + 1), np.uint8))
    distance = cv2.distanceTransform(1 - body, cv2.DIST_L2, 5)
    height = alpha.shape[0]
    floor = np.arange(height)[:, None] > view.horizon + 0.02 * height
    return np.asarray((distance < reach) & (wide == 0) & floor)


def linear(levels: Floats) -> Floats:
    """Light of sRGB levels 0..255; 255 is 1."""
    v = np.asarray(levels, np.float32).clip(0, None) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encoded(light: Floats) -> Floats:
    """sRGB levels 0..255 of light."""
    v = np.asarray(light, np.float32).clip(0, None)
    levels = np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)
    return np.asarray(255 * levels, np.float32)


def free_mirror(rendered: Rendered, view: View) -> Floats:
    """What a mirror shows of the free sky (H, W, 1), on the scale of `Rendered.light`.

    Fresnel's share of it, for the camera as it stands.
    """
    rows = np.arange(rendered.height, dtype=np.float32)[:, None] + 0.5
    down = np.maximum(rows - view.horizon, 0.5) / view.focal
    cosine = down / np.sqrt(1 + down * down)
    root = np.sqrt(INDEX**2 - 1 + cosine**2)
    across = ((cosine - root) / (cosine + root)) ** 2
    along = ((INDEX**2 * cosine - root) / (INDEX**2 * cosine + root)) ** 2
    return np.asarray((SHOWROOM_DOME * (across + along) / 2 / ALBEDO)[..., None], np.float32)


def true_picture(rendered: Rendered, scene: Scene, empty: Floats, view: View) -> Floats:
    """The scene's empty picture with the render's shadow and reflection on its floor.

    What the floor mirrors of the sky is part of the empty picture, and no shadow takes it.
    """
    if not scene.gloss:
        return encoded(linear(empty) * rendered.light(scene))
    full = linear(np.array(scene.floor, np.float32)) * np.float32(scene.gloss)
    matte = linear(empty) - full * free_mirror(rendered, view)
    light = matte * rendered.light(scene) + full * rendered.layers["mirror"] / ALBEDO
    return encoded(light)


def our_picture(rendered: Rendered, scene: Scene, view: View, casting: Casting | None) -> Floats:
    """What `studio.compose` makes of the render as a photo, in its place."""
    floor = linear(np.array(scene.floor, np.float32))
    photo = encoded(floor * rendered.light(scene)).round().clip(0, 255).astype(np.uint8)
    placement = Placement(rendered.width, rendered.height, 1.0, 0, 0)
    look = studio.Look(scene, casting)
    made = studio.compose(photo, rendered.alpha, placement, view, look)
    return np.asarray(made, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("renders", type=Path)
    parser.add_argument("--sheet", type=Path, help="a JPEG of all views: truth, ours, difference")
    parser.add_argument("--keep", type=Path, help="a folder for the white studio's light as PNGs")
    given = parser.parse_args()
    azimuths = {Path(p.file).stem: p.azimuth_deg for p in truth().photos}
    names = sorted({path.stem.rpartition("_")[0] for path in given.renders.glob("*_dome.npy")})
    views = [
        Rendered(given.renders, name, azimuth)
        for name in names
        if (azimuth := azimuths[name]) is not None
    ]
    height = set_height([r.own for r in views if r.own is not None])
    if given.keep:
        for rendered in views:
            light = encoded(rendered.light(SCENES["white_studio"]).mean(axis=2))
            kept = np.where(rendered.alpha < 0.02, light, 255).clip(0, 255).round().astype(np.uint8)
            (given.keep / f"{rendered.name}.png").write_bytes(codec.encode_png(kept))
    rows = []
    for name in SCENES_RENDERED:
        scene = SCENES[name]
        errors, flats = [], []
        for rendered in views:
            view = rendered.view(height)
            bare = our_picture(rendered, replace(scene, gloss=0.0), view, None)
            tyres = float(view.seen(view.tyres)[:, 1].max())
            empty = scene.render(
                rendered.width,
                rendered.height,
                view.horizon / rendered.height,
                tyres / rendered.height,
            )
            wanted = true_picture(rendered, scene, empty, view)
            # As the rendered sun casts it, whatever the scene's own.
            sunny = Casting(direction=SUN_DIRECTION, spread="medium")
            ours = our_picture(rendered, scene, view, sunny)
            around = near(rendered.alpha, view)
            errors.append(float(np.abs(ours - wanted)[around].mean()))
            flats.append(float(np.abs(bare - wanted)[around].mean()))
            off = 128 + 2 * (ours - wanted) * around[..., None]
            a = rendered.alpha[..., None]
            rows.append(np.hstack([wanted * (1 - a) + ours * a, ours, off]))
        cells = " ".join(f"{error:5.2f}" for error in errors)
        print(f"{name:14} {cells}  mean {np.mean(errors):5.2f}  flat {np.mean(flats):5.2f}")
    if given.sheet:
        sheet = np.vstack(rows).clip(0, 255).astype(np.uint8)
        given.sheet.write_bytes(codec.encode_jpeg(sheet, 90))


if __name__ == "__main__":
    main()
