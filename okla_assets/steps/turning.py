"""Finishing the pictures of a turn: their cameras, one canvas and one scene for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from okla_assets.imaging import geometry
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.types import Alpha, Rgb
from okla_assets.options import StudioOptions
from okla_assets.steps.batches import blame
from okla_assets.steps.corrected import corrected_copy
from okla_assets.steps.pictures import read_matte, read_picture
from okla_assets.steps.turn_leaks import FinishedFrame
from okla_assets.steps.turn_pictures import SpinPicture
from resources.ahead import mapped
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.studio.camera import View
    from okla_assets.imaging.studio.studio import Look
    from okla_assets.imaging.turn import spin


@dataclass(frozen=True)
class Turning:
    """The pictures of a turn, where each one's vehicle stands, and how they go on one canvas.

    `rows` are those of `Look`, `camera_height` that of the walk (vehicle heights).
    """

    pictures: Sequence[SpinPicture]
    stands: "Sequence[spin.Stand]"
    canvas: "spin.Steady"
    rows: tuple[float, float] | None
    camera_height: float | None

    def finished(
        self,
        position: int,
        correction: Correction | None,
        look: "Look",
        options: StudioOptions,
        store: MediaStore,
    ) -> Rgb:
        """One picture on the scene, in the light of the photos. Raises PictureFailed.

        `correction` is that of the video's frames; photos have their own.
        """
        from okla_assets.imaging.studio.camera import view_of
        from okla_assets.imaging.turn import spin

        row = self.pictures[position]
        picture, matte = pixels_of(row, store)
        with blame(row.kind, row.number):
            of_walk = row.kind == "frame"
            own = correction if of_walk else row.correction
            picture = corrected_copy(picture, own, row.plates, options, matte)
            mixed = len({picture.kind for picture in self.pictures}) > 1
            height = None if mixed and not of_walk else self.camera_height
            view = view_of(matte, row.azimuth, height)
            # One scene behind the whole turn: a wall that moved with each fit would flicker.
            look = replace(look, rows=self.rows)
            return spin.finish(picture, matte, self.canvas, position, view, look)

    def shown(self, position: int, picture: Rgb, row: SpinPicture) -> FinishedFrame:
        """What the plate search is told of one finished picture."""
        scale, dx, dy = self.canvas.moves[position]
        stand = self.stands[position]
        box = stand.left, stand.top, stand.width, stand.height
        return FinishedFrame(
            picture,
            row.azimuth,
            geometry.move_box(box, scale, dx, dy),
            [geometry.move_quad(quad, scale, dx, dy) for quad in row.plates],
        )


def pixels_of(row: SpinPicture, store: MediaStore) -> tuple[Rgb, Alpha]:
    """A picture's copy without plates, and its matte. Raises PictureFailed."""
    with blame(row.kind, row.number):
        return read_picture(store, row.picture_key), read_matte(store, row.matte_key)


def turning_of(
    pictures: Sequence[SpinPicture], max_width: int, aspect: float, store: MediaStore
) -> Turning:
    """The turn of these pictures on a canvas of at most this width, and of this width by height.

    Raises PictureFailed.
    """
    from okla_assets.imaging.studio.camera import set_height, view_of
    from okla_assets.imaging.turn import spin

    def measured(row: SpinPicture) -> "tuple[spin.Stand, View | None]":
        with blame(row.kind, row.number):
            matte = read_matte(store, row.matte_key)
            return spin.stand_of(matte), view_of(matte, row.azimuth)

    found = mapped(pictures, measured, "stand")
    stands, views = [stand for stand, _ in found], [view for _, view in found]
    walked = [row.kind == "frame" for row in pictures]
    canvas = spin.steady(
        stands, [row.azimuth for row in pictures], max_width, aspect, walked=walked
    )
    of_walk = [
        view
        for view, is_frame in zip(views, walked, strict=True)
        if view is not None and (is_frame or not any(walked))
    ]
    return Turning(
        pictures, stands, canvas, spin.rows_of(views, canvas, aspect), set_height(of_walk)
    )
