"""The vehicle a photo is about, by the default detector."""

from okla_assets.imaging.types import Box, Rgb
from resources.models.base import Subject, vehicles_of
from resources.models.yolo_onnx import YoloOnnxDetector


def find_subject(photo: Rgb) -> Subject | None:
    """The main vehicle and what is beside it, or None where there is none."""
    from okla_assets.imaging.matte.cutout import main_vehicle

    height, width = photo.shape[:2]
    (found,) = YoloOnnxDetector().detect([photo])
    vehicles = vehicles_of(found)
    main = main_vehicle([d.box for d in vehicles], [d.score for d in vehicles], width, height)
    return None if main is None else Subject.among(found, main)


def find_main_vehicle(photo: Rgb) -> Box | None:
    """Box of the main vehicle in pixels of the photo, or None where there is none."""
    subject = find_subject(photo)
    return None if subject is None else subject.box
