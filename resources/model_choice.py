"""Which model fills which role: a profile's own, or those that the owner's file names.

`OKLA_CONFIG` is the path of a TOML file, one section a role that it changes:

    [detector]
    model = "yolo_ultralytics"
    weights = "/models/yolo11x.pt"

`model` may be left out to keep the profile's and set its fields only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from resources import weights
from resources.decoding.moviepy_encoder import MoviePyEncoder
from resources.decoding.promo_encoder import PromoEncoder
from resources.errors import BadInput, BrokenSetup
from resources.models.centerface import CenterFace
from resources.models.classifier_views import ClassifierViews
from resources.models.clip_views import ClipViews, MeanViews
from resources.models.detr import Detr
from resources.models.easyocr_reader import EasyOcrReader
from resources.models.efficientdet_opencv import EfficientDetLite
from resources.models.fused_matte import FusedMatte
from resources.models.grounding_dino import GroundingDino
from resources.models.isnet_onnx import IsNetOnnx
from resources.models.mask_rcnn import MaskRcnn
from resources.models.matting_onnx import MattingOnnx
from resources.models.plates_onnx import FusedPlates, PlatedetOnnx, PlateFastOnnx
from resources.models.ppocr_onnx import PpOcrReader
from resources.models.propagated_matte import PropagatedMatte
from resources.models.sam2_meta import Sam2Meta
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.sam2_torch import Sam2Torch
from resources.models.sam2_video import Sam2VideoTorch
from resources.models.text_plates import TextPlates
from resources.models.tiny_vit import TinyVitViewClassifier
from resources.models.torch_models import INSTALL
from resources.models.u2net_onnx import U2NetOnnx
from resources.models.yolo_onnx import YoloOnnxDetector
from resources.models.yolo_ultralytics import YoloUltralytics
from resources.settings import merge, settings

CONFIG = "OKLA_CONFIG"

MODELS_BY_ROLE: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "detector": {
        "yolo_onnx": YoloOnnxDetector,
        "yolo_ultralytics": YoloUltralytics,
        "efficientdet_opencv": EfficientDetLite,
        "detr": Detr,
        "mask_rcnn": MaskRcnn,
        "grounding_dino": GroundingDino,
    },
    "segmenter": {
        "fused_matte": FusedMatte,
        "sam2_onnx": Sam2Onnx,
        "sam2_torch": Sam2Torch,
        "sam2_meta": Sam2Meta,
        "u2net_onnx": U2NetOnnx,
        "isnet_onnx": IsNetOnnx,
        "matting_onnx": MattingOnnx,
        "mask_rcnn": MaskRcnn,
    },
    "turn_segmenter": {
        "propagated_matte": PropagatedMatte,
        "sam2_torch": Sam2Torch,
        "sam2_video": Sam2VideoTorch,
    },
    "views": {
        "tiny_vit": TinyVitViewClassifier,
        "clip_views": ClipViews,
        "mean_views": MeanViews,
        "classifier_views": ClassifierViews,
    },
    "plate_detector": {
        "fused_plates": FusedPlates,
        "platedet_onnx": PlatedetOnnx,
        "plate_fast_onnx": PlateFastOnnx,
        "text_plates": TextPlates,
    },
    "quick_plate_detector": {
        "plate_fast_onnx": PlateFastOnnx,
        "platedet_onnx": PlatedetOnnx,
        "text_plates": TextPlates,
    },
    "plate_reader": {"ppocr_onnx": PpOcrReader, "easyocr": EasyOcrReader},
    "face_detector": {"centerface_opencv": CenterFace},
    "promo_encoder": {"ffmpeg": PromoEncoder, "moviepy": MoviePyEncoder},
}
"""The models of each role by the name that a config file calls them."""

_ON_GPU: dict[str, Any] = {"runs_on": "auto"}
_SAM2: dict[str, Any] = {"saliency": _ON_GPU}

PROFILES: Mapping[str, Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "local": {
        "detector": ("yolo_onnx", {}),
        "segmenter": ("fused_matte", {}),
        "turn_segmenter": ("propagated_matte", {}),
        "views": ("tiny_vit", {}),
        "plate_detector": ("fused_plates", {}),
        "quick_plate_detector": ("plate_fast_onnx", {}),
        "plate_reader": ("ppocr_onnx", {}),
        "face_detector": ("centerface_opencv", {}),
        "promo_encoder": ("ffmpeg", {}),
    },
    # No weights under a copyleft licence.
    "permissive": {
        "detector": ("efficientdet_opencv", {}),
        "segmenter": ("fused_matte", {}),
        "turn_segmenter": ("propagated_matte", {}),
        "views": ("tiny_vit", {}),
        "plate_detector": ("text_plates", {}),
        "quick_plate_detector": ("text_plates", {"side": 640, "crop_side": 0}),
        "plate_reader": ("ppocr_onnx", {}),
        "face_detector": ("centerface_opencv", {}),
        "promo_encoder": ("ffmpeg", {}),
    },
    "gpu": {
        "detector": ("yolo_ultralytics", {}),
        "segmenter": ("sam2_torch", _SAM2),
        "turn_segmenter": ("sam2_torch", _SAM2),
        # CLIP alone hardly separates left from right.
        "views": ("mean_views", {"heads": _ON_GPU}),
        "plate_detector": ("fused_plates", {"outlines": _ON_GPU, "boxes": _ON_GPU, "batch": 8}),
        "quick_plate_detector": ("plate_fast_onnx", _ON_GPU),
        "plate_reader": ("ppocr_onnx", _ON_GPU | {"batch": 8}),
        "face_detector": ("centerface_opencv", {}),
        "promo_encoder": ("ffmpeg", {}),
    },
}
"""Each profile's model of each role, with the fields that differ from its own defaults."""

