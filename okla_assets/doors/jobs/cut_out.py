"""The cut-outs that a job asks for: each photo's vehicle without its background, as one file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from okla_assets import keys
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import CutOutOptions, Rectangle
from okla_assets.doors.jobs.results import DrawnFile, Problem
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.types import Alpha, Box, Rgb
from okla_assets.steps.pictures import read_matte, read_picture
from okla_assets.steps.standing import upright
from okla_assets.tables import Mask, Masks, Photo, RawPhotos
from resources.decoding.photo_decoder import PhotoDecoder
from resources.models.base import Matte, Segmenter, Subject
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.rendition.drawing import Colour, Drawn
    from okla_assets.imaging.rendition.layout import Layout
    from okla_assets.imaging.rendition.shade import Shade

LEAST_AGREEMENT = 0.6
"""Of the two networks on a vehicle that runs out of its picture: below, it is a cabin or a part."""
WHITE = (255, 255, 255, 255)
"""Behind a JPEG, which has no transparency."""
INSIDE = 0.5
"""Share of the main vehicle's box that has to lie in the region, or another one is looked for."""


class NotCutOut(Exception):
    """One photo has no cut-out; the job's others go on."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(code=code, detail=detail)


@dataclass(frozen=True)
class _CutOut:
    """The matte of one photo's working copy, as the photo was sent, and what is known of it."""

    alpha: Alpha
    agreement: float | None
    whole: bool
    other_vehicle: bool


def cut_outs(
    job: Job,
    store: MediaStore,
    raw: RawPhotos,
    masks: Masks,
    segmenter: Segmenter,
    decoder: PhotoDecoder | None = None,
) -> dict[int, DrawnFile | Problem]:
    """The drawn file of each of the job's photos, by the index of its source, or why there is none.

    Codes of problems: `no_vehicle`, `roi_region_empty`, `roi_exceeds_bounds`, `background` (the
    picture to be set behind cannot be used), `not_a_photo`, `step_failed` or a refusal's. Sources
    that were not taken over are left out, as the job has their refusals. The same job makes the
    same files again.
    """
    options = job.request.cut_out or CutOutOptions()
    drawing = _Drawing(job, store, raw, masks, segmenter, decoder or PhotoDecoder(), options)
    done: dict[int, DrawnFile | Problem] = {}
    for index, key in enumerate(job.uploads):
        if key is None or index == options.background_source:
            continue
        try:
            done[index] = drawing.of(index, key)
        except NotCutOut as error:
            done[index] = error.problem
        except Refused as refused:
            done[index] = Problem(code=refused.reason, detail=refused.detail)
    return done


