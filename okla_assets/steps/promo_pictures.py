"""What a film shows: finished pictures, those of the studio composed anew for the film's format.

A composed picture shows what the finished one shows, which was searched for plates: a photo or a
turn on which plates were covered only then is not composed again, nor one that the film would show
larger than it was searched.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from okla_assets.digests import digest_of
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.types import Quad, Rgb
from okla_assets.options import StudioOptions
from okla_assets.steps.batches import Pictures, blame, joined
from okla_assets.steps.corrected import corrected_copy
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.standpoints import Standpoint
from okla_assets.steps.turn_pictures import SpinPicture, pictures_of
from okla_assets.steps.turning import Turning, turning_of
from okla_assets.tables import (
    Classification,
    Classifications,
    Composite,
    Composites,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PhotoPlates,
    RawPhotos,
    SpinFrames,
)
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.promo.timeline import Picture
    from okla_assets.imaging.studio.studio import Look

Size = tuple[int, int]

LEAST_QUALITY = 25
"""Photos below this are in the gallery, but no advertisement."""
HARDLY_LARGER = 1.2
"""Times as large as it was searched: no plate is read that was not before."""


@dataclass(frozen=True)
class StudioPhoto:
    """What one finished studio photo was made of."""

    number: int
    masked_key: str
    matte_key: str
    plates: tuple[Quad, ...]
    correction: Correction | None
    standpoint: Standpoint
    digests: tuple[str, str]

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Two equal fingerprints are composed alike."""
        return self.number, self.digests, self.correction, self.standpoint.fingerprint


@dataclass(frozen=True)
class FilmSet:
    """The photos by the keys of their finished pictures, and the turn, for any format."""

    photos: Mapping[str, StudioPhoto]
    turn: Sequence[SpinPicture]
    turn_keys: Sequence[str]
    turn_correction: Correction | None
    options: StudioOptions
    look: "Look"
    store: MediaStore
    _turnings: dict[Size, Turning] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """Two equal fingerprints compose the same pictures."""
        return digest_of(
            [(key, photo.fingerprint) for key, photo in sorted(self.photos.items())],
            [row.fingerprint for row in self.turn],
            self.turn_correction,
            self.options.of_pictures,
            self.look.scene.digest,
        )

    def composed(self, key: str, frame: Size) -> Rgb | None:
        """The picture of this key for a frame of this width and height; None where it is not to be
        composed. Raises PictureFailed."""
        if key in self.photos:
            return self._photo(self.photos[key], frame)
        if key in self.turn_keys and self.turn:
            return self._turned(self.turn_keys.index(key), frame)
        return None

    def _photo(self, photo: StudioPhoto, frame: Size) -> Rgb:
        from okla_assets.imaging.photo import codec, level
        from okla_assets.imaging.promo import formats
        from okla_assets.imaging.studio import studio
        from okla_assets.imaging.studio.placement import extent

        with blame("photo", photo.number):
            picture = read_picture(self.store, photo.masked_key)
            grey = codec.decode_gray(self.store.get(photo.matte_key))
            alpha = studio.as_alpha(grey)
            picture = corrected_copy(picture, photo.correction, photo.plates, self.options, alpha)
            if (turn := photo.standpoint.levelled) is not None:
                picture = level.levelled(picture, turn)
                alpha = studio.as_alpha(level.levelled(grey, turn))
            placement = formats.place(extent(alpha), formats.canvas_of(frame))
            view = photo.standpoint.view(alpha)
            return studio.compose(picture, alpha, placement, view, self.look)

    def _turned(self, position: int, frame: Size) -> Rgb:
        if frame not in self._turnings:
            width, height = frame
            self._turnings[frame] = turning_of(self.turn, width, width / height, self.store)
        turning = self._turnings[frame]
        return turning.finished(position, self.turn_correction, self.look, self.options, self.store)


def film_set(
    rows: Iterable[tuple[Photo, Mask, Classification, PhotoPlates, Composite]],
    standing: Mapping[int, Standpoint],
    tables: tuple[SpinFrames, Masks, LicensePlates, Composites],
    sizes: Sequence[Size],
    options: StudioOptions,
    look: "Look",
    store: MediaStore,
) -> FilmSet:
    """What films of these sizes may compose of a vehicle."""
    photos = {}
    for photo, mask, _, plates, finished in rows:
        if finished.treatment != "studio" or finished.processed_key is None:
            continue
        if finished.covered_late or mask.matte_key is None:
            continue
        if not _was_searched_as_large(photo, mask, finished, sizes):
            continue
        photos[finished.processed_key] = StudioPhoto(
            photo.number,
            plates.masked_key,
            mask.matte_key,
            tuple(plate.quad for plate in plates.plates),
            finished.correction,
            standing.get(photo.number, Standpoint()),
            (mask.digest, plates.digest),
        )
    spin = tables[0]
    late = any(frame.late for frame in spin.frames)
    turn = pictures_of(*tables) if not late and _turn_was_searched_as_large(spin, sizes) else ()
    keys = [frame.key for frame in spin.frames]
    return FilmSet(photos, turn, keys, spin.correction, options, look, store)


