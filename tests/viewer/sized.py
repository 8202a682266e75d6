"""A spin of the sample car with the bytes of a real one: two sizes, WebP and JPEG."""

import cv2
import numpy as np

from okla_assets import keys, sample
from okla_assets.contract import Listing, SpinSize
from okla_assets.imaging.photo import codec
from okla_assets.imaging.types import Rgb
from okla_assets.steps.web_pictures import sizes_of_frame
from tests.fakes import VEHICLE
from tests.viewer import made


def studio_pictures() -> list[Rgb]:
    """The sample car from six sides, cut out by its truth and put before a studio's wall."""
    wall = np.linspace(252, 205, 960, dtype=np.float32)[:, None, None]
    made_of = []
    for number in range(1, 7):
        photo = cv2.imread(str(sample.MEDIA / "photos" / f"IMG_010{number}.jpg"))
        matte = cv2.imread(str(sample.FOLDER / "mattes" / f"IMG_010{number}.png"), 0)
        assert photo is not None
        assert matte is not None
        photo = cv2.resize(photo[..., ::-1], (1280, 960), interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(matte, (1280, 960)).astype(np.float32)[..., None] / 255
        made_of.append(np.asarray(np.rint(photo * alpha + wall * (1 - alpha)), np.uint8))
    return made_of


def sized_spin() -> tuple[Listing, dict[str, bytes]]:
    """The listing and the pictures of its spin: 36, of which every sixth is the same."""
    encoded = [
        (sizes_of_frame(VEHICLE, 1, picture), codec.encode_jpeg(picture, 90))
        for picture in studio_pictures()
    ]
    files: dict[str, bytes] = {}
    names: list[list[str]] = [[], [], []]
    for position in range(made.FRAMES):
        (made_of, outputs), whole = encoded[position % len(encoded)]
        files[keys.spin_frame(VEHICLE, position + 1)] = whole
        for at, size in enumerate(made_of):
            key = size.key.replace("frame_001_", f"frame_{position + 1:03d}_")
            names[at].append(key)
            files[key] = outputs[size.key]
    sizes = tuple(
        SpinSize(
            width=size.width,
            height=size.height,
            type="image/webp" if size.key.endswith("webp") else "image/jpeg",
            frames=tuple(frames),
        )
        for size, frames in zip(encoded[0][0][0], names, strict=True)
    )
    spin = made.SPIN.model_copy(update={"width": 1280, "height": 960, "sizes": sizes})
    return made.listing(spin=spin), files
