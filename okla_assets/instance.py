"""Dagster's home beside the media: where runs are recorded, and how to open it."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

HOME_FOLDER = ".dagster"


def dagster_home(media_folder: Path) -> Path:
    """DAGSTER_HOME if set, else `.dagster` in the media folder, with our dagster.yaml in it."""
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given)
    home = (media_folder / HOME_FOLDER).resolve()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(packaged_config(), home / "dagster.yaml")
    return home


def packaged_config() -> Path:
    """Our dagster.yaml: inside the package when installed, at the top of a checkout."""
    here = Path(__file__).parent
    installed = here / "dagster.yaml"
    return installed if installed.exists() else here.parent / "dagster.yaml"


def open_instance(media_folder: Path) -> "dg.DagsterInstance":
    """The instance that `okla up` shows for this media folder."""
    import dagster as dg

    return dg.DagsterInstance.from_config(str(dagster_home(media_folder)))
