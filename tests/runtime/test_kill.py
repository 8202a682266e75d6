"""A run may be killed at any moment: nothing half is visible, and the next run makes it whole."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from okla_assets import keys
from okla_assets.contract import Listing
from resources.storage.media_store import LocalMediaStore
from resources.storage.whole_files import TEMP_FOLDER
from tests import pictures
from tests.conftest import REPOSITORY
from tests.fakes import VEHICLE, Pipeline, contents
from tests.instances import forgetful_instance

pytestmark = pytest.mark.slow

# Of about 200 moments. A write has three and a removal two: a multiple would miss some of them.
EVERY = 13


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vehicle published, changed in every way, and run again; see `killed_runs`."""
    before = tmp_path_factory.mktemp("before")
    out = tmp_path_factory.mktemp("runs")
    with forgetful_instance() as instance:
        pipeline = Pipeline(LocalMediaStore(root=str(before)), instance)
        pipeline.upload(
            {
                "1.jpg": pictures.jpeg(pictures.car()),
                "2.jpg": pictures.jpeg(pictures.cabin(2)),
                "3.jpg": pictures.jpeg(pictures.car(3, pictures.DOUBTFUL)),
            }
        )
        pipeline.run()
        pipeline.store.delete(keys.raw_photos(VEHICLE) + "2.jpg")
        pipeline.upload({"0.jpg": pictures.jpeg(pictures.car(5)), "4.jpg": b"no picture"})
        pipeline.store.put(keys.options(VEHICLE), b'{"output_format": "webp", "max_width": 640}')
    command = [sys.executable, "-m", "tests.killed_runs", str(before), str(out), str(EVERY)]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    return out


def folders(runs: Path, suffix: str) -> list[Path]:
    found = [p for p in runs.iterdir() if p.suffix == suffix and p.name != "calm"]
    assert len(found) > 10
    return sorted(found, key=lambda path: int(path.stem))


def published(folder: Path) -> dict[str, Any]:
    """All finished files; of the listing what does not depend on the clock."""
    files: dict[str, Any] = {
        key: data for key, (data, _) in contents(store_of(folder), "processed/").items()
    }
    listing = json.loads(files[keys.listing(VEHICLE)])
    del listing["generated_at"], listing["cost"]
    return files | {keys.listing(VEHICLE): listing}


def store_of(folder: Path) -> LocalMediaStore:
    return LocalMediaStore(root=str(folder))


def test_the_next_run_makes_it_as_if_nothing_had_happened(runs: Path) -> None:
    calm = published(runs / "calm")
    assert len(calm[keys.listing(VEHICLE)]["photos"]) == 3
    every_key = [i.key for i in store_of(runs / "calm").list("")]
    for folder in folders(runs, ""):
        assert published(folder) == calm, folder.name
        # Nothing is left over in work/ either.
        assert [i.key for i in store_of(folder).list("")] == every_key, folder.name
        assert list((folder / TEMP_FOLDER).iterdir()) == [], folder.name


def test_what_a_killed_run_leaves_is_whole(runs: Path) -> None:
    formats = set()
    for folder in folders(runs, ".killed"):
        store = store_of(folder)
        files = contents(store, "")
        for key, (data, _) in files.items():
            if key.endswith(".json"):
                json.loads(data)
            elif key.endswith(".html"):
                assert data.endswith(b"</html>\n")
            elif key.endswith(".mp4"):
                with av.open(BytesIO(data), mode="r") as clip:
                    frames = len(list(clip.decode(video=0)))
                    assert frames == clip.streams.video[0].frames > 0
            elif not key.startswith("raw/"):
                with Image.open(BytesIO(data)) as image:
                    image.load()
        # What the marketplace reads names only what is there.
        listing = Listing.model_validate_json(store.get(keys.listing(VEHICLE)))
        for photo in listing.photos:
            for named in photo.files:
                assert named in files, (folder.name, named)
        formats.add(listing.options.output_format)
    assert formats == {"jpg", "webp"}  # killed before and after the listing was replaced


def test_some_runs_were_killed_while_they_wrote(runs: Path) -> None:
    half_written = [
        folder for folder in folders(runs, ".killed") if any((folder / TEMP_FOLDER).iterdir())
    ]
    assert len(half_written) >= 3
