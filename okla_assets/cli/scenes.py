"""`okla scenes`: the scenes there are, and a sheet that shows them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from okla_assets import keys
from okla_assets.cli.terminal import Out, out_console, say
from resources.storage.stores import store_for


def scenes(
    out: Out = "okla-media",
    sheet: Annotated[
        Path | None, typer.Option(help="Write a JPEG with the sample car on each of them.")
    ] = None,
) -> None:
    """Show the scenes there are: ours, and the owner's own in brand/scenes/."""
    from okla_assets.imaging.studio.scene import Scene
    from okla_assets.imaging.studio.scenes import SCENES
    from okla_assets.owner_scenes import own_scenes, scene_of
    from resources.errors import BadInput

    store = store_for(out)
    found: list[Scene] = list(SCENES.values())
    table = Table("background_id", "name", "nombre", "kind", "floor", "shadow", "gloss")
    for name in own_scenes(store):
        try:
            found.append(scene_of(name, store))
        except BadInput as error:
            say(str(error))
    for scene in found:
        floor = "#{:02X}{:02X}{:02X}".format(*scene.floor)
        names = scene.id, scene.name, scene.name_es, scene.kind
        table.add_row(*names, floor, str(scene.shadow), str(scene.gloss))
    out_console.print(table)
    say(f"one of your own: a picture and a scene.toml in {keys.OWN_SCENES}NAME/")
    if sheet is not None:
        from okla_assets.sample.preview import preview_sheet

        sheet.write_bytes(preview_sheet(found))
        say(str(sheet))
