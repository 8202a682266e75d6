"""From every kind of finished file back to its uploads, models, options and run."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.operations.trace import Trace, trace
from okla_assets.vehicle_runs import run_tags
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore
from tests import clips, pictures
from tests.fakes import VEHICLE, Pipeline
from tests.instances import forgetful_instance

pytestmark = pytest.mark.slow

WALK = f"{keys.raw_videos(VEHICLE)}walk.mp4"
FRONT, CABIN = f"{keys.raw_photos(VEHICLE)}1 front.jpg", f"{keys.raw_photos(VEHICLE)}2 cabin.jpg"


@dataclass
class Made:
    pipeline: Pipeline
    listing: Listing
    first: str
    last: str

    def trace(self, place: str) -> Trace:
        return trace(place, self.pipeline.store, self.pipeline.instance)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A vehicle with a video and a promo, run twice."""
    folder = tmp_path_factory.mktemp("lineage")
    with forgetful_instance() as instance:
        pipeline = Pipeline(LocalMediaStore(root=str(folder / "media")), instance)
        pipeline.models["views"] = clips.TurningViews()
        pipeline.upload(
            {
                "1 front.jpg": pictures.jpeg(clips.turning_car(45).repeat(4, 0).repeat(4, 1)),
                "2 cabin.jpg": pictures.jpeg(pictures.cabin(2)),
                "3 torn.jpg": b"no picture",
            }
        )
        walk = clips.turn(folder / "walk.mp4", range(0, 400, 10))
        pipeline.store.put(WALK, walk.read_bytes())
        pipeline.store.put(keys.options(VEHICLE), b'{"spin_frames": 12, "max_width": 1000}')
        listing = pipeline.run(tags=run_tags("upload")).listing
        (first,) = instance.get_runs(limit=1)
        pipeline.run(tags=run_tags("backfill"))
        (last,) = instance.get_runs(limit=1)
        yield Made(pipeline, listing, first.run_id, last.run_id)


def sources(found: Trace) -> list[str]:
    return [source.key for source in found.sources]


def test_each_file_of_a_photo_leads_to_its_upload(made: Made) -> None:
    photo = made.listing.photos[0]
    assert photo.mask_key
    assert photo.before_key
    assert len(photo.files) > 4
    assert photo.sizes
    for key in photo.files:
        found = made.trace(key)
        (source,) = found.sources
        assert source.key == FRONT
        data = made.pipeline.store.get(FRONT)
        assert source.sha256 == hashlib.sha256(data).hexdigest()
        info = made.pipeline.store.stat(FRONT)
        assert info is not None
        assert (source.etag, source.now) == (info.etag, "unchanged")
        assert "exterior_001" in found.what
        assert found.made is not None
        assert found.made.asset == "composites"


def test_it_names_run_code_weights_and_options(made: Made) -> None:
    found = made.trace(made.listing.photos[0].files[0])
    # The second run found everything right and wrote nothing.
    assert found.made is not None
    assert found.confirmed is not None
    assert (found.made.run_id, found.made.source) == (made.first, "upload")
    assert (found.confirmed.run_id, found.confirmed.source) == (made.last, "backfill")
    assert found.made.data_version == found.confirmed.data_version
    assert found.steps.keys() >= {"raw_photos", "masks", "composites", "listing"}
    assert all(found.steps.values())
    assert found.pipeline == made.listing.pipeline
    assert found.pipeline.code
    assert ("views", "1" * 64) in [(m.role, m.sha256) for m in found.pipeline.models]
    assert found.options.max_width == 1000


def test_a_frame_of_the_spin_leads_to_the_video(made: Made) -> None:
    assert made.listing.spin is not None
    found = made.trace(made.listing.spin.frames[0])
    assert sources(found) == [WALK]
    assert made.listing.spin.sizes
    for size in made.listing.spin.sizes:
        assert made.trace(size.frames[0]).what == found.what
    sha256 = hashlib.sha256(made.pipeline.store.get(WALK)).hexdigest()
    assert found.sources[0].sha256 == sha256
    assert found.made is not None
    assert (found.made.asset, found.made.run_id) == ("spin_frames", made.first)
    assert f"from moment {made.listing.spin.sources[0]}" in found.what


