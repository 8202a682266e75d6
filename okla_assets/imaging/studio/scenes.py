"""The studio scenes there are. A new one: its file beside `white_studio`, and two lines here.

The contract imports this, and with it the code server.
"""

from typing import Literal

from okla_assets.imaging.studio.dark_studio import DARK_STUDIO
from okla_assets.imaging.studio.gray_showroom import GRAY_SHOWROOM
from okla_assets.imaging.studio.outdoor_day import OUTDOOR_DAY
from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.studio.turntable import TURNTABLE
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO

SceneId = Literal["white_studio", "gray_showroom", "dark_studio", "outdoor_day", "turntable"]
"""Values of the option `background_id`."""

SCENES: dict[SceneId, Scene] = {
    "white_studio": WHITE_STUDIO,
    "gray_showroom": GRAY_SHOWROOM,
    "dark_studio": DARK_STUDIO,
    "outdoor_day": OUTDOOR_DAY,
    "turntable": TURNTABLE,
}
