"""The studio scenes there are. A new one: its file beside `white_studio`, and two lines here.

The contract imports this, and with it the code server: a scene that draws with cv2 imports it
inside its paint function.
"""

from typing import Literal

from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO

SceneId = Literal["white_studio"]
"""Values of the option `background_id`."""

SCENES: dict[SceneId, Scene] = {
    "white_studio": WHITE_STUDIO,
}
