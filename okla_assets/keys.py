"""Every storage key is built here and nowhere else; vehicle ids are parsed here, once.

The layout is the storage contract of docs/options.md. A key is relative to the bucket or local
folder and uses forward slashes on every platform.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, NewType

from okla_assets.folder_names import is_of_the_same_car, names_no_car

VehicleId = NewType("VehicleId", str)

MOST_CHARACTERS = 64
MOST_NAMED = 5
"""Files of one kind that a line names before it only counts."""
_VEHICLE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


RAW = "raw/"
PROCESSED = "processed/"
READY_MARKER = "_READY"
ARCHIVED_MARKER = "_ARCHIVED"
SOURCE_RECORD = "_SOURCE"
JOBS_MARKER = "_JOBS"
PHOTO_SUFFIXES = _words("""
    jpg jpeg jpe jfif jif pjpeg mpo png apng webp gif bmp dib tif tiff heic heif heics heifs hif hic
    avif avifs avcs avci jxl jp2 j2k jpx jpf jxr wdp hdp psd tga svg
    dng cr2 cr3 crw nef nrw arw srf sr2 raf rw2 rwl orf pef srw raw gpr 3fr fff iiq x3f erf mrw kdc
    dcr mef mos
    """)
"""Pictures, those that are refused too: so that a file of this name is never passed over."""
VIDEO_SUFFIXES = _words("""
    mp4 m4v mov qt 3gp 3g2 3gpp avi divx webm mkv mts m2ts m2t ts tod mod mpg mpeg mpe m2v mpv vob
    wmv asf flv f4v ogv rm rmvb insv lrf dv mxf
    """)
"""Recordings, likewise."""
SIDECAR_SUFFIXES = _words("aae thm lrv xmp pp3 dop cos ini db lnk url")
"""What cameras, phones and desktops put beside a picture; some hold a small copy of it."""
UNFINISHED_SUFFIXES = _words("part partial crdownload filepart download opdownload")
"""A transfer that is still going on, or has broken off."""
_SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})
_SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information"})


class BadVehicleId(ValueError):
    """The text cannot name a vehicle."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"vehicle id {text!r} is not usable: 1 to 64 letters, digits, '-' or '_', starting "
            "with a letter or digit (UUIDs and VINs fit)"
        )


class NamesNoCar(BadVehicleId):
    """The text is what folders of pictures are called everywhere."""

    def __init__(self, text: str) -> None:
        ValueError.__init__(
            self,
            f"{text!r} is what folders of pictures are called, and two cars could share it: "
            "it cannot be a vehicle's id",
        )


def parse_vehicle_id(text: str) -> VehicleId:
    """The one door for vehicle ids; raises `BadVehicleId`."""
    if not _VEHICLE_ID.fullmatch(text):
        raise BadVehicleId(text)
    return VehicleId(text)


def new_vehicle_id(text: str) -> VehicleId:
    """The id of a vehicle that may be made, which no folder of pictures has for a name.

    Raises `BadVehicleId`.
    """
    vehicle = parse_vehicle_id(text)
    if names_no_car(text):
        raise NamesNoCar(text)
    return vehicle


def vehicle_id_from_folder(name: str) -> VehicleId:
    """A vehicle id out of a folder's name, unusable characters turned to '-'.

    Where a character was turned or cut off, a digest of the whole name follows, so that two names
    never make one id. Raises `BadVehicleId`, also for names such as `photos` and `100APPLE`.
    """
    name = unicodedata.normalize("NFC", name)
    if names_no_car(name):
        raise NamesNoCar(name)
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")
    if kept != name or len(kept) > MOST_CHARACTERS:
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
        kept = kept and f"{kept[: MOST_CHARACTERS - 9].rstrip('-_')}-{digest}"
    return parse_vehicle_id(kept)


PLATE_LOGO = "brand/plate_logo.png"
"""What the owner wants to see where a plate was: PNG, best with transparency."""


OWN_SCENES = "brand/scenes/"
"""The owner's scenes: a folder each."""


def own_scene(name: str) -> str:
    """What the owner says of a scene."""
    return f"{OWN_SCENES}{name}/scene.toml"


def own_scene_pictures(name: str) -> tuple[str, ...]:
    """The places of its picture, of which one is enough."""
    return tuple(f"{OWN_SCENES}{name}/scene.{ending}" for ending in ("jpg", "png", "webp"))


