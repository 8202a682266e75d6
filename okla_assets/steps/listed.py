"""One photo as the listing tells it, joined from what the steps found out."""

from okla_assets.contract import ListingPhoto, Plate
from okla_assets.imaging import geometry
from okla_assets.options import StudioOptions
from okla_assets.steps.provenance import provenance_of
from okla_assets.tables import Classification, Composite, Mask, Photo, PhotoPlates


def listed(
    photo: Photo,
    mask: Mask,
    view: Classification,
    plates: PhotoPlates,
    finished: Composite,
    options: StudioOptions,
) -> ListingPhoto:
    """One photo of the listing; boxes and quads turn to pixels of the upright source here."""
    shown = ListingPhoto(
        number=photo.number,
        source_key=photo.source_key,
        source_sha256=photo.source_sha256,
        width=photo.width,
        height=photo.height,
        turned=mask.turned,
        category=view.category,
        category_confidence=view.category_confidence,
        angle=view.angle,
        angle_confidence=view.angle_confidence,
        side=view.side,
        azimuth_deg=view.azimuth_deg,
        vehicle_box=geometry.round_box(geometry.move_box(mask.vehicle_box, photo.scale))
        if mask.vehicle_box is not None and view.category == "exterior"
        else None,
        mask_key=finished.mask_key,
        plates=tuple(
            Plate(
                quad=geometry.round_quad(geometry.move_quad(plate.quad, photo.scale)),
                confidence=plate.confidence,
            )
            for plate in plates.plates
        ),
        faces_blurred=len(plates.faces),
        covered_late=finished.covered_late,
        projection=view.projection,
        quality=view.quality,
        duplicate_of=photo.duplicate_of,
        treatment=finished.treatment,
        treatment_reason=finished.reason,
        processed_key=finished.processed_key,
        thumbnail_key=finished.thumbnail_key,
        withheld=finished.withheld,
        before_key=finished.before_key,
        source_box=finished.source_box,
        sizes=finished.sizes,
        correction=finished.correction,
        levelled=finished.levelled,
        truth=finished.truth,
        own_shadow=finished.own_shadow,
        no_own_shadow=finished.no_own_shadow,
        processed_size=finished.processed_size if finished.processed_key else None,
        photographed=finished.photographed if finished.processed_key else None,
    )
    return shown.model_copy(update={"provenance": provenance_of(shown, options)})
