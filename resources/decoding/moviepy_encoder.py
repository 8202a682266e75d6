"""MoviePy as the engine of the promo: our frames and music as its clips, written by its own writer,
and an owner's own composition of them."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.decoding.promo_encoder import COLOURS, PEAK, X264, Music, PromoEncoder
from resources.errors import BadInput, BrokenSetup

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

INSTALL = "pip install 'okla-media[moviepy]'"


class MoviePyEncoder(PromoEncoder):
    """The same H.264 as `PromoEncoder`, written by MoviePy (2.x).

    `composition` is the path of a Python file with a function `compose(clip)`: it is given our clip
    with its music, a `moviepy.VideoClip`, and returns the one that becomes the promo, of the same
    size and length. It may ask for our frames in their order only. The file is run as it is: name
    only one that you trust.
    """

    composition: str = ""

    def fingerprint(self) -> str:
        own = f"moviepy {_version()} {super().fingerprint()}"
        if not self.composition:
            return own
        return f"{own} {hashlib.sha256(self._source().read_bytes()).hexdigest()}"

    def encode(
        self,
        frames: Iterator[npt.NDArray[np.uint8]],
        count: int,
        size: tuple[int, int],
        path: Path,
        music: Music | None = None,
    ) -> None:
        mp = _moviepy()
        seconds = count / self.fps
        clip = mp.VideoClip(_in_order(frames, self.fps), duration=seconds).with_fps(self.fps)
        if music is not None:
            clip = clip.with_audio(_sound(mp, music, seconds))
        if self.composition:
            clip = self._composed(clip)
        try:
            clip.write_videofile(
                str(path),
                fps=self.fps,
                codec="libx264",
                preset=self.preset,
                threads=self.threads,
                audio_codec="aac",
                audio_fps=48000,
                audio_bitrate="160k",
                temp_audiofile_path=str(path.parent),
                ffmpeg_params=self._ffmpeg_params(),
                logger=None,
            )
        except OSError as error:
            raise BrokenSetup(f"MoviePy could not write the promo video: {error}") from error

    def _ffmpeg_params(self) -> list[str]:
        """What MoviePy leaves to ffmpeg: BT.709 in video range, and no trace of time or machine."""
        # Chroma on the left of its luma, where `to_rgb` took it from: else colours shift.
        planes = "scale=out_color_matrix=bt709:out_range=tv:out_h_chr_pos=0:flags=accurate_rnd"
        planes += ",format=yuv420p"
        exact = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
        return [
            *("-vf", planes, "-crf", str(self.crf), "-profile:v", "high", *COLOURS),
            *("-g", str(2 * self.fps), "-x264-params", X264, *exact),
            *("-movflags", "+faststart", "-f", "mp4"),
        ]

    def _source(self) -> Path:
        path = Path(self.composition).expanduser()
        if not path.is_file():
            raise BadInput(f"composition: {path}: there is no such file")
        return path

    def _composed(self, clip: Any) -> Any:
        """What the owner's file makes of the clip. Raises `BadInput` where that cannot be used."""
        path = self._source()
        spec = importlib.util.spec_from_file_location("okla_composition", path)
        if spec is None or spec.loader is None:
            raise BadInput(f"composition: {path}: is no Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not callable(getattr(module, "compose", None)):
            raise BadInput(f"composition: {path}: has no function compose(clip)")
        made = module.compose(clip)
        if not isinstance(made, _moviepy().VideoClip):
            raise BadInput(f"composition: {path}: compose returned {made!r}, no VideoClip")
        if tuple(made.size) != tuple(clip.size):
            raise BadInput(
                f"composition: {path}: makes {made.size} of a clip of {clip.size} pixels"
            )
        if made.duration is None or abs(made.duration - clip.duration) > 0.5 / self.fps:
            raise BadInput(
                f"composition: {path}: makes {made.duration} s of a clip of {clip.duration} s"
            )
        return made


def _moviepy() -> Any:
    try:
        import moviepy
    except ModuleNotFoundError as error:
        raise BrokenSetup(f"moviepy is not installed; this engine needs it: {INSTALL}") from error
    return moviepy


def _version() -> str:
    try:
        return version("moviepy")
    except PackageNotFoundError as error:
        raise BrokenSetup(f"moviepy is not installed; this engine needs it: {INSTALL}") from error


def _in_order(
    frames: Iterator[npt.NDArray[np.uint8]], fps: int
) -> Callable[[float], npt.NDArray[np.uint8]]:
    """A function of time for MoviePy; it holds one frame, for a clip does not fit into memory."""
    from okla_assets.imaging.promo.yuv import to_rgb

    at, shown = -1, None

    def frame(seconds: float) -> npt.NDArray[np.uint8]:
        nonlocal at, shown
        wanted = round(seconds * fps)
        if wanted < at:
            raise BadInput(
                f"composition: asks for frame {wanted} after frame {at}; it can have them in order "
                "only, so neither reverse nor loop the clip"
            )
        while at < wanted:
            planes = next(frames, None)
            if planes is None:
                break  # a composition may ask for the moment at the very end
            at += 1
            if at == wanted:
                shown = to_rgb(planes)
        assert shown is not None
        return shown

    return frame


def _sound(mp: Any, music: Music, seconds: float) -> Any:
    """The music at its loudness, or as near to it as its loudest sample allows."""
    import numpy as np
    from moviepy.audio.AudioClip import AudioArrayClip

    peak = max(float(np.abs(music.samples).max()), 1e-9)
    factor = min(10 ** (music.gain_db / 20), PEAK / peak)
    sound = AudioArrayClip(music.samples, fps=48000)
    return sound.with_duration(seconds).with_effects([mp.afx.MultiplyVolume(factor)])