def name_of_own_scene(key: str) -> str | None:
    """The scene that a key under OWN_SCENES describes; None for other files."""
    name, slash, file = key.removeprefix(OWN_SCENES).partition("/")
    return name if slash and file == "scene.toml" else None


JobId = NewType("JobId", str)

INBOX = "inbox/"
"""Jobs that have not ended; private."""
JOBS = "jobs/"
"""Jobs that have ended, the lists of all jobs, and the files that came with them; private."""
OUTBOX = "outbox/"
"""What callers have still to be told; private."""
CALLERS = "callers/"
"""Who may use the doors: keys, hashed; private."""
LEADERS = "leaders/"
"""What processes that have to be the only ones of their kind write into a bucket."""
TRANSIENT = "job-"
"""How the ids of vehicles begin that were made for one job, and that go away by themselves."""


class BadJobId(ValueError):
    """The text cannot name a job."""

    def __init__(self, text: str) -> None:
        super().__init__(f"job id {text[:80]!r} is not usable: it has to be a UUID")


def parse_job_id(text: str) -> JobId:
    """A UUID in its usual form, in small letters. Raises `BadJobId`."""
    if not _JOB_ID.fullmatch(text.lower()):
        raise BadJobId(text)
    return JobId(text.lower())


def transient_vehicle(job: JobId) -> VehicleId:
    """The vehicle of a job that names none."""
    return VehicleId(f"{TRANSIENT}{job}")


def is_transient(vehicle: str) -> bool:
    """Whether a vehicle was made for one job alone."""
    return vehicle.startswith(TRANSIENT) and bool(_JOB_ID.fullmatch(vehicle[len(TRANSIENT) :]))


def inbox_job(job: JobId) -> str:
    """A job that has not ended."""
    return f"{INBOX}{job}.json"


CANCELS = f"{INBOX}cancel/"


def inbox_cancel(job: JobId) -> str:
    """Its presence asks for the job's end."""
    return f"{CANCELS}{job}"


INBOX_FILES = f"{JOBS}files/"
"""Files that came with jobs: a folder each."""


def inbox_files(job: JobId) -> str:
    """Prefix of the files that came with a job."""
    return f"{INBOX_FILES}{job}/"


UPLOADS = f"{JOBS}uploads/"
"""Uploads in parts: a folder each."""


def upload_record(upload: JobId) -> str:
    """What an upload in parts is to become."""
    return f"{UPLOADS}{upload}/upload.json"


def upload_parts(upload: JobId) -> str:
    """Prefix of the parts that have arrived, named by their first byte's place."""
    return f"{UPLOADS}{upload}/parts/"


def ended_job(job: JobId) -> str:
    """A job that has ended, and how."""
    return f"{JOBS}ended/{job}.json"


def jobs_of_vehicle(vehicle: VehicleId) -> str:
    """Prefix of empty objects named by the vehicle's jobs (`job_in_list`)."""
    return f"{JOBS}vehicles/{vehicle}/"


def jobs_of_caller(caller: str, month: str = "") -> str:
    """Prefix of empty objects named by a caller's jobs, of one month (2026-11) or of all."""
    return f"{JOBS}callers/{caller}/" + (f"{month}/" if month else "")


def jobs_of_all_callers() -> str:
    """Prefix of the same of every caller."""
    return f"{JOBS}callers/"


class ListedJob(NamedTuple):
    """A job as lists name it, and as how many pictures it counts."""

    id: JobId
    at: datetime
    pictures: int


_LISTED = re.compile(r"(\d{16})_(\d+)_([0-9a-f-]{36})")
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def job_in_list(job: JobId, at: datetime, pictures: int) -> str:
    """The name of a job in a list. Its time counts back, so that stores list the newest first."""
    return f"{(_LATEST - at) // _MICROSECOND:016d}_{pictures}_{job}"


def listed_job(key: str) -> ListedJob | None:
    """The job that an object of a list names; None for other objects."""
    found = _LISTED.fullmatch(key.rpartition("/")[2])
    if found is None:
        return None
    return ListedJob(JobId(found[3]), _LATEST - int(found[1]) * _MICROSECOND, int(found[2]))


def transient_jobs(day: str = "") -> str:
    """Prefix of empty objects named by jobs with a vehicle of their own, by day (2026-11-29)."""
    return f"{JOBS}transient/" + (f"{day}/" if day else "")


def transient_job(job: JobId, at: datetime) -> str:
    """Names one of them, the oldest first."""
    return f"{transient_jobs(f'{at:%Y-%m-%d}')}{at:%Y%m%dT%H%M%S%f}_{job}"