def _was_searched_as_large(
    photo: Photo, mask: Mask, finished: Composite, sizes: Sequence[Size]
) -> bool:
    """Whether no film shows the photo's vehicle larger than its finished picture does.

    More than the photo holds no film shows of it.
    """
    from okla_assets.imaging.promo import formats

    if mask.vehicle_box is None or finished.processed_size is None:
        return False
    _, _, width, height = mask.vehicle_box
    searched = finished.source_box[2] * finished.processed_size[0] / photo.working_width
    canvases = [formats.canvas_of(size) for size in sizes]
    shown = [formats.share_of(width, height, w / h) * w / width for w, h in canvases]
    return min(1.0, max(shown)) <= HARDLY_LARGER * searched


def _turn_was_searched_as_large(spin: SpinFrames, sizes: Sequence[Size]) -> bool:
    """The same of a turn, which fills a film's frame at most as its own pictures' width."""
    larger = max(width for width, _ in sizes) / max(spin.width, 1)
    return all(
        min(1.0, larger * frame.move[0]) <= HARDLY_LARGER * frame.move[0] for frame in spin.frames
    )


def gather(
    raw: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    composites: Composites,
    store: MediaStore,
    left_out: Pictures = frozenset(),
) -> "tuple[Picture, ...]":
    """The finished pictures that may be shown: no repeats, nothing kept back, no papers.

    Raises PictureFailed.
    """
    from okla_assets.imaging.photo import paper

    found = []
    for photo, mask, view, finished in joined(
        upright_photos(raw.photos, masks.rows), masks.rows, classifications.rows, composites.rows
    ):
        key, thumbnail = finished.processed_key, finished.thumbnail_key
        repeated = photo.duplicate_of is not None
        if key is None or thumbnail is None or repeated or view.quality.score < LEAST_QUALITY:
            continue
        if ("photo", photo.number) in left_out:
            continue
        if view.category == "exterior" and mask.status == "no_vehicle":
            continue
        if view.projection is not None:  # a panorama is no picture to be shown flat
            continue
        with blame("photo", photo.number):
            if view.category == "misc" and paper.is_paper(read_picture(store, key)):
                continue
        found.append(_picture(key, photo, mask, view, finished, raw.options))
    return tuple(found)


def _picture(
    key: str,
    photo: Photo,
    mask: Mask,
    view: Classification,
    finished: Composite,
    options: StudioOptions,
) -> "Picture":
    from okla_assets.imaging.promo.moves import studio_place
    from okla_assets.imaging.promo.timeline import Picture

    plain = finished.treatment == "studio"
    aspect = photo.width / photo.height
    car = vehicle = None
    if mask.vehicle_box is not None and view.category == "exterior":
        width, height = photo.working_width, photo.height / photo.scale
        x, y, w, h = mask.vehicle_box
        vehicle = w, h
        if plain:
            wide, high = map(int, options.aspect.split(":"))
            aspect = wide / high
            car = studio_place(w, h, aspect, view.angle, options.margin)
        elif mask.status != "cropped":
            car = (x / width, y / height, w / width, h / height)
    kinds = {"exterior": "exterior", "interior": "interior", "misc": "detail"}
    return Picture(
        key=key,
        kind=kinds[view.category],  # type: ignore[arg-type]
        angle=view.angle,
        quality=view.quality.score,
        car=car,
        plain=plain,
        upright=aspect < 1,
        vehicle=vehicle,
    )


def for_format(picture: "Picture", films: FilmSet, frame: tuple[int, int]) -> "Picture":
    """The picture as it is shown in a frame of this width and height."""
    from okla_assets.imaging.promo import formats

    aspect = frame[0] / frame[1]
    if picture.key in films.photos and picture.vehicle is not None:
        car = formats.car_on(*picture.vehicle, aspect)
        return replace(picture, car=car, composed=True, upright=aspect < 1)
    # Beyond a finished picture its border would be stretched; a blurred copy is behind it instead.
    return replace(picture, plain=picture.plain and aspect > 1)
