"""The report over all vehicles: its figures, what it reads again, and what it never tells."""

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from okla_assets import keys
from okla_assets.definitions import build_definitions
from okla_assets.operations.fleet import tables
from okla_assets.operations.fleet.charts import picture
from okla_assets.operations.fleet.figures import (
    VENDOR_CENTS,
    VENDOR_SECONDS,
    InUse,
    Name,
    figures,
    frames_of,
)
from okla_assets.operations.fleet.fleet_report import fleet_report, records, run_report
from okla_assets.operations.fleet.rows import STEPS, dealer_of
from okla_assets.steps.costs import Prices
from okla_assets.steps.selling import VIEWS
from okla_assets.viewer.fleet import fleet_page
from resources.errors import BrokenSetup
from resources.storage.media_store import LocalMediaStore, MediaStore
from resources.storage.stores import store_for
from tests.denied import deny
from tests.fakes import Pipeline
from tests.operations.fleet import made

pytestmark = pytest.mark.slow

MANY = 500
PRICES = Prices(cpu_hour=0.2, gpu_hour=2.5)
VENDOR = (VENDOR_CENTS, VENDOR_SECONDS)
IN_USE = InUse(made.CODE, frozenset({"detector: detector-1, no digest"}))

Figures = Mapping[Name, list[dict[str, Any]]]


def put(store: MediaStore, number: int, night: int = 0) -> keys.VehicleId:
    """Publishes one made listing."""
    vehicle = keys.parse_vehicle_id(made.vehicle_name(number))
    text = made.listing(number, night).model_dump_json(indent=2)
    store.put(keys.listing(vehicle), text.encode())
    return vehicle


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> LocalMediaStore:
    """A media folder with many listings and one that is none."""
    store = LocalMediaStore(root=str(tmp_path_factory.mktemp("fleet")))
    for number in range(MANY):
        put(store, number)
    store.put("processed/odd/listing.json", b"{}")
    tables.updated(store)
    return store


@pytest.fixture(scope="module")
def counted(fleet: LocalMediaStore) -> Figures:
    """What the report says of them."""
    found = figures(frames_of(tables.stored(fleet)), IN_USE, PRICES)
    return {name: records(table) for name, table in found.items()}


@pytest.fixture(scope="module")
def listings(fleet: LocalMediaStore) -> dict[str, dict[str, Any]]:
    """The same files as plain JSON, for counting by hand."""
    folders = (fleet.folder / "processed").glob("*-*/listing.json")
    return {path.parent.name: json.loads(path.read_text()) for path in folders}


def pairs(rows: list[dict[str, Any]], name: str, of: str) -> dict[str, int]:
    return {row[name]: row[of] for row in rows}


def test_vehicles_are_counted_as_by_hand(
    counted: Figures, listings: dict[str, dict[str, Any]]
) -> None:
    assert len(listings) == MANY
    by_status = Counter(one["status"] for one in listings.values()) | Counter(unreadable=1)
    assert pairs(counted["status"], "status", "vehicles") == by_status
    reasons: Counter[str] = Counter()
    for one in listings.values():
        bare = {re.sub(r"^(exterior_\d+|IMG_\d a\.jpg): ", "", text) for text in one["reasons"]}
        reasons.update({re.sub(r"\d+", "N", text) for text in bare})
    assert pairs(counted["reasons"], "reason", "vehicles") == reasons
    refused = Counter(file["reason"] for one in listings.values() for file in one["refused"])
    assert pairs(counted["refused"], "reason", "files") == refused
    missing = Counter(view for one in listings.values() for view in one["missing_views"])
    assert pairs(counted["missing_views"], "view", "vehicles") == {v: missing[v] for v in VIEWS}
    assert missing.total() > MANY
    hints = Counter(hint["issue"] for one in listings.values() for hint in one["retakes"])
    assert pairs(counted["retakes"], "issue", "hints") == hints
    blurred = sum(
        any(hint["issue"] == "blurred" for hint in one["retakes"]) for one in listings.values()
    )
    assert pairs(counted["retakes"], "issue", "vehicles")["blurred"] == blurred
    assert pairs(counted["retakes"], "issue", "share")["blurred"] == blurred / (MANY + 1)
    assert blurred < hints["blurred"]