def vehicle_owner(vehicle: VehicleId) -> str:
    """Which caller a vehicle belongs to; absent where it did not come through a door."""
    return f"{JOBS}owners/{vehicle}"


def vehicles_of(caller: str) -> str:
    """Prefix of empty objects named by the vehicles that a caller has brought."""
    return f"{JOBS}owned/{caller}/"


def outbox(way: Literal["http", "amqp", "dead"], job: JobId) -> str:
    """What the job's caller has still to be told, or could not be told."""
    return f"{OUTBOX}{way}/{job}.json"


def caller(name: str) -> str:
    """What is known of a caller."""
    return f"{CALLERS}{name}.json"


ASKED_RUNS = f"{JOBS}runs/"
"""Runs that jobs ask Dagster for, until they have ended."""


def asked_run(name: str) -> str:
    """A run that a job asks for."""
    return f"{ASKED_RUNS}{name}.json"


def job_files(job: JobId) -> str:
    """Prefix of pictures that were drawn for one job; private, as plates may be seen on them."""
    return f"{JOBS}results/{job}/"


def job_file(job: JobId, name: str) -> str:
    """A picture that was drawn for one job."""
    return job_files(job) + name


def raw_folder(vehicle: VehicleId) -> str:
    """Everything the seller uploaded; private."""
    return f"{RAW}{vehicle}/"


def raw_photos(vehicle: VehicleId) -> str:
    return f"{RAW}{vehicle}/photos/"


def raw_videos(vehicle: VehicleId) -> str:
    return f"{RAW}{vehicle}/video/"


def job_background(vehicle: VehicleId, name: str) -> str:
    """A picture to be drawn behind the vehicle, which is no photo of it."""
    return f"{RAW}{vehicle}/backgrounds/{name}"


def options(vehicle: VehicleId) -> str:
    return f"{RAW}{vehicle}/options.json"


def ready_marker(vehicle: VehicleId) -> str:
    """Its presence says that the upload is complete."""
    return f"{RAW}{vehicle}/{READY_MARKER}"


def archived_marker(vehicle: VehicleId) -> str:
    """Its presence says that the vehicle is retired, until an upload newer than it arrives."""
    return f"{RAW}{vehicle}/{ARCHIVED_MARKER}"


def source_record(vehicle: VehicleId) -> str:
    """Which folders `okla process` took the uploads from, and what it left out there."""
    return f"{RAW}{vehicle}/{SOURCE_RECORD}"


def leaders(command: str) -> str:
    """Where each `okla up` or `okla serve` on a bucket has its object."""
    return f"{LEADERS}{command}/"


def jobs_marker(vehicle: VehicleId) -> str:
    """Its presence says that jobs ask for the vehicle's runs, not the sensor of uploads."""
    return f"{RAW}{vehicle}/{JOBS_MARKER}"


def records(vehicle: VehicleId) -> frozenset[str]:
    """What lies among the uploads and is none: markers, options, and whence they came."""
    return frozenset(
        {
            jobs_marker(vehicle),
            ready_marker(vehicle),
            archived_marker(vehicle),
            options(vehicle),
            source_record(vehicle),
            raw_folder(vehicle),
        }
    )


def upload_name(key: str) -> str:
    """An upload's name for people: its path below photos/, video/ or the vehicle's folder."""
    path = key.removeprefix(RAW).partition("/")[2] if key.startswith(RAW) else key
    return re.sub(r"\A(photos|video)/(?=.)", "", path)


def first_names(names: Sequence[str], count: int | None = None) -> tuple[str, int]:
    """The first names of a list, and how many more there are; `count` in all."""
    more = (len(names) if count is None else count) - min(len(names), MOST_NAMED)
    return ", ".join(names[:MOST_NAMED]), more


def in_short(names: Sequence[str], count: int | None = None) -> str:
    """The same as a sentence's part."""
    listed, more = first_names(names, count)
    return listed + (f" and {more:,} more" if more else "")


def lies_where_uploads_do(key: str) -> bool:
    """Whether a file below raw/VEHICLE/ is looked at: in photos/ or video/, in a folder of a like
    name, or beside them. A folder of another name may be another car's.
    """
    folders = key.removeprefix(RAW).split("/")[1:-1]
    return not folders or folders[0] in ("photos", "video") or is_of_the_same_car(folders[0])


