"""Which fonts there are for words on pictures: those that come as packages, then the system's.

`manimgx-fonts` carries Noto Sans for twenty scripts, `manimgx-fonts-cjk` (extra `cjk`) Chinese,
Japanese and Korean; both under the SIL Open Font License 1.1. What is missing there is looked up
with fontconfig.
"""

import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from resources.errors import BrokenSetup

if TYPE_CHECKING:
    from okla_assets.imaging.promo.text import Face, Fonts

MAIN = "NotoSans[wght].ttf"
LAST = ("NotoSansSymbols[wght].ttf", "NotoEmoji[wght].ttf")
CJK = "NotoSansCJK-VF.otf.ttc"
CJK_FACES = {"japanese": 0, "korean": 1, "simplified": 2}
SECONDS = 10


def fonts_for(texts: Sequence[str]) -> "Fonts":
    """The faces for these texts, the main one first.

    Raises BrokenSetup where the package of fonts is missing.
    """
    from okla_assets.imaging.promo.text import Fonts, can_shape

    packaged = _packaged(_cjk_face("".join(texts)))
    if not can_shape():  # letters of most scripts would stand there unjoined or out of order
        return Fonts(packaged[:1])
    _, missing = Fonts(packaged).split(" ".join(texts))
    extra = (face for cluster in missing if (face := _of_system(cluster)) is not None)
    return Fonts((*packaged, *dict.fromkeys(extra)))


def fingerprint(fonts: "Fonts", texts: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Name, face and size of each file that these texts are drawn with."""
    from okla_assets.imaging.promo.text import visual_runs

    used = {run.face for text in texts if text for run in visual_runs(text, fonts)}
    files = ((Path(face.path), face.index) for face in used)
    return tuple(sorted((path.name, index, path.stat().st_size) for path, index in files))


def _packaged(cjk_face: int) -> "tuple[Face, ...]":
    from okla_assets.imaging.promo.text import Face

    folder = _folder("manimgx_fonts")
    if folder is None:
        raise BrokenSetup("the package manimgx-fonts is missing: pip install manimgx-fonts")
    upright = [p for p in sorted(folder.glob("*.ttf")) if "Italic" not in p.name]
    middle = [p for p in upright if p.name != MAIN and p.name not in LAST]
    faces = [Face(str(p), 0, True) for p in (folder / MAIN, *middle)]
    cjk = _folder("manimgx_fonts_cjk")
    if cjk is not None:
        faces.append(Face(str(cjk / CJK), cjk_face, True))
    return (*faces, *(Face(str(folder / name), 0, True) for name in LAST))


def _cjk_face(text: str) -> int:
    """One code point is drawn differently in Japan, Korea and China: the other letters decide."""
    if any("\u3040" <= c <= "\u30ff" for c in text):
        return CJK_FACES["japanese"]
    if any("\uac00" <= c <= "\ud7af" for c in text):
        return CJK_FACES["korean"]
    return CJK_FACES["simplified"]


def _folder(package: str) -> Path | None:
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


@lru_cache(maxsize=256)
def _of_system(cluster: str) -> "Face | None":
    """A face of the system that has the cluster, by fontconfig; the same one on every call."""
    from okla_assets.imaging.promo.text import Face, Fonts

    command = shutil.which("fc-list")
    if command is None:
        return None
    charset = " ".join(f"{ord(c):x}" for c in cluster)
    listed = subprocess.run(
        [command, f":charset={charset}:scalable=true:color=false", "file", "index"],
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    for line in sorted(listed.stdout.splitlines()):
        path, _, rest = line.partition(": :index=")
        index = int(rest) if rest.isdigit() else 0
        if path.lower().endswith((".ttf", ".otf", ".ttc", ".otc")) and index < 2**16:
            face = Face(path.rstrip(": "), index, False)
            if Fonts((face,)).face_for(cluster) is not None:
                return face
    return None
