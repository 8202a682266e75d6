"""A profile is a set of model resources; asset code is the same under each."""

import os

import dagster as dg

from resources.errors import BadInput
from resources.event_queue import SqsEventQueue
from resources.models.carried_matte import CarriedMatte
from resources.models.fused_matte import FusedMatte
from resources.models.plates_onnx import FusedPlates, PlateFastOnnx
from resources.models.ppocr_onnx import PpOcrReader
from resources.models.tiny_vit import TinyVitViewClassifier
from resources.models.yolo_onnx import YoloOnnxDetector
from resources.photo_decoder import PhotoDecoder
from resources.progress import LogProgress
from resources.promo_encoder import PromoEncoder
from resources.stores import store_for
from resources.table_io import table_io_manager
from resources.video_reader import VideoReader

DEFAULT_PROFILE = "local"


class Profile(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The profile's name, for the listing."""

    name: str


def profile_names() -> tuple[str, ...]:
    """The profiles there are."""
    return ("local",)


def check_profile(profile: str) -> None:
    """Raises BadInput for a profile that does not exist."""
    if profile not in profile_names():
        raise BadInput(f"there is no profile {profile!r}; there is: {', '.join(profile_names())}")


def resources_for(profile: str) -> dict[str, object]:
    """Everything the assets ask for, by resource key. Loads no model.

    Raises BadInput for a profile that does not exist.
    """
    check_profile(profile)
    return {
        "profile": Profile(name=profile),
        "store": store_for(os.environ.get("OKLA_MEDIA_DIR", "")),
        "event_queue": SqsEventQueue(),
        "io_manager": table_io_manager,
        "progress": LogProgress(),
        "decoder": PhotoDecoder(),
        "video_reader": VideoReader(),
        "promo_encoder": PromoEncoder(),
        "detector": YoloOnnxDetector(),
        "segmenter": FusedMatte(),
        "turn_segmenter": CarriedMatte(),
        "views": TinyVitViewClassifier(),
        "plate_detector": FusedPlates(),
        "quick_plate_detector": PlateFastOnnx(),
        "plate_reader": PpOcrReader(),
    }
