"""A vehicle of our own: a car modelled and rendered by this project, with its exact truth.

`media/` is what a seller would upload; `truth.json` and `mattes/` are what the scene knows of it.
`render` makes them all; it and the modules it uses need Blender and are not imported at run time.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
MEDIA = FOLDER / "media"