def processed_folder(vehicle: VehicleId) -> str:
    """Everything a buyer may see."""
    return f"processed/{vehicle}/"


def _stem(category: str, number: int) -> str:
    return f"{category}_{number:03d}"


_PROCESSED_KEY = re.compile(r"(?:.*[/\\])?processed[/\\]([^/\\]+)[/\\](.+)", re.DOTALL)


def processed_key_in(place: str) -> tuple[VehicleId, str] | None:
    """Vehicle and key of a finished file that a key, a path or a URL names; None for others.

    Raises `BadVehicleId`.
    """
    path = re.split(r"[?#]", place)[0] if "://" in place else place
    found = _PROCESSED_KEY.fullmatch(path)
    if found is None:
        return None
    vehicle = parse_vehicle_id(found[1])
    return vehicle, processed_folder(vehicle) + found[2].replace("\\", "/")


def processed_photo(vehicle: VehicleId, category: str, number: int, suffix: str) -> str:
    """A finished photo; `suffix` without the dot."""
    return f"processed/{vehicle}/{_stem(category, number)}_processed.{suffix}"


def thumbnail(vehicle: VehicleId, category: str, number: int) -> str:
    """The finished photo at gallery size."""
    return f"processed/{vehicle}/thumbnails/{_stem(category, number)}_thumb.jpg"


def processed_mask(vehicle: VehicleId, category: str, number: int) -> str:
    """The matte at the size of the upright source photo."""
    return f"processed/{vehicle}/masks/{_stem(category, number)}_mask.png"


_BY_CONTENT = re.compile(r"_\d+w_[0-9a-f]{12}\.\w+\Z")


def named_by_content(key: str) -> bool:
    """Whether the file of this key never changes, so that it may be kept for ever."""
    return bool(_BY_CONTENT.search(key))


def _sized(stem: str, width: int, data: bytes, suffix: str) -> str:
    return f"{stem}_{width}w_{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"


def sized_photo(
    vehicle: VehicleId, category: str, number: int, width: int, data: bytes, suffix: str
) -> str:
    """A finished photo `width` pixels wide for web pages, named by its bytes."""
    return _sized(f"processed/{vehicle}/web/{_stem(category, number)}", width, data, suffix)


_SHOWN = re.compile(
    r"/(exterior|interior|misc)_(\d{3,})_(processed|thumb|before|\d+w_[0-9a-f]{12})\.\w+\Z"
)


def photo_shown(key: str) -> int | None:
    """Number of the photo that a published picture shows; None for masks and any other key."""
    shown = _SHOWN.search(key)
    return int(shown[2]) if shown else None


def before_photo(vehicle: VehicleId, category: str, number: int) -> str:
    """The photo as taken but without plates, at gallery size, to be compared with the finished."""
    return f"processed/{vehicle}/before/{_stem(category, number)}_before.jpg"


def is_photo_output(key: str) -> bool:
    """Whether the key names a picture of one photo, of whatever size, or its matte."""
    return photo_shown(key) is not None or bool(
        re.search(r"/(exterior|interior|misc)_\d{3,}_mask\.\w+\Z", key)
    )


def spin_folder(vehicle: VehicleId) -> str:
    """The spin's frames, its page and its data."""
    return f"processed/{vehicle}/360-viewer/"


def spin_frame(vehicle: VehicleId, position: int) -> str:
    """One picture of the spin, counted from 1."""
    return f"{spin_folder(vehicle)}frame_{position:03d}.jpg"


def sized_frame(vehicle: VehicleId, position: int, width: int, data: bytes, suffix: str) -> str:
    """One picture of the spin `width` pixels wide, named by its bytes."""
    return _sized(f"{spin_folder(vehicle)}frame_{position:03d}", width, data, suffix)


def is_spin_frame(key: str) -> bool:
    """Whether the key names a picture of the spin, of whatever size."""
    return bool(re.search(r"/360-viewer/frame_\d{3,}(_\d+w_[0-9a-f]{12})?\.\w+\Z", key))


def spin_data(vehicle: VehicleId) -> str:
    """What the viewer reads."""
    return f"{spin_folder(vehicle)}spin.json"


def spin_page(vehicle: VehicleId) -> str:
    return f"{spin_folder(vehicle)}index.html"


def spin_script(vehicle: VehicleId) -> str:
    """The viewer itself, for the spin's page and for pages that embed it."""
    return f"{spin_folder(vehicle)}okla-spin.js"