@dataclass(frozen=True)
class _Drawing:
    job: Job
    store: MediaStore
    raw: RawPhotos
    masks: Masks
    segmenter: Segmenter
    decoder: PhotoDecoder
    options: CutOutOptions

    def of(self, index: int, key: str) -> DrawnFile:
        """The file of one source. Raises NotCutOut, Refused."""
        from okla_assets.imaging.rendition import files

        photo = self._photo(key)
        cut = self._within(photo, self._cut(photo))
        drawn, layout = self._drawn(photo, cut)
        suffix, quality = self.options.format, self.options.quality
        data = (
            files.encoded_matte(drawn.matte, suffix, quality)
            if self.options.channels == "alpha"
            else files.encoded(drawn.picture, suffix, quality)
        )
        place = keys.job_file(self.job.job_id, f"{index}.{suffix}")
        self.store.put(place, data, files.TYPES[suffix])
        return DrawnFile(
            key=place,
            type=files.TYPES[suffix],
            width=layout.width,
            height=layout.height,
            foreground=drawn.foreground,
            largest=layout.largest,
            agreement=cut.agreement,
            other_vehicle=cut.other_vehicle,
        )

    def _photo(self, key: str) -> Photo:
        for photo in self.raw.photos:
            if photo.source_key == key:
                return photo
        for file in self.raw.refused:
            if file.source_key == key:
                raise NotCutOut(file.reason, file.detail)
        raise NotCutOut("not_a_photo", "the file is no photo; send a picture of one vehicle")

    def _cut(self, photo: Photo) -> _CutOut:
        """The vehicle's matte; asked of the segmenter where the table has none of the vehicle
        that is meant."""
        from okla_assets.imaging.matte import cutout

        mask = next((row for row in self.masks.rows if row.number == photo.number), None)
        if mask is None:
            failed = [f.detail for f in self.masks.failed if f.number == photo.number]
            raise NotCutOut("step_failed", failed[0] if failed else "the photo was not looked at")
        box = None if mask.vehicle_box is None else self._meant(photo, mask, mask.vehicle_box)
        if box is None:
            raise NotCutOut(
                "no_vehicle", "no vehicle was found on the photo; send one that shows it whole"
            )
        if mask.matte_key is not None and box == mask.vehicle_box:
            alpha, agreement, whole = read_matte(self.store, mask.matte_key), mask.agreement, True
        else:
            asked = self._asked(photo, mask, box)
            alpha, agreement = asked.alpha, asked.agreement
            whole = not cutout.runs_out(alpha)
            if not (alpha > 0.5).any() or (agreement or 0) < LEAST_AGREEMENT:
                raise NotCutOut("no_vehicle", "the vehicle cannot be told from what is around it")
        if mask.turned:
            import numpy as np

            alpha = np.ascontiguousarray(np.rot90(alpha, -mask.turned // 90))
        return _CutOut(alpha, agreement, whole and not mask.turned, mask.other_vehicle)

    def _asked(self, photo: Photo, mask: Mask, box: Box) -> Matte:
        picture = read_picture(self.store, upright(photo, mask).work_key)
        every = [*([] if mask.vehicle_box is None else [mask.vehicle_box]), *mask.other_vehicles]
        subject = Subject(box, tuple(other for other in every if other != box))
        return self.segmenter.segment([picture], [subject])[0]

    def _meant(self, photo: Photo, mask: Mask, main: Box) -> Box:
        """The box of the vehicle that lies most in the region that is asked for."""
        if self.options.region is None or mask.turned:
            return main
        region = _region(self.options.region, photo)
        if _inside(main, region) >= INSIDE:
            return main
        return max((main, *mask.other_vehicles), key=lambda box: _inside(box, region))

    def _within(self, photo: Photo, cut: _CutOut) -> _CutOut:
        """The matte with nothing beside the region that is asked for."""
        import numpy as np

        if self.options.region is None:
            return cut
        x, y, w, h = (round(value) for value in _region(self.options.region, photo))
        alpha = np.zeros_like(cut.alpha)
        part = slice(y, y + h), slice(x, x + w)
        alpha[part] = cut.alpha[part]
        if not (alpha > 0.5).any():
            raise NotCutOut(
                "roi_region_empty", "no vehicle was found in the region; give a larger one"
            )
        whole = cut.whole and bool((cut.alpha <= alpha).all())
        return _CutOut(alpha, cut.agreement, whole, cut.other_vehicle)

    def _drawn(self, photo: Photo, cut: _CutOut) -> "tuple[Drawn, Layout]":
        from okla_assets.imaging import geometry
        from okla_assets.imaging.rendition import drawing, glass
        from okla_assets.imaging.rendition.layout import box_of, joined, lay_out

        options = self.options
        seen = box_of(cut.alpha)
        if seen is None:
            raise NotCutOut("no_vehicle", "the vehicle cannot be told from what is around it")
        subject = geometry.move_box(seen, photo.scale)
        shade = self._shade(photo, cut)
        moves = options.crop or options.scale is not None or options.position is not None
        if moves and shade is not None and shade.box is not None:
            subject = joined(subject, shade.box)
        layout = lay_out(
            (photo.width, photo.height),
            subject,
            crop=options.crop,
            margin=options.crop_margin,
            scale=options.scale,
            position=options.position,
            megapixels=options.megapixels,
        )
        working = read_picture(self.store, photo.work_key)
        through = (
            glass.seen_through(working, cut.alpha, photo.width)
            if options.semitransparency
            else None
        )
        picture = self._large(photo, working, layout.scale)
        alpha = cut.alpha
        if picture.shape[:2] != alpha.shape:
            alpha = drawing.enlarged(alpha, picture.shape[1], picture.shape[0])
        drawn = drawing.draw(
            picture,
            alpha,
            layout,
            picture.shape[1] / photo.width,
            glass=through,
            shade=shade,
            background=self._background(layout),
        )
        return drawn, layout

    def _shade(self, photo: Photo, cut: _CutOut) -> "Shade | None":
        """The shadow; the studio's only of a vehicle that is whole and stands upright."""
        from okla_assets.imaging.rendition.shade import shade_of

        kind = self.options.shadow
        if kind == "none" or (kind == "car" and not cut.whole):
            return None
        return shade_of(cut.alpha, photo.width, kind, self.options.shadow_opacity, photo.focal)

    def _large(self, photo: Photo, working: Rgb, scale: float) -> Rgb:
        """The photo as large as the canvas needs it; `scale` are canvas pixels to one of the
        source."""
        if scale * photo.scale <= 1 or photo.width <= working.shape[1]:
            return working
        side = max(photo.width, photo.height)
        needed = max(1, min(side, round(side * scale)))
        return self.decoder.decode(self.store.get(photo.source_key), needed).rgb

    def _background(self, layout: "Layout") -> "Colour | Rgb | None":
        index = self.options.background_source
        if index is None and self.options.format == "jpg":
            return self.options.background_colour or WHITE
        if index is None:
            return self.options.background_colour
        key = self.job.uploads[index] if index < len(self.job.uploads) else None
        if key is None:
            raise NotCutOut("background", "the background could not be had; give another one")
        side = max(layout.width, layout.height)
        try:
            return self.decoder.decode(self.store.get(key), 2 * side).rgb
        except Refused as refused:
            detail = f"the background cannot be used: {refused.detail}"
            raise NotCutOut("background", detail) from None


def _region(region: Rectangle, photo: Photo) -> Box:
    """The region in pixels of the working copy. Raises NotCutOut."""
    across, down = (photo.width / 100, photo.height / 100) if region.unit == "%" else (1.0, 1.0)
    left, right = (value * across for value in (region.left, region.right))
    top, bottom = (value * down for value in (region.top, region.bottom))
    if min(left, top) < 0 or right > photo.width + 0.5 or bottom > photo.height + 0.5:
        raise NotCutOut(
            "roi_exceeds_bounds",
            f"the region goes beyond the photo of {photo.width} x {photo.height} pixels",
        )
    if right - left < 1 or bottom - top < 1:
        raise NotCutOut("roi_region_empty", "the region has no size; give two corners of a box")
    scale = 1 / photo.scale
    return left * scale, top * scale, (right - left) * scale, (bottom - top) * scale


def _inside(box: Box, region: Box) -> float:
    """The share of a box that lies in a region."""
    wide = min(box[0] + box[2], region[0] + region[2]) - max(box[0], region[0])
    tall = min(box[1] + box[3], region[1] + region[3]) - max(box[1], region[1])
    return max(0.0, wide) * max(0.0, tall) / max(box[2] * box[3], 1e-6)
