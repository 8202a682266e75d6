"""What the assets hand to each other: one pydantic table an asset, one row a photo or frame.

Boxes are [x, y, w, h] and quads [[x, y] x 4], in pixels of the working copy; the listing alone
converts them to pixels of the upright source photo. Angles are the vehicle's own: with its front
towards the picture's left it shows its left side; azimuth 0 is the front, 90 the left side, 180
the rear.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from okla_assets import keys
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.imaging.photo.refusals import RefusalReason
from okla_assets.imaging.studio.truth import Truth
from okla_assets.imaging.types import Angle, Box, Category, Quad, Side
from okla_assets.options import PlateStyle, StudioOptions

Treatment = Literal["studio", "enhanced", "original"]
Confidence = Annotated[float, Field(ge=0, le=1)]


class Row(BaseModel):
    """Base of every table row and of the listing: unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FailedPhoto(Row):
    """One photo or frame that a step could not do, and what went wrong; the others go on."""

    number: int
    step: str
    detail: str


class Table(Row):
    """Base of what one asset hands to the next.

    `seconds` of computing went into it, what was reused included; in `gpu_seconds` of them a model
    was at work on a GPU. `failed` are photos that the step could not do, `turn_problem` says why it
    could not do the frames of the walk-around, `problems` what of the options could not be used
    and what else a person should look at.
    """

    seconds: float = 0.0
    gpu_seconds: float = 0.0
    failed: tuple[FailedPhoto, ...] = ()
    turn_problem: str | None = None
    problems: tuple[str, ...] = ()


class Photo(Row):
    """One accepted photo. `digest` names its working copy by content and decoder version.

    `width` and `height` are those of the upright source, `working_width` of the working copy.
    `work_key` is that private copy: it shows plates. `focal` is the lens's focal length in
    diagonals of the photo, where its EXIF tells it.
    """

    number: int
    source_key: str
    source_sha256: str
    source_etag: str = ""
    width: int
    height: int
    working_width: int
    format: str
    notes: tuple[str, ...]
    digest: str
    work_key: str
    perceptual_hash: str
    duplicate_of: int | None
    exact_duplicate: bool
    focal: float | None = None

    @property
    def name(self) -> str:
        """The uploaded file's own name, for people and for the options that name it."""
        return keys.nfc(self.source_key.rsplit("/", 1)[-1])

    @property
    def projection(self) -> "Projection | None":
        """How the whole sphere is laid out on it; None: it is an ordinary photo."""
        return "equirectangular" if "equirectangular" in self.notes else None

    @property
    def scale(self) -> float:
        """Source pixels to one of the working copy."""
        return self.width / self.working_width


class RefusedFile(Row):
    """One upload that cannot be used, and why.

    `number` is that of a photo that was accepted, and that a later step could not do.
    """

    source_key: str
    reason: RefusalReason
    detail: str
    number: int | None = None


IgnoredRule = Literal[
    "hidden_file", "system_file", "sidecar", "unfinished", "not_media", "elsewhere"
]
"""Why a file is looked at no further; IGNORED has it in words."""

IGNORED: Mapping[IgnoredRule, str] = {
    "hidden_file": "hidden, as its name or its folder's begins with a dot",
    "system_file": "put there by the operating system",
    "sidecar": "what cameras and desktops put beside a picture",
    "unfinished": "a transfer that has not ended",
    "not_media": "neither a photo nor a video",
    "elsewhere": "in a folder that may be another car's; photos go to photos/, videos to video/",
}


class IgnoredFiles(Row):
    """Uploads that one rule passes over: how many, and the names of the first."""

    rule: IgnoredRule
    count: int = Field(ge=1)
    examples: tuple[str, ...]


class RawPhotos(Table):
    """Table of `raw_photos`. Each upload is in `photos`, `refused` or `ignored`, or is a video."""

    vehicle_id: str
    options: StudioOptions
    photos: tuple[Photo, ...]
    refused: tuple[RefusedFile, ...]
    ignored: tuple[IgnoredFiles, ...] = ()


class Frame(Row):
    """One moment of the walk-around video, upright and at working size; `time` in seconds.

    `azimuth_deg` is smoothed over the turn. `work_key` is the private copy: it shows plates.
    """

    number: int
    time: float
    azimuth_deg: float = Field(ge=0, lt=360)
    width: int
    height: int
    digest: str
    work_key: str