def panorama_script(vehicle: VehicleId) -> str:
    """The viewer of panoramas, for the gallery."""
    return f"{processed_folder(vehicle)}okla-panorama.js"


def own_music(vehicle: VehicleId, name: str) -> str:
    """Music that was uploaded with the vehicle."""
    return f"{raw_folder(vehicle)}{name}"


def brand_music(name: str) -> str:
    """Music of the owner's for all vehicles."""
    return f"brand/music/{name}"


def promo(vehicle: VehicleId) -> str:
    return f"processed/{vehicle}/promo.mp4"


def promo_vertical(vehicle: VehicleId) -> str:
    return f"processed/{vehicle}/promo_vertical.mp4"


def promo_files(vehicle: VehicleId) -> tuple[str, ...]:
    """Everything that a promo video is published as."""
    clips = promo(vehicle), promo_vertical(vehicle)
    return *clips, promo_poster(vehicle), promo_vertical_poster(vehicle)


def promo_vertical_poster(vehicle: VehicleId) -> str:
    return f"processed/{vehicle}/promo_vertical_poster.jpg"


def promo_poster(vehicle: VehicleId) -> str:
    return f"processed/{vehicle}/promo_poster.jpg"


def gallery(vehicle: VehicleId) -> str:
    return f"processed/{vehicle}/index.html"


def listing(vehicle: VehicleId) -> str:
    """The machine-readable result; written last."""
    return f"processed/{vehicle}/listing.json"


def fleet_folder(processed_is_public: bool) -> str:
    """Of the report over all vehicles, a name that no vehicle's id can have: "_" begins none.

    It names all vehicles and what they cost, which is not for buyers: where everybody may read
    processed/, it lies in work/.
    """
    return "work/_fleet/" if processed_is_public else f"{PROCESSED}_fleet/"


def table(vehicle: VehicleId, asset: str) -> str:
    """What one asset hands to the next, as JSON."""
    return f"work/{vehicle}/tables/{asset}.json"


def vehicle_work(vehicle: VehicleId) -> tuple[str, str]:
    """Prefixes of all intermediate files of the vehicle, those that show plates too."""
    return f"work/{vehicle}/", f"private/{vehicle}/"


def work_folder(vehicle: VehicleId, step: str) -> str:
    return f"work/{vehicle}/{step}/"


def work_file(vehicle: VehicleId, step: str, digest: str, suffix: str) -> str:
    """An intermediate file of one photo, named by what it was made from."""
    return f"{work_folder(vehicle, step)}{digest[:32]}.{suffix}"


def private_folder(vehicle: VehicleId, step: str) -> str:
    """Prefix of one step's copies that may show plates; to be guarded like raw/."""
    return f"private/{vehicle}/{step}/"


def private_file(vehicle: VehicleId, step: str, digest: str, suffix: str) -> str:
    """An intermediate picture as the seller took it, plates and all."""
    return f"{private_folder(vehicle, step)}{digest[:32]}.{suffix}"


def nfc(name: str) -> str:
    """How names are compared: from a Mac they come in NFD, people and options write NFC."""
    return unicodedata.normalize("NFC", name)


def suffix_of(key: str) -> str:
    """The file suffix in lower case, without the dot; empty where there is none.

    Dots and spaces at the end of a name do not count.
    """
    name = key.rsplit("/", 1)[-1].rstrip(". ")
    return name.rsplit(".", 1)[-1].lower() if "." in name else ""


def is_media(key: str) -> bool:
    """Whether an uploaded file is a photo or video by its suffix."""
    return suffix_of(key) in PHOTO_SUFFIXES | VIDEO_SUFFIXES


def ignored_by_name(
    path: str,
) -> Literal["hidden_file", "system_file", "sidecar", "unfinished"] | None:
    """The rule by which a file is never a photo or video, whatever it holds; None where none is.

    `path` may be a key or lie below a folder.
    """
    *folders, name = (part.lower() for part in path.split("/"))
    if any(part.startswith(".") for part in (*folders, name)):
        return "hidden_file"
    if name in _SYSTEM_NAMES or not _SYSTEM_FOLDERS.isdisjoint(folders):
        return "system_file"
    suffix = suffix_of(name)
    if suffix in SIDECAR_SUFFIXES:
        return "sidecar"
    return "unfinished" if suffix in UNFINISHED_SUFFIXES else None


def natural_order(key: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which photo2 comes before photo10."""
    parts = re.split(r"(\d+)", key.casefold())
    return tuple((0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts)
