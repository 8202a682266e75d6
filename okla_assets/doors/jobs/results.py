"""What came of a job, in our own words; each contract's answer is made of it."""

from pydantic import ConfigDict

from okla_assets.imaging.types import Angle, Box, Category, Side
from okla_assets.tables import Confidence, MaskStatus, Row, Treatment


class DrawnFile(Row):
    """A picture that was drawn for the job: where it lies, and its size in pixels.

    `foreground` is the box (x, y, w, h) of the vehicle on it; `largest` the size that the photo
    would allow. `agreement` is that of the matte that was used, `other_vehicle` as of `Mask`.
    """

    key: str
    type: str
    width: int
    height: int
    foreground: Box | None = None
    largest: tuple[int, int] | None = None
    agreement: Confidence | None = None
    other_vehicle: bool = False


class _Result(Row):
    """Part of the record of an ended job: what an earlier release has written beside is passed
    over."""

    model_config = ConfigDict(extra="ignore")


class PhotoResult(_Result):
    """What came of one photo of the job; None where the operation does not ask for it.

    `source` counts the request's sources from 0. A photo that was refused has a `refusal` and a
    `detail`, and nothing else.
    """

    source: int
    refusal: str | None = None
    detail: str | None = None
    category: Category | None = None
    category_confidence: Confidence | None = None
    angle: Angle | None = None
    angle_confidence: Confidence | None = None
    side: Side | None = None
    azimuth_deg: float | None = None
    quality: int | None = None
    issues: tuple[str, ...] = ()
    vehicle_box: Box | None = None
    mask: MaskStatus | None = None
    plates: int | None = None
    treatment: Treatment | None = None
    treatment_reason: str | None = None
    picture: DrawnFile | None = None
    matte: DrawnFile | None = None
    thumbnail_key: str | None = None


class SpinFrameResult(Row):
    """One frame of the 360° view; angles in degrees on the vehicle."""

    key: str
    thumbnail_key: str
    azimuth_deg: float


class SpinResult(Row):
    """The 360° view of the job's vehicle."""

    frames: tuple[SpinFrameResult, ...]
    viewer_key: str
    width: int
    height: int


class Problem(Row):
    """Why a job failed: a code for programs, and one sentence."""

    code: str
    detail: str


NO_SPIN = "no_spin"
"""The code of a job that could make no 360° view."""


class JobResult(_Result):
    """What came of the job's photos, and of its vehicle's 360° view where that was asked for.

    `spin_reason` says why there is no view, `reasons` why the vehicle's listing is not ready.
    """

    photos: tuple[PhotoResult, ...] = ()
    spin: SpinResult | None = None
    spin_reason: str | None = None
    reasons: tuple[str, ...] = ()

    @property
    def no_spin(self) -> Problem:
        """Why it has no 360° view."""
        reason = self.spin_reason or "; ".join(self.reasons)
        return Problem(code=NO_SPIN, detail=reason or "no 360° view could be made")