class WalkaroundFrames(Table):
    """Table of `walkaround_frames`: N moments of one turn around the vehicle, in video order.

    `direction` is +1 where azimuths grow with the numbers, -1 where they fall. Without frames
    `reason` says why: there is no video, or none of them shows a turn. `not_needed` are the keys of
    videos that come after the one that shows it.
    """

    source_key: str | None
    source_sha256: str | None
    direction: Literal[1, -1] | None
    frames: tuple[Frame, ...]
    refused: tuple[RefusedFile, ...]
    reason: str | None
    not_needed: tuple[str, ...] = ()


class PhotoRow(Row):
    """What one step found out about one photo or frame."""

    number: int


MaskStatus = Literal["cut", "unsure", "obstructed", "cropped", "no_vehicle"]
QuarterTurn = Annotated[int, Field(ge=0, lt=360, multiple_of=90)]


class Tilt(Row):
    """A photo whose vehicles stand upright only once it is turned by `degrees` counter-clockwise.

    `vehicles` are their boxes on the photo turned so (`imaging.photo.rotation.rotated`).
    """

    degrees: int
    vehicles: tuple[Box, ...]


class Mask(PhotoRow):
    """The main vehicle of one photo.

    `cut`: a trustworthy matte of a whole vehicle. `unsure`: a matte, but its two networks disagree.
    `obstructed`: a matte, but something stands before the vehicle, which `obstructed` names.
    `cropped`: the vehicle runs out of the picture. `no_vehicle`: none found. `matte_key` is the
    matte at working size, present for `cut`, `unsure` and `obstructed`. `other_vehicles` are
    the boxes of those that the photo is not about. `other_vehicle`: the main one is a bus, lorry
    or van. `part_missing` names what the matte lacks of the vehicle; `mirrors` counts the door
    mirrors that stick out, in views from front or rear; `roof_askew` are the degrees by which a
    straight roof is not parallel to the floor.

    A photo on its side was turned upright by `turned` degrees counter-clockwise; `upright_key` is
    its working copy then, private as it shows plates, and all boxes are in pixels of that one
    (`steps.standing.upright`). One that lies in between is left as it is, with its `tilt`.
    """

    status: MaskStatus
    vehicle_box: Box | None
    other_vehicles: tuple[Box, ...] = ()
    other_vehicle: bool = False
    vehicle_score: Confidence | None
    matte_key: str | None
    agreement: Confidence | None
    obstructed: str | None = None
    part_missing: str | None = None
    mirrors: int | None = None
    roof_askew: float | None = None
    turned: QuarterTurn = 0
    upright_key: str | None = None
    tilt: Tilt | None = None
    digest: str


class Masks(Table):
    """Table of `masks`: photos, and frames of the walk-around by their own numbers."""

    rows: tuple[Mask, ...]
    frames: tuple[Mask, ...] = ()


class Quality(Row):
    """How good the uploaded photo is: 0 unusable, 100 flawless."""

    score: int = Field(ge=0, le=100)
    issues: tuple[str, ...]


Projection = Literal["equirectangular"]


class Classification(PhotoRow):
    """What one photo shows and how good it is.

    One with a `projection` shows the whole sphere around the camera, laid out so.
    """

    category: Category
    category_confidence: Confidence
    angle: Angle | None
    angle_confidence: Confidence | None
    side: Side | None
    azimuth_deg: float | None = Field(ge=0, lt=360)
    quality: Quality
    projection: Projection | None = None


class Classifications(Table):
    """Table of `classifications`."""

    rows: tuple[Classification, ...]


PlateCarrier = Literal["main", "other", "none"]


class FoundPlate(Row):
    """One licence plate, or a card in a plate's place.

    `vehicle` says which vehicle carries it: the one the photo is about, another, or none known.
    """

    quad: Quad
    confidence: Confidence
    vehicle: PlateCarrier


class PhotoPlates(PhotoRow):
    """The plates of one photo or frame, best first; `masked_key` is its copy without them.

    `suspects` are places of a photo that are too little like a plate to be covered unread; `faces`
    the boxes of people's faces, blurred on that copy.

    Steps downstream read `masked_key` and never the copy that intake made.
    """

    plates: tuple[FoundPlate, ...]
    suspects: tuple[FoundPlate, ...] = ()
    faces: tuple[Box, ...] = ()
    masked_key: str
    digest: str


class LicensePlates(Table):
    """Table of `license_plates`: photos, and frames of the walk-around by their own numbers.

    `style` is how plates are covered.
    """

    style: PlateStyle
    rows: tuple[PhotoPlates, ...]
    frames: tuple[PhotoPlates, ...] = ()


class SizedPicture(Row):
    """A finished picture in another size for web pages; its key holds a digest of its bytes."""

    key: str
    width: int
    height: int