EXTRAS: Mapping[str, tuple[str, ...]] = {"gpu": ("torch", "transformers", "onnx")}


def models_for(profile: str) -> dict[str, Any]:
    """The model resources of a profile by role, as the owner's file changes them. Loads nothing.

    Raises `BadInput` naming the section and the field that cannot be used.
    """
    return {role: _made(role, *choice) for role, choice in _choices(PROFILES[profile]).items()}


def check_extras(profile: str) -> None:
    """Raises `BrokenSetup` where packages that the profile needs are not installed."""
    missing = [name for name in EXTRAS.get(profile, ()) if find_spec(name) is None]
    if missing:
        raise BrokenSetup(
            f"the profile {profile} needs packages that are not installed ({', '.join(missing)}): "
            f"{INSTALL}"
        )


def weights_for(profile: str) -> tuple[str, ...]:
    """The weights of the catalogue that the profile's models load, in the catalogue's order.

    Files, folders and hub ids named in the owner's file are not among them.
    """
    named = {name for model in models_for(profile).values() for name in _named(model)}
    return tuple(entry.name for entry in weights.catalogue() if entry.name in named)


def _named(model: BaseModel) -> Iterator[str]:
    """Every string in a model's fields, the names of weights among them."""
    for field in type(model).model_fields:
        value = getattr(model, field)
        if isinstance(value, str):
            yield value
        elif isinstance(value, BaseModel):
            unused = field == "saliency" and not getattr(model, "fusion", True)
            yield from () if unused else _named(value)


def _choices(
    own: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> dict[str, tuple[str, Mapping[str, Any], str]]:
    """Name and fields of each role's model, and where they are configured."""
    chosen = {role: (name, fields, role) for role, (name, fields) in own.items()}
    path = settings().config
    if not path:
        return chosen
    for role, section in _sections(Path(path).expanduser()).items():
        where = f"{path}: [{role}]"
        if role not in chosen:
            raise BadInput(f"{where}: there is no such role; there are: {', '.join(chosen)}")
        if not isinstance(section, dict):
            raise BadInput(f"{where}: must be a section with a model and its fields")
        name, fields, _ = chosen[role]
        fresh = {key: value for key, value in section.items() if key != "model"}
        if "model" in section and section["model"] != name:
            name, fields = section["model"], {}
        chosen[role] = (name, merge(fields, fresh), where)
    return chosen


def _sections(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{CONFIG} names {path}, which cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is not TOML: {error}") from error


def _made(role: str, name: str, fields: Mapping[str, Any], where: str) -> Any:
    known = MODELS_BY_ROLE[role]
    if name not in known:
        raise BadInput(f"{where}: model: there is no {name!r}; there are: {', '.join(known)}")
    kind: Any = known[name]
    _check_names(kind, fields, f"{where}: {name}")
    try:
        return kind(**fields)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in wrong["loc"])
        raise BadInput(f"{where}: {field}: {wrong['msg']}") from error


def _check_names(kind: Any, fields: Mapping[str, Any], where: str) -> None:
    """Raises BadInput for a field that the model does not have; pydantic may let it pass."""
    for key, value in fields.items():
        if key not in kind.model_fields:
            known = ", ".join(kind.model_fields)
            raise BadInput(f"{where}: has no field {key!r}; it has: {known}")
        inner = kind.model_fields[key].default_factory
        if isinstance(value, Mapping) and isinstance(inner, type):
            _check_names(inner, value, f"{where}.{key}")
