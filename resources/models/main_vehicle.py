"""The vehicle a photo is about, by the default detector."""

from okla_assets.imaging.types import Box, Rgb
from resources.models.yolo_onnx import YoloOnnxDetector


def find_main_vehicle(photo: Rgb) -> Box | None:
    """Box of the main vehicle in pixels of the photo, or None where there is none."""
    from okla_assets.imaging.matte.cutout import main_vehicle

    height, width = photo.shape[:2]
    (found,) = YoloOnnxDetector().detect([photo])
    main = main_vehicle([d.box for d in found], [d.score for d in found], width, height)
    return None if main is None else found[main].box
