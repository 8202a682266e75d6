"""Names that folders of pictures have everywhere, and that therefore name no car.

Cameras, phones, chat programs and people give them; two cars' folders often share one.
"""

import re
import unicodedata


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLACES = _words("""
photo photos photograph photographs photography pic pics picture pictures image images img imgs
imagefolder dcim camera cameraroll camerauploads cameraimages gallery album albums snapshot
snapshots screenshot screenshots savedpictures icloudphotos googlephotos shot shots frame frames
media video videos movie movies film films clip clips footage recording recordings
whatsapp whatsappimages whatsappimage whatsappbilder whatsappvideo whatsappvideos telegram
telegramimages telegramdesktop viber signal airdrop
download downloads drivedownload desktop document documents upload uploads file files folder
newfolder untitled untitledfolder unnamed inbox temp tmp input inputs output outputs
raw original originals edited edit edits final finals select selects selection export exports
jpg jpeg jpegs jpgs heic heif png dng tiff webp mp4 mov backup backups share shared card sdcard
foto fotos fotografia fotografias bild bilder aufnahmen ordner neuerordner imagen imagenes
nuevacarpeta carpeta camara kamera immagine immagini nuovacartella obrazy zdjecia zdjecie galeria
galerie appareilphoto nouveaudossier imagem imagens novapasta foton afbeelding afbeeldingen
afbeeldinger billeder bilde kuva kuvat valokuvat resimler fotograflar kepek slike slika
snimki obrazky фото фотографии фотографія снимки изображения картинки камера видео 照片 图片 相册
相机 视频 写真 画像 사진
""")

_PARTS = _words("""
exterior exteriors exteriorphotos outside interior interiors inside cabin dashboard engine
enginebay trunk wheel wheels rims tyres tires detail details closeup closeups damage
damages underbody seats walkaround
aussen innen innenraum schaden
schaeden rader raeder exterieur interieur dettagli interni esterni detalles dano danos
""")


def _plain(name: str) -> str:
    """Small letters and digits without accents, in NFC where a script has no such letters."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(c for c in letters if not unicodedata.combining(c) and c.isalnum())
    return unicodedata.normalize("NFC", kept)


_BELOW = _words("""
boot motor front rear back side sides left right misc other others spin day set part batch session
""")

_KNOWN = frozenset(map(_plain, _PLACES | _PARTS))
_KNOWN_BELOW = _KNOWN | _BELOW
_BESIDE = _words(
    "a all android car cars copy iphone kopie mein meine mes mis my new of old phone the"
)
_MOMENT = re.compile(r"\d{8}t\d{6}z?", re.IGNORECASE)

_CARD_FOLDER = re.compile(
    # 100APPLE, 101CANON, 100_PANA, 102ND750, 101_0815 (the DCF standard), 202411__ (of iOS)
    r"[1-9]\d\d([A-Z_]{5}|_\d{4}|\d{4}_|D\d{4}|ND\w{3}|NZ[A-Z_0-9]{3}|NCD\d\d|EOS\w\w)|20\d{4}__",
    re.ASCII | re.IGNORECASE,
)


def names_no_car(name: str) -> bool:
    """Whether a folder's name is one of those: `Photos (2)`, `DCIM`, `100APPLE`, `Bilder`."""
    return _is_known(name, _KNOWN)


def is_of_the_same_car(name: str) -> bool:
    """Whether a folder in a car's folder is of that car, as its name tells: `DCIM`, `rear`."""
    return _is_known(name, _KNOWN_BELOW)


def _is_known(name: str, known: frozenset[str]) -> bool:
    name = unicodedata.normalize("NFC", name)
    if _CARD_FOLDER.fullmatch(name) or _plain(name) in known:
        return True
    words = [_plain(w).rstrip("0123456789") for w in re.split(r"[\W_]+", _MOMENT.sub(" ", name))]
    said = [w for w in words if w and w not in _BESIDE]
    return bool(said) and (all(w in known for w in said) or "".join(said) in known)