class Composite(PhotoRow):
    """One finished photo. `reason` says why it is not on the studio scene, where it is not.

    `withheld` says why there is no finished picture: a plate can still be seen on it, or it does
    not show the vehicle as the photo does, of which `truth` is the measure.
    `plates_checked` tells whether the finished picture was searched for plates.
    `covered_late` plates were found and covered only on the finished picture.
    `before_key` is the photo as taken but without plates, at gallery size, where it was put into
    the studio. `source_box` is where the whole of it lies on the finished picture, in shares of
    that picture's width and height: (0, 0, 1, 1) where nothing moved, else also outside [0, 1].
    `processed_size` is the finished picture's width and height in pixels, `photographed` the share
    of its pixels that the photo gave.
    `correction` is what was done to its colours (`imaging.photo.enhance.corrected`), `levelled` how
    a tilted photo was turned before it was placed; None: nothing.
    `own_shadow` says that the shadow on its floor is the photo's own, `no_own_shadow` why it is not
    though it was asked for.
    `sizes` are the finished picture as WebP for web pages, narrowest first.
    """

    treatment: Treatment
    reason: str | None
    processed_key: str | None
    thumbnail_key: str | None
    mask_key: str | None
    plates_checked: bool
    covered_late: int = 0
    withheld: str | None
    before_key: str | None
    source_box: Box
    processed_size: tuple[int, int] | None = None
    photographed: Confidence | None = None
    correction: Correction | None = None
    levelled: Levelled | None = None
    truth: Truth | None = None
    own_shadow: bool = False
    no_own_shadow: str | None = None
    sizes: tuple[SizedPicture, ...] = ()


class SearchedRoom(Row):
    """The owner's picture of a room, searched for plates: where they are covered, search by search,
    in its pixels; and why it must not be shown, where one can be read all the same."""

    covers: tuple[tuple[Quad, ...], ...] = ()
    withheld: str | None = None


class Composites(Table):
    """Table of `composites`; `room` is what the search of their scene has found."""

    rows: tuple[Composite, ...]
    room: SearchedRoom = SearchedRoom()


class SpinFrame(Row):
    """One picture of the spin: its azimuth on the vehicle, and the frame or photo it is made of.

    `move` (scale, dx, dy) leads from pixels of that frame's or photo's working copy to the spin's:
    x' = scale x + dx. `late` are plates that were found and covered only on the finished picture.
    `sizes` are the same picture for web pages, narrowest and best compressed first.
    """

    key: str
    azimuth_deg: float = Field(ge=0, lt=360)
    source: int
    sizes: tuple[SizedPicture, ...] = ()
    from_photo: bool = False
    move: tuple[float, float, float] = (1.0, 0.0, 0.0)
    late: tuple[Quad, ...] = ()


class SpinFrames(Table):
    """Table of `spin_frames`: the turn from front-quarter on; empty with the reason why.

    A turn that is `made_from` a video may have photos in the gaps that its frames leave. `problems`
    say what a person should look at; `withheld` counts pictures left out as a plate can be read on
    them, `correction` is that of the video's frames.
    `gaps` are the angles in degrees from each frame to the next, the last one to the first.
    """

    made_from: Literal["video", "photos"] | None
    frames: tuple[SpinFrame, ...]
    width: int
    height: int
    gaps: tuple[float, ...]
    reason: str | None
    withheld: int = 0
    correction: Correction | None = None


class Hotspot(Row):
    """A close-up's place on a picture that shows the whole vehicle.

    `x` and `y` in [0, 1] are on the finished picture: exterior photo `on_photo`, or spin frame
    `on_frame` (counted from 0); just one of the two is set. `matches` features agree on the place;
    none where it was set by hand.
    """

    photo: int
    on_photo: int | None
    on_frame: int | None
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    by_hand: bool
    matches: int


class CloseUp(PhotoRow):
    """What became of one close-up: its places, or the reason why it has none."""

    spots: tuple[Hotspot, ...]
    reason: str | None


class Hotspots(Table):
    """Table of `hotspots`: the close-ups."""

    rows: tuple[CloseUp, ...]

    @property
    def spots(self) -> tuple[Hotspot, ...]:
        """All places, by close-up."""
        return tuple(spot for row in self.rows for spot in row.spots)


class PromoVideo(Table):
    """Table of `promo_video`: its files, or the reason why there are none.

    `duration` of the clips in seconds; `sources` the keys of all that is shown and heard.
    """

    key: str | None
    vertical_key: str | None
    poster_key: str | None
    vertical_poster_key: str | None = None
    duration: float
    reason: str | None
    sources: tuple[str, ...] = ()
