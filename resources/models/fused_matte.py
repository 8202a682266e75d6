"""The default matte: SAM 2 decides which pixels are the vehicle, U2-Net where its edge runs.

Further questions to SAM 2 bring back what sticks out, take away what belongs to other vehicles and
find what stands before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Alpha, Box, Floats, Rgb
from resources.models.base import Matte, ModelInfo, Subject
from resources.models.onnx import load_ahead
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.u2net_onnx import U2NetOnnx

if TYPE_CHECKING:
    from okla_assets.imaging.matte import prompts


METHOD = 18  # of `imaging.matte`, for the fingerprint


class FusedMatte(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Both networks on the boxed crop, fused; their agreement is the quality flag."""

    in_threads: ClassVar[bool] = True
    sam2: Sam2Onnx = Field(default_factory=Sam2Onnx)
    saliency: U2NetOnnx = Field(default_factory=U2NetOnnx)

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        return [self._segment(p, s) for p, s in zip(photos, subjects, strict=True)]

    def fingerprint(self) -> str:
        return f"fused:{METHOD}:{self.sam2.fingerprint()}:{self.saliency.fingerprint()}"

    def models(self) -> tuple[ModelInfo, ...]:
        return self.sam2.models() + self.saliency.models()

    def load_ahead(self) -> None:
        """Begins to load the two large networks, before the first photo is there."""
        edge = self.saliency
        load_ahead(
            [
                (self.sam2.encoder, self.sam2.threads, "cpu"),
                (edge.weights, edge.threads, edge.runs_on),
            ]
        )

    def _segment(self, photo: Rgb, subject: Subject) -> Matte:
        crop = crop_of(photo, subject.box)
        embedded = self.sam2.embedded(crop.pixels)
        logits = embedded.vehicle(crop.box)
        return fused(crop, logits, self.saliency.saliency(crop.pixels), subject, embedded.ask)


@dataclass(frozen=True)
class Crop:
    """The boxed vehicle with some of its surroundings, cut out of its photo.

    `box` is the vehicle's, in pixels of the crop; `left` and `top` are its corner on the
    photo of `height` x `width`.
    """

    pixels: Rgb
    box: Box
    left: int
    top: int
    height: int
    width: int

    def on_photo(self, alpha: Alpha) -> Alpha:
        """An alpha of the crop, at the photo's size: 0 all around it."""
        whole = np.zeros((self.height, self.width), np.float32)
        rows, columns = alpha.shape
        whole[self.top : self.top + rows, self.left : self.left + columns] = alpha
        return whole

    def of_box(self, box: Box) -> Box:
        """A box of the photo, in pixels of the crop; it may reach out of it."""
        x, y, w, h = box
        return x - self.left, y - self.top, w, h

    def of_photo(self, alpha: Alpha) -> Alpha:
        """The crop's part of an alpha of the photo."""
        rows, columns = self.pixels.shape[:2]
        return alpha[self.top : self.top + rows, self.left : self.left + columns]


def crop_of(photo: Rgb, box: Box) -> Crop:
    """Cuts the crop out. Raises ValueError where the box lies outside the photo."""
    from okla_assets.imaging.matte import cutout

    height, width = photo.shape[:2]
    x0, y0, x1, y1 = cutout.crop_box(box, width, height)
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"the box {box} lies outside the photo of {width}x{height} pixels")
    x, y, w, h = box
    pixels = np.ascontiguousarray(photo[y0:y1, x0:x1])
    return Crop(pixels, (x - x0, y - y0, w, h), x0, y0, height, width)


def fused(
    crop: Crop, logits: Floats, saliency: Alpha, subject: Subject, ask: prompts.Ask | None
) -> Matte:
    """The matte of a photo from both networks' answers (H, W) on its crop.

    `ask` puts further questions to SAM 2 about the same crop; None where its package takes none.
    """
    from okla_assets.imaging.matte import cutout, obstruction, parts, rim, twins, wheels

    alpha, agreement = cutout.fuse(logits, saliency, crop.box)
    if agreement < cutout.TRUSTED_AGREEMENT:
        return Matte(cutout.smooth_edge(crop.on_photo(alpha), crop.width), agreement)
    looked, surely = parts.Looked(crop.pixels, crop.box, logits, saliency), logits > 0
    objects = [(name, crop.of_box(box)) for name, box in subject.objects]
    if ask is not None:
        others = [crop.of_box(box) for box in subject.others]
        alpha, theirs = parts.others_removed(alpha, looked, others, ask)
        claimed = theirs | parts.inside(alpha.shape, [box for _, box in objects])
        found = parts.parts_found(alpha, looked, claimed, ask)
        straight = twins.facing(alpha > 0.5)
        if straight is not None:
            found = twins.without_strays(found, straight)
            below = parts.underside(alpha, looked, ask)
            found |= below
            # Asked for it, SAM 2 takes it: it is no hole that something stands in, nor a second
            # half, and so the seam between it and the rest is none.
            taken = cutout.dilated(below, parts.NEAR * crop.box[2])
            looked = replace(looked, logits=np.where(taken, np.abs(logits), logits))
        alpha = np.where(found, np.float32(1), alpha)
        surely = found | surely & ~theirs
        alpha = cutout.without_rags(alpha, surely)
    obstructed = obstruction.before(alpha, looked, objects, ask)
    smooth = cutout.smooth_edge(crop.on_photo(alpha), crop.width)
    smooth = cutout.without_rags(smooth, crop.on_photo(alpha * surely) > 0)
    # Last of all: what hangs by a thread is lost where edges are smoothed.
    alpha = rim.settled(crop.pixels, crop.of_photo(smooth))
    view = twins.facing(alpha > 0.5)
    if view is not None and ask is not None:
        alpha, view = twins.completed(alpha, view, ask)
    missing = wheels.missing(alpha > 0.5) if view is None else twins.missing(view)
    lines = parts.antennas(alpha, looked)
    alpha = np.maximum(alpha, cutout.thin_edge(lines))
    mirrors = None if view is None else view.mirrors
    return Matte(crop.on_photo(alpha), agreement, obstructed, missing, mirrors)
