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
    several, uno, varios = COUNTED[thing]
    en, es = (thing, uno) if number == 1 else (several, varios)
    return Text(f"{number:,} {en}", f"{number:,} {es}")


COUNTED = {
    "photo": ("photos", "foto", "fotos"),
    "frame": ("frames", "cuadro", "cuadros"),
    "hint": ("hints", "consejo", "consejos"),
    "file": ("files", "archivo", "archivos"),
    "refused": ("refused", "rechazado", "rechazados"),
    "ignored": ("ignored", "ignorado", "ignorados"),
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
    "open alone": "abrir aparte",
    "drag to look around": "arrastre para mirar alrededor",
    "Film": "Video",
    "Promo video, wide": "Video promocional, horizontal",
    "Promo video, upright": "Video promocional, vertical",
    "None was made:": "No se hizo:",
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
    "{n} more": "{n} más",
    "{names} and {n} more": "{names} y {n} más",
    "Their names and reasons are in listing.json.": "Sus nombres y motivos están en listing.json.",
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
    "Not in the studio:": "No está en el estudio:",
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
    "{what}, {percent}": "{what}, {percent}",
    # categories
    "exterior": "exterior",
    "interior": "interior",
    "misc": "detalle",
    # angles and sides
    "front": "frente",
    "front-quarter": "tres cuartos delantero",
    "side": "lado",
    "rear-quarter": "tres cuartos trasero",
    "rear": "trasera",
    "left": "izquierdo",
    "right": "derecho",
    # standard views
    "front quarter": "tres cuartos delantero",
    "side left": "lado izquierdo",
    "side right": "lado derecho",
    "rear quarter": "tres cuartos trasero",
    # why a file is refused
    "empty file": "archivo vacío",
    "file too large": "archivo muy grande",
    "not an image": "no es una imagen",
    "unsupported format": "formato no admitido",
    "corrupt": "archivo dañado",
    "truncated": "archivo incompleto",
    "too many pixels": "demasiados píxeles",
    "too small": "muy pequeña",
    "extreme aspect": "proporción extrema",
    "decode timeout": "tarda demasiado en leerse",
    "decoder crashed": "no se pudo leer",
    "not a video": "no es un video",
    "live photo": "foto en movimiento",
    "too short": "muy corto",
    "too long": "muy largo",
    "no vehicle": "sin vehículo",
    "not a turn": "no es una vuelta",
    "step failed": "falló un paso",
    "unreadable": "ilegible",
    "not a file": "no es un archivo",
    "unusable name": "nombre no utilizable",
    # why a file is ignored
    "hidden, as its name or its folder's begins with a dot": (
        "oculto: su nombre o el de su carpeta empieza con un punto"
    ),
    "put there by the operating system": "puesto ahí por el sistema operativo",
    "what cameras and desktops put beside a picture": (
        "lo que cámaras y computadoras ponen junto a una foto"
    ),
    "a transfer that has not ended": "una transferencia que no ha terminado",
    "neither a photo nor a video": "ni foto ni video",
    "in a folder that may be another car's; photos go to photos/, videos to video/": (
        "en una carpeta que puede ser de otro carro; las fotos van en photos/, los videos en video/"
    ),
    "not needed, as another video shows the turn": (
        "no hace falta, pues otro video muestra la vuelta"
    ),
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
