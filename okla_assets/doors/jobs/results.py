"""What came of a job, in our own words; each contract's answer is made of it."""

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


class PhotoResult(Row):
    """What came of one photo of the job; None where the operation does not ask for it.

    `source` counts the request's sources from 0. A photo that was refused has a `refusal` and a
    `detail`, and nothing else.
    """

    source: int
    refusal: str | None = None
    detail: str | None = None
    number: int | None = None
    width: int | None = None
    height: int | None = None
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
    agreement: Confidence | None = None
    plates: int | None = None
    treatment: Treatment | None = None
    treatment_reason: str | None = None
    withheld: str | None = None
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


class JobResult(Row):
    """What came of the job's photos, and of its vehicle where all of that was asked for."""

    vehicle: str
    photos: tuple[PhotoResult, ...] = ()
    spin: SpinResult | None = None
    spin_reason: str | None = None
    status: str | None = None
    reasons: tuple[str, ...] = ()
    listing_key: str | None = None
    gallery_key: str | None = None
    promo_key: str | None = None
