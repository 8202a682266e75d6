"""`okla scenes`: the scenes there are, and a sheet that shows them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from okla_assets import keys
from okla_assets.cli.terminal import Json, Out, cell, print_json, print_table, say, warn
from resources.errors import BadInput
from resources.storage.stores import store_for


def scenes(
    out: Out = "okla-media",
    sheet: Annotated[
        Path | None, typer.Option(help="Write a JPEG with the sample car on each of them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the scenes there are: ours, and the owner's own in brand/scenes/."""
    from okla_assets.imaging.studio.scene import Scene
    from okla_assets.imaging.studio.scenes import SCENES
    from okla_assets.owner_scenes import own_scenes, scene_of

    store = store_for(out)
    found: list[Scene] = list(SCENES.values())
    table = Table("background_id", "name", "nombre", "kind", "floor", "shadow", "gloss")
    for name in own_scenes(store):
        try:
            found.append(scene_of(name, store))
        except BadInput as error:
            warn(error)
    facts = []
    for scene in found:
        floor = "#{:02X}{:02X}{:02X}".format(*scene.floor)
        names = scene.id, scene.name, scene.name_es, scene.kind
        row = (*names, floor, str(scene.shadow), str(scene.gloss))
        table.add_row(*map(cell, row))
        headers = [str(column.header) for column in table.columns]
        facts.append(dict(zip(headers, row, strict=True)))
    if as_json:
        print_json(facts)
    else:
        print_table(table)
        say(f"one of your own: a picture and a scene.toml in {keys.OWN_SCENES}NAME/")
    if sheet is not None:
        from okla_assets.sample.preview import preview_sheet

        sheet.write_bytes(preview_sheet(found))
        warn(sheet)
