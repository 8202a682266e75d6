"""The set as a listing sells it: which photo comes first, which views are missing, what to retake.

The words are the seller's, in Spanish and English, and stand here once.
"""

from collections.abc import Iterator, Sequence

from okla_assets.contract import Listing, ListingPhoto, Retake

RETAKE: dict[str, tuple[str, str]] = {
    "blurred": (
        "La foto está borrosa. Limpie el lente, toque la pantalla sobre el carro para enfocar y "
        "sostenga el teléfono con las dos manos.",
        "The photo is blurred. Clean the lens, tap on the car to focus and hold the phone with "
        "both hands.",
    ),
    "dark": (
        "La foto está muy oscura. Tómela de día, con el sol a su espalda, o acerque una luz.",
        "The photo is too dark. Take it by day with the sun behind you, or bring a light.",
    ),
    "overexposed": (
        "Hay zonas quemadas en blanco. Toque la pantalla sobre el carro y baje el brillo, o busque "
        "la sombra.",
        "Parts are burnt out to white. Tap on the car and lower the exposure, or move into shade.",
    ),
    "low_contrast": (
        "Casi no se distingue nada. Quite la neblina o la suciedad del lente y tome la foto de "
        "nuevo con más luz.",
        "Hardly anything can be told apart. Wipe the lens and take the photo with more light.",
    ),
    "low_resolution": (
        "La foto tiene muy pocos píxeles. Envíe el archivo original de la cámara, no una copia de "
        "WhatsApp, y no use el zoom.",
        "The photo has too few pixels. Send the camera's original file, not a copy from a chat, "
        "and do not zoom.",
    ),
    "tilted": (
        "La foto está inclinada. Sostenga el teléfono derecho: las ruedas deben quedar a nivel.",
        "The photo is tilted. Hold the phone straight: the wheels should stand level.",
    ),
    "cropped": (
        "El carro no sale completo. Dé unos pasos atrás hasta que quepa entero, con espacio "
        "alrededor.",
        "The car is cut off. Step back until all of it fits, with room around it.",
    ),
    "too_far": (
        "El carro sale muy pequeño. Acérquese hasta que ocupe dos tercios del ancho de la foto.",
        "The car is too small. Go closer until it fills two thirds of the photo's width.",
    ),
    "too_close": (
        "El carro llena la foto de borde a borde. Dé un paso atrás y deje espacio a los lados.",
        "The car fills the photo from edge to edge. Step back and leave room at both sides.",
    ),
    "obstructed": (
        "Hay algo delante del carro. Quítelo o cambie de lugar, y tome la foto de nuevo.",
        "Something stands before the car. Move it or move yourself, and take the photo again.",
    ),
    "finger": (
        "Se ve un dedo sobre el lente. Aparte los dedos y tome la foto de nuevo.",
        "A finger lies over the lens. Keep your fingers clear and take the photo again.",
    ),
    "screenshot_or_collage": (
        "Parece una captura de pantalla o un collage. Envíe cada foto original por separado.",
        "This looks like a screenshot or a collage. Send each original photo by itself.",
    ),
    "other_vehicle": (
        "La foto parece mostrar otro vehículo. Revise que sea el que vende.",
        "The photo seems to show another vehicle. Check that it is the one you sell.",
    ),
    "exact_duplicate": (
        "Esta foto está repetida. Envíe en su lugar una vista que falte.",
        "This photo is there twice. Send a view that is missing instead.",
    ),
    "near_duplicate": (
        "Esta foto es casi igual a otra. Envíe en su lugar una vista que falte.",
        "This photo is nearly the same as another. Send a view that is missing instead.",
    ),
    "damaged_data": (
        "El archivo llegó dañado. Envíelo de nuevo.",
        "The file arrived damaged. Send it again.",
    ),
    "colour_unknown": (
        "No se pueden leer los colores de este archivo. Envíelo como JPEG.",
        "The colours of this file cannot be read. Send it as JPEG.",
    ),
}
"""What to do about each issue, in Spanish and in English."""

