"""The words of OKLA's backend, turned into ours and back: options, types, statuses, results.

Both its HTTP contracts and its queue's messages use them, in camelCase or with underscores, so
names are compared without case and underscores.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from okla_assets.doors.jobs.record import Job, State
from okla_assets.doors.jobs.requests import CutOutOptions, Operation
from okla_assets.doors.jobs.results import JobResult, PhotoResult, Problem, SpinResult
from okla_assets.options import LEAST_FRAMES, MOST_FRAMES, USUAL_FRAMES, StudioOptions
from resources.errors import BadInput

Url = Callable[[str], str]
"""The address of a finished file, of its key."""


@dataclass
class BadWords(BadInput):
    """What cannot be used: `fields` has a sentence or more for each name, as it was given."""

    fields: Mapping[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join(f"{name}: {', '.join(said)}" for name, said in self.fields.items())


def folded(name: str) -> str:
    """A name as it is compared: backgroundId, background_id and BackgroundID are one."""
    return name.replace("_", "").lower()


_OPTIONS: Mapping[str, str] = {folded(name): name for name in StudioOptions.model_fields} | {
    "backgroundcode": "background_id",
    "generateshadows": "generate_shadow",
    "shadowintensity": "shadow_opacity",
    "autocorrectexposure": "auto_enhance",
    "imageformat": "output_format",
    "quality": "output_quality",
    "framequality": "output_quality",
    "targetframecount": "spin_frames",
    "framecount": "spin_frames",
    "enablehotspots": "auto_hotspots",
    "framewidth": "max_width",
    "outputwidth": "max_width",
    "width": "max_width",
}
_HEIGHTS = ("maxheight", "frameheight", "outputheight", "height")
_ALWAYS: Mapping[str, str] = {
    "generateviewerembed": "each 360° view has a page",
    "generatethumbnails": "each picture has a small one",
    "smartframeselection": "the sharpest frames are taken",
}
"""What is made whatever is said, and so may be asked for or not."""
_ONLY: Mapping[str, tuple[tuple[str, ...], str]] = {
    "custombackgroundurl": (
        ("",),
        "a scene by address is not offered, as a car needs its floor and light; put the picture "
        "with a scene.toml into brand/scenes/NAME/ and give backgroundId NAME",
    ),
    "licenseplatelogourl": (("",), "the logo is the owner's: brand/plate_logo.png"),
    "brightness": (("1", "1.0"), "is measured and corrected by autoEnhance; leave it at 1"),
    "contrast": (("1", "1.0"), "is measured and corrected by autoEnhance; leave it at 1"),
    "saturation": (("1", "1.0"), "is measured and corrected by autoEnhance; leave it at 1"),
    "processframes": (("true",), "frames without the studio are not offered"),
    "removebackground": (("true",), "frames without the studio are not offered"),
}
"""What may be said at these values alone, and why."""

MOST_ASKED = 360
"""Frames that may be asked for, of which MOST_FRAMES are made."""
_QUALITIES = {"low": 70, "medium": 80, "high": 90, "ultra": 95, "maximum": 95}


def is_option(name: str) -> bool:
    """Whether `studio_options` knows such a name."""
    word = folded(name)
    return word in _OPTIONS or word in _ALWAYS or word in _ONLY or word in (*_HEIGHTS, "shadowblur")


def studio_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `StudioOptions` that a message's options ask for, checked; null says nothing.

    A plate mask `black` is our `fill` (a blank plate), `shadowBlur` (0 to 100) the softness, and a
    count of frames is brought between LEAST_FRAMES and MOST_FRAMES. Raises `BadWords` naming what
    cannot be used.
    """
    wrong: dict[str, list[str]] = {}
    told: dict[str, Any] = {}
    named: dict[str, str] = {}
    sizes: dict[str, Any] = {}
    for name, value in given.items():
        word = folded(name)
        if value is None or word in _ALWAYS:
            continue
        if word in _ONLY:
            values, why = _ONLY[word]
            if str(value).lower() not in values:
                wrong[name] = [why]
        elif word in _HEIGHTS:
            sizes[word] = value
            named[word] = name
        elif word == "shadowblur":
            told["shadow_softness"], named["shadow_softness"] = _share(value), name
        elif (option := _OPTIONS.get(word)) is None:
            wrong[name] = ["there is no such option"]
        else:
            told[option], named[option] = _value(option, value), name
    for word, value in sizes.items():
        _limit_height(told, word, value, wrong, named)
    if not wrong:
        try:
            checked = StudioOptions.model_validate(told)
        except ValidationError as error:
            for one in error.errors(include_url=False, include_input=False):
                option = str(one["loc"][0])
                said = one["msg"].removeprefix("Value error, ")
                wrong.setdefault(named.get(option, option), []).append(said)
        else:
            return checked.model_dump(mode="json", include=set(told))
    raise BadWords(wrong)


