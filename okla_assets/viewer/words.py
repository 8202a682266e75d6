"""What the gallery says, in English and in Spanish: the page shows the language of the browser."""

from typing import NamedTuple


class Text(NamedTuple):
    """The same in both languages."""

    en: str
    es: str

    def lower(self) -> "Text":
        return Text(self.en.lower(), self.es.lower())

    def capitalize(self) -> "Text":
        return Text(self.en.capitalize(), self.es.capitalize())


def say(en: str, **names: object) -> Text:
    """A phrase of SPANISH with its `{names}` filled in, which may be texts. KeyError: unknown."""
    es = SPANISH[en]
    english = {k: v.en if isinstance(v, Text) else v for k, v in names.items()}
    spanish = {k: v.es if isinstance(v, Text) else v for k, v in names.items()}
    return Text(en.format(**english), es.format(**spanish))


def count(number: int, thing: str) -> Text:
    """How many of a thing there are, as in "1 photo" or "5 photos"."""
    one, more = COUNTED[thing]
    return Text(
        f"{number:,} {thing}" + "s" * (number != 1), f"{number:,} {(more, one)[number == 1]}"
    )


COUNTED = {
    "photo": ("foto", "fotos"),
    "frame": ("cuadro", "cuadros"),
    "hint": ("consejo", "consejos"),
    "file": ("archivo", "archivos"),
}
SPANISH = {
    # the verdict
    "Ready to publish": "Listo para publicar",
    "Needs a look": "Necesita revisión",
    "Failed": "Falló",
    "What to look at": "Qué revisar",
    "{n} in the studio": "{n} en el estudio",
    "360° of {frames}": "360° de {frames}",
    "film of {n} s": "video de {n} s",
    "{n} refused": "{n} rechazados",
    "{n} ignored": "{n} ignorados",
    "Where the exterior photos were taken from, seen from above": (
        "Desde dónde se tomaron las fotos exteriores, vista desde arriba"
    ),
    "{title}, photo {n}": "{title}, foto {n}",
    # sections
    "Exterior": "Exterior",
    "Interior": "Interior",
    "Details": "Detalles",
    "Detail": "Detalle",
    "Close-up": "Primer plano",
    "360° view": "Vista de 360°",
    "360° interior": "Interior en 360°",
    "{frames}, widest gap {gap}° · ": "{frames}, mayor salto {gap}° · ",
    "open alone": "abrir sola",
    "drag to look around": "arrastre para mirar alrededor",
    "Film": "Video",
    "Promo video, wide": "Video promocional, horizontal",
    "Promo video, upright": "Video promocional, vertical",
    "None was made: {reason}": "No se hizo: {reason}",
    "To take again or to add": "Para tomar de nuevo o agregar",
    "again": "de nuevo",
    "missing": "falta",
    "Refused": "Rechazados",
    "Ignored": "Ignorados",
    "Downloads": "Descargas",
    "Listing": "Ficha",
    "Finished photos": "Fotos terminadas",
    "Masks": "Máscaras",
    "Before": "Antes",
    # a photo
    "In the studio": "En el estudio",
    "Own background, corrected": "Fondo propio, corregida",
    "As taken": "Como se tomó",
    "{kind} {n}": "{kind} {n}",
    "{title}, {treatment}": "{title}, {treatment}",
    "Before and after, {name}": "Antes y después, {name}",
    "Quality {n}": "Calidad {n}",
    "of 100": "de 100",
    "Issues": "Problemas",
    "Not in the studio: {reason}": "No está en el estudio: {reason}",
    "Facts": "Datos",
    "Mask": "Máscara",
    "Mask of {name}": "Máscara de {name}",
    "Show masks": "Mostrar máscaras",
    "Hide masks": "Ocultar máscaras",
    "Enlarge": "Ampliar",
    "Enlarge {name}": "Ampliar {name}",
    "Enlarged photo": "Foto ampliada",
    "Previous photo": "Foto anterior",
    "Next photo": "Foto siguiente",
    "Close": "Cerrar",
    "of": "de",
    # its facts
    "Finished as": "Terminada como",
    "Treatment": "Tratamiento",
    "Category": "Categoría",
    "Angle": "Ángulo",
    "Side": "Lado",
    "Azimuth": "Azimut",
    "Upload": "Archivo original",
    "Plates masked": "Placas cubiertas",
    "the vehicle's left": "el izquierdo del vehículo",
    "the vehicle's right": "el derecho del vehículo",
    "repeats photo {n}": "repite la foto {n}",
    # angles and sides
    "front": "frente",
    "front-quarter": "tres cuartos delantero",
    "side": "lado",
    "rear-quarter": "tres cuartos trasero",
    "rear": "trasera",
    "left": "izquierdo",
    "right": "derecho",
    # issues
    "blurred": "borrosa",
    "dark": "oscura",
    "overexposed": "quemada",
    "low contrast": "poco contraste",
    "low resolution": "baja resolución",
    "too far": "muy lejos",
    "too close": "muy cerca",
    "tilted": "inclinada",
    "finger": "dedo en el lente",
    "screenshot or collage": "captura o collage",
    "exact duplicate": "repetida",
    "near duplicate": "casi repetida",
    "damaged data": "archivo dañado",
    "colour unknown": "color desconocido",
    "cropped": "cortada",
    "obstructed": "tapada",
    "part missing": "falta una parte",
    "other vehicle": "otro vehículo",
    # below
    "Made by okla-media {version}, profile {profile}.": (
        "Hecho por okla-media {version}, perfil {profile}."
    ),
    "Models": "Modelos",
}
