"""What Dagster's code server loads, and what it must not load."""

import subprocess
import sys

import dagster as dg
import pytest

from okla_assets.definitions import build_definitions
from okla_assets.vehicle_runs import vehicles
from resources.errors import BadInput
from tests.conftest import REPOSITORY

HEAVY = (
    "boto3",
    "cv2",
    "av",
    "onnxruntime",
    "openvino",
    "torch",
    "PIL",
    "scipy",
    "pillow_heif",
    "imagehash",
    "transformers",
    "pandas",
    "pyarrow",
    "matplotlib",
)
UPSTREAM: dict[str, set[str]] = {
    "raw_photos": set(),
    "walkaround_frames": {"raw_photos"},
    "masks": {"raw_photos", "walkaround_frames"},
    "classifications": {"raw_photos", "masks"},
    "license_plates": {"raw_photos", "walkaround_frames", "masks", "classifications"},
    "composites": {"raw_photos", "masks", "classifications", "license_plates"},
    "spin_frames": {"walkaround_frames", "masks", "license_plates", "composites"},
    "listing": {"raw_photos", "masks", "classifications", "license_plates", "composites"}
    | {"walkaround_frames", "spin_frames", "hotspots", "promo_video"},
    "hotspots": {"masks", "classifications", "license_plates", "composites", "spin_frames"},
    "promo_video": {"masks", "classifications", "composites", "spin_frames"},
}
GROUPS = {
    "raw_photos": "intake",
    "walkaround_frames": "intake",
    "masks": "vision",
    "classifications": "vision",
    "license_plates": "vision",
    "composites": "studio",
    "spin_frames": "delivery",
    "hotspots": "delivery",
    "promo_video": "delivery",
    "listing": "delivery",
}


def test_everything_loads() -> None:
    dg.Definitions.validate_loadable(build_definitions("local"))


def test_the_workspace_names_the_module_that_has_the_definitions() -> None:
    workspace = (REPOSITORY / "workspace.yaml").read_text(encoding="utf-8")
    assert "python_module: okla_assets.definitions" in workspace


def test_the_graph_is_the_one_of_the_readme() -> None:
    graph = build_definitions("local").resolve_asset_graph()
    for name, upstream in UPSTREAM.items():
        node = graph.get(dg.AssetKey(name))
        assert {key.to_user_string() for key in node.parent_keys} >= upstream, name
        assert node.group_name == GROUPS[name]
        assert node.partitions_def == vehicles


def test_every_asset_tells_a_person_what_it_is() -> None:
    graph = build_definitions("local").resolve_asset_graph()
    assets = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert len(assets) >= 5
    for node in assets:
        name = node.key.to_user_string()
        assert node.description, name
        assert len(node.description) > 40, name
        assert node.owners, name
        assert node.kinds, name
        assert node.code_version, name
        assert node.tags["okla/device"] in ("gpu", "cpu"), name


def test_the_fleets_report_is_no_part_of_a_vehicle() -> None:
    definitions = build_definitions("local")
    node = definitions.resolve_asset_graph().get(dg.AssetKey("fleet_report"))
    assert node.group_name == "fleet"
    assert node.partitions_def is None
    assert not node.parent_keys
    schedule = definitions.resolve_schedule_def("nightly_report")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    job = definitions.resolve_job_def(schedule.job_name)
    assert set(job.asset_layer.executable_asset_keys) == {node.key}


def test_the_job_holds_every_asset_and_check() -> None:
    definitions = build_definitions("local")
    job = definitions.resolve_job_def("vehicle_media")
    every = definitions.resolve_asset_graph().get_all_asset_keys()
    assert set(job.asset_layer.executable_asset_keys) == every - {dg.AssetKey("fleet_report")}
    checks = {key.name for key in job.asset_layer.asset_graph.asset_check_keys}
    assert checks >= {
        "something_accepted",
        "no_plate_shown",
        "vehicle_as_photographed",
        "exteriors_cut_or_flagged",
        "spin_or_reason",
        "listing_valid",
        "listing_status",
        "channels_take_it",
    }


def test_the_sensor_runs_without_being_switched_on() -> None:
    sensor = build_definitions("local").resolve_sensor_def("uploads")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.job_name == "vehicle_media"


def test_an_unknown_profile_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"'moon'.*local"):
        build_definitions("moon")


def test_the_code_server_starts_light_and_without_touching_anything(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    code = f"""
import os, sys
import okla_assets.definitions as d
d.defs()
os.environ["OKLA_MEDIA_DIR"] = "s3://bucket"
d.defs()
print([name for name in {HEAVY} if name in sys.modules])
"""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
    assert list(elsewhere.iterdir()) == []


def test_every_asset_has_columns_and_links_to_its_code() -> None:
    graph = build_definitions("local").resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        metadata = graph.get(key).metadata
        schema = metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        types = {column.name: column.type for column in schema.columns}
        assert len(types) >= 3, key
        assert all("." not in kind and "[" not in kind for kind in types.values()), types
        links = metadata["dagster/code_references"]
        assert isinstance(links, dg.CodeReferencesMetadataValue)
        (link,) = links.code_references
        assert isinstance(link, dg.LocalFileCodeReference)
        assert link.file_path.endswith(f"{key.to_user_string()}.py")


def test_what_runs_by_itself_says_when() -> None:
    definitions = build_definitions("local")
    for name in ("uploads", "s3_events", "outcomes"):
        assert definitions.resolve_sensor_def(name).description
    assert definitions.resolve_schedule_def("nightly_backfill").description
