"""The white studio with a turning disc on its floor."""

from dataclasses import replace

from okla_assets.imaging.studio.white_studio import WHITE_STUDIO

TURNTABLE = replace(
    WHITE_STUDIO, id="turntable", name="Turntable", name_es="Plataforma giratoria", turntable=True
)