VIEWS: dict[str, tuple[str, str]] = {
    "front-quarter": (
        "Falta la vista de tres cuartos delantera: párese frente a una esquina delantera, a unos "
        "cinco pasos, y tome el carro completo.",
        "The front quarter view is missing: stand at a front corner, some five steps away, and "
        "take the whole car.",
    ),
    "front": (
        "Falta la vista de frente: párese centrado delante del carro.",
        "The front view is missing: stand centred before the car.",
    ),
    "side-left": (
        "Falta el costado izquierdo: tome el carro completo desde el lado del conductor.",
        "The left side is missing: take the whole car from its left.",
    ),
    "side-right": (
        "Falta el costado derecho: tome el carro completo desde el lado del pasajero.",
        "The right side is missing: take the whole car from its right.",
    ),
    "rear-quarter": (
        "Falta la vista de tres cuartos trasera: párese frente a una esquina trasera, a unos cinco "
        "pasos, y tome el carro completo.",
        "The rear quarter view is missing: stand at a rear corner, some five steps away, and take "
        "the whole car.",
    ),
    "rear": (
        "Falta la vista trasera: párese centrado detrás del carro.",
        "The rear view is missing: stand centred behind the car.",
    ),
    "interior": (
        "Falta el interior: tome el tablero y los asientos con las puertas abiertas.",
        "The interior is missing: take the dashboard and the seats with the doors open.",
    ),
}
"""The standard views in the order of a listing, and what to do where one is missing."""

IMPLIED = {"cropped": {"too_close"}, "exact_duplicate": {"near_duplicate"}}
"""Issues that an other one says already."""


def ordered(listing: Listing) -> Listing:
    """The listing with its order, its missing views and its retakes."""
    missing = tuple(missing_views(listing.photos))
    return listing.model_copy(
        update={
            "order": tuple(order_of(listing.photos)),
            "missing_views": missing,
            "retakes": (*_of_photos(listing.photos), *_of_views(missing)),
        }
    )


def standard_view(photo: ListingPhoto) -> str | None:
    """Which of `VIEWS` a photo shows."""
    if photo.category == "interior":
        return "interior"
    if photo.category != "exterior" or photo.angle is None:
        return None
    if photo.angle != "side":
        return photo.angle
    return f"side-{photo.side}" if photo.side else None


def missing_views(photos: Sequence[ListingPhoto]) -> Iterator[str]:
    """Those of `VIEWS` that no published photo shows."""
    shown = {standard_view(photo) for photo in photos if photo.processed_key}
    yield from (view for view in VIEWS if view not in shown)


def order_of(photos: Sequence[ListingPhoto]) -> list[int]:
    """Numbers of the published photos as a listing wants them, without panoramas.

    The best of each standard view, the front quarter as the hero; then the other exteriors,
    interiors and details; repeats last.
    """
    shown = [photo for photo in photos if photo.processed_key and photo.projection is None]
    best: list[ListingPhoto] = []
    for view in VIEWS:
        of_view = [p for p in shown if standard_view(p) == view and p.duplicate_of is None]
        if of_view:
            best.append(min(of_view, key=_rank))
    leading = [photo.number for photo in best]
    rest = sorted((photo for photo in shown if photo.number not in leading), key=_place)
    return leading + [photo.number for photo in rest]


def _place(photo: ListingPhoto) -> tuple[bool, int, int]:
    """Where a photo comes that no standard view leads with."""
    kinds = ("exterior", "interior", "misc")
    return photo.duplicate_of is not None, kinds.index(photo.category), photo.number


def _rank(photo: ListingPhoto) -> tuple[bool, int, int]:
    """The best first: in the studio, of the highest quality, the earliest."""
    return photo.treatment != "studio", -photo.quality.score, photo.number


def _of_photos(photos: Sequence[ListingPhoto]) -> Iterator[Retake]:
    for photo in photos:
        implied = {i for issue in photo.quality.issues for i in IMPLIED.get(issue, ())}
        for issue in photo.quality.issues:
            if issue in RETAKE and issue not in implied:
                es, en = RETAKE[issue]
                yield Retake(photo=photo.number, view=None, issue=issue, es=es, en=en)


def _of_views(missing: Sequence[str]) -> Iterator[Retake]:
    for view in missing:
        es, en = VIEWS[view]
        yield Retake(photo=None, view=view, issue="missing_view", es=es, en=en)