def test_the_promo_leads_to_all_it_shows(made: Made) -> None:
    promo = made.listing.promo
    assert promo is not None
    for key in (promo.key, promo.vertical_key, promo.poster_key):
        found = made.trace(key)
        assert FRONT in sources(found)
        assert found.made is not None
        assert found.made.asset == "promo_video"
    assert WALK in sources(made.trace(promo.key))


def test_listing_and_pages_lead_to_everything(made: Made) -> None:
    assert made.listing.spin is not None
    for key in (
        keys.listing(VEHICLE),
        keys.gallery(VEHICLE),
        keys.spin_data(VEHICLE),
        made.listing.spin.viewer_key,
    ):
        found = made.trace(key)
        assert sources(found) == [FRONT, CABIN, WALK]
        assert found.made is not None
        assert (found.made.asset, found.made.run_id) == ("listing", made.first)


def test_a_file_can_be_named_in_many_ways(made: Made) -> None:
    key = made.listing.photos[0].files[0]
    path = made.pipeline.store.folder / key
    for place in (
        str(path),
        path.resolve().as_uri(),
        f"s3://okla-media/tenant/{key}",
        f"https://cdn.example.com/{key}?X-Signature=abc",
        f"https://cdn.example.com/{key}#photo-1",
        key.replace("/", "\\"),
    ):
        assert made.trace(place).key == key
    assert made.trace(VEHICLE).key == keys.listing(VEHICLE)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("raw/x/photos/a.jpg", "names no finished file"),
        ("processed/../listing.json", "names no finished file"),
        (f"processed/{VEHICLE}/gone.jpg", "is not in the media store"),
        ("nobody", "there is no vehicle nobody"),
    ],
)
def test_what_names_no_finished_file_is_refused(made: Made, place: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        made.trace(place)


def test_uploads_that_changed_since_are_told(made: Made) -> None:
    store, key = made.pipeline.store, made.listing.photos[1].files[0]
    data = store.get(CABIN)
    try:
        store.put(CABIN, data)  # the same bytes under another ETag
        assert made.trace(key).sources[0].now == "unchanged"
        store.put(CABIN, data + b"\0")
        assert made.trace(key).sources[0].now == "changed since"
        store.delete(CABIN)
        assert made.trace(key).sources[0].now == "gone"
    finally:
        store.put(CABIN, data)


def test_without_daggers_records_the_rest_is_still_told(made: Made) -> None:
    with forgetful_instance() as empty:
        found = trace(made.listing.photos[0].files[0], made.pipeline.store, empty)
    assert found.made is None
    assert sources(found) == [FRONT]


def test_the_ui_can_answer_too(made: Made) -> None:
    """Every materialization has a data version; intake's names digests and ETags."""
    for name in ("raw_photos", "composites", "spin_frames", "promo_video", "listing"):
        (record,) = made.pipeline.instance.fetch_materializations(
            dg.AssetKey(name), limit=1
        ).records
        materialization = record.asset_materialization
        assert materialization is not None
        assert (materialization.tags or {})["dagster/data_version"]
        if name in ("raw_photos", "listing"):
            table = materialization.metadata["photos"].value
            assert FRONT in str(table) or "1 front.jpg" in str(table)
            assert made.listing.photos[0].source_sha256 in str(table)


def test_an_old_listing_is_still_read(made: Made, tmp_path: Path) -> None:
    """Listings of the release before have none of the fields that lineage added."""
    old = made.listing.model_dump(mode="json")
    del old["pipeline"]["code"], old["promo"]["sources"]
    for name in ("made_from", "sources", "video_key", "video_sha256"):
        del old["spin"][name]
    read = Listing.model_validate(old)
    assert read.pipeline.code is None
    assert read.spin is not None
    assert read.spin.sources == ()