def _value(option: str, value: Any) -> Any:
    """A value of one of our options, in our words; what is none is left to be refused."""
    word = value.strip().lower() if isinstance(value, str) else value
    match option:
        case "output_format":
            return "jpg" if word == "jpeg" else word
        case "license_plate_mask_type":
            return "fill" if word == "black" else word
        case "background_id":
            return word
        case "output_quality":
            return _QUALITIES.get(word, word) if isinstance(word, str) else word
        case "spin_frames" if (count := _whole(word)) is not None and 1 <= count <= MOST_ASKED:
            return frames_made(count)
        case _:
            return value


def frames_made(asked: int) -> int:
    """How many frames a 360° view gets where so many are asked for."""
    return min(max(asked, LEAST_FRAMES), MOST_FRAMES)


def frames_wanted(job: Job) -> int:
    """How many frames its 360° view is to have."""
    frames: int = job.request.options.get("spin_frames", USUAL_FRAMES)
    return frames


def _whole(value: Any) -> int | None:
    """A whole number, or a text that is one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 7:
        return int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and abs(value) < 10**6 else None


def _share(value: Any) -> Any:
    try:
        return float(value) / 100
    except (TypeError, ValueError, OverflowError):
        return value


def _limit_height(
    told: dict[str, Any],
    word: str,
    value: Any,
    wrong: dict[str, list[str]],
    named: dict[str, str],
) -> None:
    """Our pictures have a width and a shape, so a height becomes one of the two."""
    height, width = _whole(value), _whole(told.get("max_width"))
    if height is None or height < 1:
        wrong[named[word]] = ["a height is a whole number of pixels"]
    elif word != "maxheight":
        if width is None:
            wrong[named[word]] = ["give the width too"]
        else:
            told["aspect"], named["aspect"] = f"{width}:{height}", named[word]
    else:
        try:
            shape = StudioOptions.model_validate(
                {"aspect": told["aspect"]} if "aspect" in told else {}
            ).aspect_ratio
        except ValidationError:
            return  # it is refused by its own name
        widest = StudioOptions().max_width if width is None else width
        told["max_width"] = min(widest, int(height * shape))


@dataclass(frozen=True)
class Kind:
    """A processing type: its number at OKLA, what we do for it, and how long it says it takes."""

    name: str
    operation: Operation
    seconds: int


KINDS: tuple[Kind, ...] = (
    Kind("BackgroundRemoval", Operation.cut_out, 20),
    Kind("VehicleSegmentation", Operation.segment, 10),
    Kind("ImageClassification", Operation.classify, 3),
    Kind("AngleDetection", Operation.classify, 3),
    Kind("LicensePlateMasking", Operation.mask_plate, 5),
    Kind("ColorCorrection", Operation.correct_colours, 5),
    Kind("QualityAnalysis", Operation.classify, 3),
    Kind("BackgroundReplacement", Operation.background, 15),
    Kind("FullPipeline", Operation.full, 30),
)
"""The types in the order of their numbers."""


def kind_of(given: str | int) -> Kind:
    """The type of this name, in whatever case, or of this number. Raises `BadWords`."""
    number = _whole(given)
    if number is not None and 0 <= number < len(KINDS):
        return KINDS[number]
    for kind in KINDS:
        if isinstance(given, str) and folded(kind.name) == folded(given):
            return kind
    known = ", ".join(f"{kind.name} ({number})" for number, kind in enumerate(KINDS))
    raise BadWords({"type": [f"there is no such type; there are {known}"]})


def cut_out_options(kind: Kind, options: Mapping[str, Any]) -> CutOutOptions | None:
    """How the vehicle without its background is drawn, of the options from `studio_options`; None
    of other types. It is PNG unless a format is named, and has no shadow: who lays it on a picture
    of his own has that picture's light."""
    if kind.operation is not Operation.cut_out:
        return None
    names = {"output_format": "format", "output_quality": "quality"}
    return CutOutOptions(**{names[one]: options[one] for one in names.keys() & options.keys()})


