"""What is known of the sample vehicle's pictures, because they were made."""

from pydantic import BaseModel, ConfigDict

from okla_assets.sample import FOLDER

Point = tuple[float, float]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Plate(_Row):
    """A plate in the picture: corners in pixels, from its own top left clockwise.

    `facing` is the cosine between its normal and the line of sight.
    """

    quad: tuple[Point, Point, Point, Point]
    facing: float


class PhotoTruth(_Row):
    """One photo; azimuth and matte are None for close-ups.

    `file` is relative to MEDIA, `matte` to FOLDER.
    """

    file: str
    azimuth_deg: float | None
    matte: str | None
    plates: tuple[Plate, ...]


class FrameTruth(_Row):
    """One frame of the video; only some have a matte."""

    index: int
    azimuth_deg: float
    matte: str | None
    plates: tuple[Plate, ...]


class VideoTruth(_Row):
    """The walk-around: one full turn."""

    file: str
    fps: int
    frames: tuple[FrameTruth, ...]


class Truth(_Row):
    """What is known of the sample. Azimuth 0 is the car's front, 90 its left side, 180 its rear."""

    plate_text: str
    photos: tuple[PhotoTruth, ...]
    video: VideoTruth


def truth() -> Truth:
    return Truth.model_validate_json((FOLDER / "truth.json").read_bytes())