def test_photos_are_counted_as_by_hand(
    counted: Figures, listings: dict[str, dict[str, Any]]
) -> None:
    photos = [photo for one in listings.values() for photo in one["photos"]]
    for name, figure in (("category", "photos"), ("angle", "angles")):
        by_hand = Counter(photo[name] for photo in photos if photo[name] is not None)
        assert pairs(counted[figure], name, "photos") == by_hand  # type: ignore[index]
    treated = {(row["category"], row["treatment"]): row for row in counted["treatments"]}
    for kind, row in treated.items():
        alike = [photo for photo in photos if (photo["category"], photo["treatment"]) == kind]
        assert row["photos"] == len(alike)
        assert row["withheld"] == sum(photo["withheld"] is not None for photo in alike)
    assert sum(row["photos"] for row in treated.values()) == len(photos)
    issues = Counter(issue for photo in photos for issue in photo["quality"]["issues"])
    assert pairs(counted["issues"], "issue", "photos") == issues
    bands = Counter(min(photo["quality"]["score"] // 20, 4) for photo in photos)
    assert [row["photos"] for row in counted["quality"]] == [bands[band] for band in range(5)]
    assert all(row["share"] == row["photos"] / len(photos) for row in counted["quality"])


def test_dealers_and_weeks_are_counted_as_by_hand(
    counted: Figures, listings: dict[str, dict[str, Any]]
) -> None:
    hints: Counter[str] = Counter()
    weeks: dict[str, list[bool]] = defaultdict(list)
    for vehicle, one in listings.items():
        dealer = "" if re.match(r"[0-9a-f]{8}-0000", vehicle) else vehicle.split("-")[0]
        hints[dealer] += len(one["retakes"])
        day = datetime.fromisoformat(one["generated_at"]).date()
        weeks[str(day - timedelta(days=day.weekday()))].append(one["status"] == "ready")
    assert pairs(counted["dealers"], "dealer", "hints") == hints
    assert pairs(counted["dealers"], "dealer", "vehicles") == dict.fromkeys(hints, MANY // 5)
    assert {
        row["week"]: (row["vehicles"], row["ready"], row["straight_through"])
        for row in counted["weeks"]
    } == {week: (len(r), sum(r), sum(r) / len(r)) for week, r in weeks.items()}
    assert [row["week"] for row in counted["weeks"]] == sorted(weeks)


def test_time_and_money_are_summed_as_by_hand(
    counted: Figures, listings: dict[str, dict[str, Any]]
) -> None:
    for row in counted["costs"]:
        on_gpu = row["machine"] == "gpu"
        some = [o for o in listings.values() if (o["cost"]["device_seconds"]["gpu"] > 0) is on_gpu]
        images = sum(len(one["photos"]) for one in some)
        seconds = sum(sum(one["cost"]["seconds"].values()) for one in some)
        assert (row["vehicles"], row["images"]) == (len(some), images)
        assert row["seconds"] == pytest.approx(seconds)
        cents = 100 * seconds / 3600 * (2.5 if on_gpu else 0.2) / images
        assert row["cents_an_image"] == pytest.approx(cents)
        recorded = sum(one["cost"]["usd"] or 0 for one in some)
        assert row["usd_recorded"] == pytest.approx(recorded)
        for step in STEPS:
            (of_step,) = (
                r for r in counted["steps"] if (r["step"], r["machine"]) == (step, row["machine"])
            )
            by_hand = sum(one["cost"]["seconds"][step] for one in some)
            assert of_step["seconds"] == pytest.approx(by_hand)
        (own,) = (
            r
            for r in counted["machines"]
            if r["machine"] == row["machine"] and r["of"] == "settings"
        )
        assert own["cents_an_image"] == pytest.approx(cents)
        assert own["vendor_times"] == pytest.approx(5 / cents)
    assert {row["machine"] for row in counted["costs"]} == {"cpu", "gpu"}


def test_what_is_stale_is_told(counted: Figures, listings: dict[str, dict[str, Any]]) -> None:
    codes = Counter(one["pipeline"]["code"] for one in listings.values())
    by_code: Counter[str] = Counter()
    for row in counted["code"]:
        by_code[row["code"]] += row["vehicles"]
        assert row["stale"] is (row["code"] == made.OLDER)
    assert by_code == codes
    names = Counter(m["name"] for one in listings.values() for m in one["pipeline"]["models"])
    assert sorted(row["vehicles"] for row in counted["models"]) == sorted(names.values())
    fresh = [row["model"] for row in counted["models"] if not row["stale"]]
    assert fresh == ["detector: detector-1, no digest"]


def test_only_what_changed_is_read_and_the_bytes_are_those_of_a_first_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalMediaStore(root=str(tmp_path / "nights"))
    for number in range(20):
        put(store, number)
    first = tables.updated(store)
    assert (first.read, first.removed, first.vehicles.num_rows) == (20, 0, 20)

    opened: list[str] = []
    get = LocalMediaStore.get

    def noted(self: LocalMediaStore, key: str) -> bytes:
        opened.append(key)
        return get(self, key)

    monkeypatch.setattr(LocalMediaStore, "get", noted)
    changed, new, gone = put(store, 3, night=1), put(store, 20), made.vehicle_name(7)
    store.delete(f"processed/{gone}/listing.json")
    second = tables.updated(store)
    assert sorted(opened) == sorted(map(keys.listing, (changed, new)))
    assert (second.read, second.removed, second.vehicles.num_rows) == (2, 1, 20)
    assert gone not in second.photos["vehicle"].to_pylist()

    opened.clear()
    assert tables.updated(store).read == 0
    assert opened == []

    at_once = LocalMediaStore(root=str(tmp_path / "nights"))
    before = {p.name: p.read_bytes() for p in (store.folder / "processed/_fleet").iterdir()}
    for name in before:
        store.delete(f"processed/_fleet/{name}")
    assert tables.updated(at_once).read == 20
    after = {p.name: p.read_bytes() for p in (store.folder / "processed/_fleet").iterdir()}
    assert after == before
    assert set(after) == {"vehicles.csv", "vehicles.parquet", "photos.csv", "photos.parquet"}


def test_tables_of_another_version_or_damaged_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalMediaStore(root=str(tmp_path))
    for number in range(3):
        put(store, number)
    tables.updated(store)
    monkeypatch.setattr(tables, "VERSION", "next")
    assert tables.updated(store).read == 3
    store.put("processed/_fleet/vehicles.parquet", b"cut off")
    assert tables.updated(store).read == 3
    assert tables.updated(store).read == 0
    photos = store.get("processed/_fleet/photos.parquet")
    put(store, 1, night=1)
    assert tables.updated(store).read == 1
    store.put("processed/_fleet/photos.parquet", photos)  # of another run than the vehicles
    assert tables.updated(store).read == 3


def test_a_listing_that_may_not_be_read_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalMediaStore(root=str(tmp_path))
    vehicles = [put(store, number) for number in range(3)]
    with monkeypatch.context() as patched:
        deny(patched, tmp_path / keys.listing(vehicles[1]))
        assert tables.updated(store).vehicles["status"].to_pylist().count("unreadable") == 1
    again = tables.updated(store)
    assert again.read == 1
    assert "unreadable" not in again.vehicles["status"].to_pylist()


def test_a_fleet_of_none_has_figures_and_a_page_too(fleet: LocalMediaStore) -> None:
    nobody = frames_of(tables.stored(fleet).of(dealer="nobody"))
    found = figures(nobody, IN_USE, PRICES)
    assert sum(len(table) for name, table in found.items() if name in ("status", "costs")) == 0
    page = fleet_page({name: records(table) for name, table in found.items()}, VENDOR)
    assert b"Fleet report" in page
    assert picture(found).startswith(b"\x89PNG")


def test_rows_are_chosen_by_day_and_dealer(fleet: LocalMediaStore) -> None:
    every = tables.stored(fleet)
    lopez = every.of(dealer="LOPEZ")
    assert lopez.vehicles.num_rows == MANY // 5
    assert {name.split("-")[0] for name in lopez.photos["vehicle"].to_pylist()} == {"LOPEZ"}
    assert every.of(dealer="LOP").vehicles.num_rows == 0
    day = date(2026, 9, 1)
    late = every.of(since=day)
    days = [at.date() for at in late.vehicles["generated_at"].to_pylist()]
    assert min(days) >= day
    rest = [at for at in every.vehicles["generated_at"].to_pylist() if at and at.date() < day]
    assert len(days) + len(rest) == MANY


@pytest.mark.parametrize(
    ("vehicle", "dealer"),
    [
        ("LOPEZ-1", "LOPEZ"),
        ("n2_77-b", "n2"),
        ("1HGCM82633A004352", ""),
        ("550e8400-e29b-41d4-a716-446655440000", ""),
        ("lopez-", ""),
    ],
)
def test_a_dealer_is_the_prefix_of_an_id(vehicle: str, dealer: str) -> None:
    assert dealer_of(vehicle) == dealer


def test_no_vehicle_can_have_the_reports_name() -> None:
    for public in (False, True):
        folder = keys.fleet_folder(processed_is_public=public).split("/")[1]
        with pytest.raises(keys.BadVehicleId):
            keys.parse_vehicle_id(folder)


def test_dagster_shows_the_figures_and_people_a_page(pipeline: Pipeline) -> None:
    """By a run as the schedule asks for it; a vehicle called fleet is one like others."""
    for number in range(30):
        put(pipeline.store, number)
    called = keys.parse_vehicle_id("fleet")
    pipeline.store.put(keys.listing(called), made.listing(1).model_dump_json().encode())
    pipeline.store.put(keys.caller("dealer-1"), b'{"name": "secret-caller"}')
    definitions = build_definitions("local", **pipeline.models | {"store": pipeline.store})
    run_report(definitions, pipeline.instance)
    event = pipeline.instance.get_latest_materialization_event(fleet_report.key)
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["dagster/row_count"].value == 31
    assert metadata["listings_read"].value == 31
    assert str(metadata["charts"].value).startswith("![charts](data:image/png;base64,")
    assert len(str(metadata["charts"].value)) < 30_000
    weeks = metadata["weeks"]
    assert isinstance(weeks, dg.TableMetadataValue)
    assert set(weeks.records[0].data) == {"week", "vehicles", "ready", "straight_through"}

    folder = pipeline.store.folder / "processed/_fleet"
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    for private in (b"secret-caller", b"IMG_", b"raw/"):
        assert private not in everything
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "Ready without a person" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    schema = fleet_report.metadata_by_key[fleet_report.key]["dagster/column_schema"]
    stored = pq.read_table(folder / "vehicles.parquet")
    assert [column.name for column in schema.columns] == stored.column_names
    rows = list(csv.DictReader(io.StringIO((folder / "vehicles.csv").read_text())))
    assert [row["vehicle"] for row in rows] == stored["vehicle"].to_pylist()
    assert "fleet" in stored["vehicle"].to_pylist()
    assert "_fleet" not in stored["vehicle"].to_pylist()


def test_without_the_packages_it_says_what_to_install(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from okla_assets.operations.fleet import fleet_report as module

    monkeypatch.setattr(module, "PACKAGES", ("pandas", "no_such_package"))
    definitions = build_definitions("local", **pipeline.models | {"store": pipeline.store})
    with pytest.raises(BrokenSetup, match=r"okla-media\[fleet\].*no_such_package"):
        run_report(definitions, pipeline.instance)
    schedule = definitions.resolve_schedule_def("nightly_report")
    context = dg.build_schedule_context(
        pipeline.instance, scheduled_execution_time=datetime(2026, 11, 29)
    )
    asked = schedule.evaluate_tick(context)
    assert "okla-media[fleet]" in str(asked.skip_message)
    monkeypatch.setattr(module, "PACKAGES", ("pandas",))
    assert len(schedule.evaluate_tick(context).run_requests or ()) == 1


def test_in_a_bucket(s3_place: str) -> None:
    store = store_for(s3_place)
    for number in range(3):
        put(store, number)
    assert tables.updated(store).read == 3
    put(store, 1, night=1)
    assert tables.updated(store).read == 1
    assert tables.updated(store).read == 0
    assert {info.key.rpartition("/")[2] for info in store.list("processed/_fleet/")} == {
        "vehicles.csv",
        "vehicles.parquet",
        "photos.csv",
        "photos.parquet",
    }


def test_where_everybody_reads_processed_the_report_lies_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalMediaStore(root=str(tmp_path))
    put(store, 1)
    monkeypatch.setattr(LocalMediaStore, "public_base", lambda self: "https://cdn.example.org/")
    tables.updated(store)
    assert (tmp_path / "work/_fleet/vehicles.csv").exists()
    assert not (tmp_path / "processed/_fleet").exists()