IMAGE_STATUS: Mapping[State, str] = {
    "accepted": "pending",
    "queued": "queued",
    "running": "processing",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
VIEW_STATUS: Mapping[State, str] = {
    "accepted": "Pending",
    "queued": "Pending",
    "running": "Processing",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
"""As the services of 360° views have them."""


def spin_made(job: Job) -> SpinResult | None:
    """The 360° view that the job has made."""
    made = None if job.result is None else job.result.spin
    return made if made is not None and made.frames else None


def spin_problem(job: Job) -> Problem | None:
    """Why there is no 360° view, also where the job has completed: a whole vehicle's does without
    one."""
    if job.state == "completed" and spin_made(job) is None:
        return (job.result or JobResult()).no_spin
    return job.problem


def spin_status(job: Job) -> str:
    """The status of a 360° job. Its words have none for a cancelled one."""
    if job.state == "running":
        return "extractingframes" if job.progress < 50 else "processingframes"
    if job.state == "cancelled" or spin_problem(job) is not None:
        return "failed"
    return "completed" if job.has_ended else "pending"


def error_message(job: Job) -> str | None:
    """Why there is no result; None where there is one, or will be."""
    return _said(job, job.problem)


def spin_error_message(job: Job) -> str | None:
    """Why there is no 360° view, likewise."""
    return _said(job, spin_problem(job))


def _said(job: Job, problem: Problem | None) -> str | None:
    if job.state == "cancelled":
        return "the job was cancelled"
    return None if problem is None else problem.detail


def image_result(photo: PhotoResult, url: Url) -> dict[str, Any]:
    """What came of one photo, as OKLA's `result` has it; what is unknown is left out."""
    result: dict[str, Any] = {
        "processedImageUrl": None if photo.picture is None else url(photo.picture.key),
        "maskUrl": None if photo.matte is None else url(photo.matte.key),
        "thumbnailUrl": None if photo.thumbnail_key is None else url(photo.thumbnail_key),
        "imageCategory": None if photo.category is None else photo.category.capitalize(),
        "categoryConfidence": photo.category_confidence,
        "detectedAngle": photo.angle,
        "angleConfidence": photo.angle_confidence,
        "side": photo.side,
        "azimuthDegrees": photo.azimuth_deg,
        "licensePlateDetected": None if photo.plates is None else photo.plates > 0,
        "vehicleBox": photo.vehicle_box,
        "maskStatus": photo.mask,
        "qualityScore": photo.quality,
        "qualityIssues": None if photo.quality is None else list(photo.issues),
        "treatment": photo.treatment,
        "treatmentReason": photo.treatment_reason,
        "refusal": photo.refusal,
        "refusalDetail": photo.detail,
    }
    return {name: value for name, value in result.items() if value is not None}
