"""The asset `fleet_report`: all vehicles as two tables, with figures, a picture and a page."""

import base64
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import dagster as dg

from okla_assets.operations.failures import problem_of
from okla_assets.operations.fleet.figures import (
    VENDOR_CENTS,
    VENDOR_SECONDS,
    InUse,
    Name,
    figures,
    frames_of,
)
from okla_assets.operations.fleet.rows import VehicleRow, model_name
from okla_assets.operations.fleet.tables import (
    PHOTOS,
    VEHICLES,
    VERSION,
    FleetTables,
    fleet_key,
    updated,
)
from okla_assets.runtime.instance import PROCESS_TAG, this_process
from okla_assets.steps.column_schema import schema_of
from okla_assets.steps.costs import prices
from okla_assets.steps.pipeline import Pipeline
from okla_assets.vehicle_runs import FLEET_GROUP, run_tags
from okla_assets.viewer.fleet import Rows, fleet_page
from okla_assets.viewer.pages import HTML
from resources.errors import BrokenSetup
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    import pandas as pd

PAGE = "index.html"
PACKAGES = ("pandas", "pyarrow", "matplotlib")
SHOWN: tuple[Name, ...] = ("reasons", "weeks", "machines")
"""Tables of figures that Dagster shows."""
MOST_TABLE_ROWS = 30
"""Of each; of weeks these are the last."""


def missing_packages() -> str:
    """What is not installed of that which the report needs, and how to install it; or nothing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    return f"install okla-media[fleet]: there is no {', '.join(missing)}" if missing else ""


@dg.asset(
    group_name=FLEET_GROUP,
    code_version=VERSION,
    kinds={"pandas", "parquet"},
    owners=["team:media"],
    tags={"okla/device": "cpu"},
    metadata={"dagster/column_schema": schema_of(VehicleRow)},
)
def fleet_report(
    store: dg.ResourceParam[MediaStore], pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult[None]:
    """All vehicles as one table, all their photos as another, and what the two tell, as a page.

    Only listings that changed since last time are read. Vehicles by status and reason, photos by
    what they show and how they were treated, views that are missing, what sellers should take
    again, how many listings were ready without a person, what an image costs, and what is stale.
    """
    if problem := missing_packages():
        raise BrokenSetup(problem)
    from okla_assets.operations.fleet.charts import picture

    began = time.perf_counter()
    tables = updated(store)
    found = figures(frames_of(tables), in_use(pipeline), prices())
    rows: dict[str, Rows] = {name: records(table) for name, table in found.items()}
    store.put(fleet_key(store, PAGE), fleet_page(rows, (VENDOR_CENTS, VENDOR_SECONDS)), HTML)
    facts = {
        **_counts(tables, rows),
        "charts": _picture(picture(found)),
        "seconds_this_run": dg.MetadataValue.float(round(time.perf_counter() - began, 2)),
        "dagster/uri": dg.MetadataValue.text(store.uri(fleet_key(store, f"{VEHICLES}.parquet"))),
        **_links(store),
    }
    return dg.MaterializeResult(metadata=facts, data_version=dg.DataVersion(tables.digest))


report_job = dg.define_asset_job(
    "fleet_report_job",
    selection=[fleet_report],
    description="The tables, the figures and the page over all vehicles.",
    config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
)


def in_use(pipeline: Pipeline) -> InUse:
    """What would make the next listing."""
    return InUse(
        pipeline.fingerprint(),
        frozenset(model_name(m.role, m.name, m.sha256) for m in pipeline.models()),
    )


def run_report(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    """Makes the asset in this process. Raises BrokenSetup with what went wrong, and
    KeyboardInterrupt, which Dagster takes for a step that failed."""
    if missing := missing_packages():
        raise BrokenSetup(missing)
    ran = definitions.resolve_job_def(report_job.name).execute_in_process(
        instance=instance,
        tags={PROCESS_TAG: this_process(), **run_tags("report")},
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    if not ran.success:
        problem = problem_of(instance, ran.run_id)
        if problem.interrupted:
            raise KeyboardInterrupt
        raise BrokenSetup(problem.error)


def figures_of(tables: FleetTables, definitions: dg.Definitions) -> "Mapping[Name, pd.DataFrame]":
    """The figures of some of the vehicles."""
    pipeline = (definitions.resources or {})["pipeline"]
    assert isinstance(pipeline, Pipeline)
    return figures(frames_of(tables), in_use(pipeline), prices())


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows as plain values; None for what is not known."""
    values = table.astype(object)
    found: list[dict[str, Any]] = values.where(values.notna(), None).to_dict("records")
    return found


def _counts(tables: FleetTables, rows: Mapping[str, Rows]) -> dict[str, dg.MetadataValue[Any]]:
    """Numbers that Dagster plots from night to night, and the tables that it shows."""
    numbers = {
        "dagster/row_count": tables.vehicles.num_rows,
        "photos": tables.photos.num_rows,
        "listings_read": tables.read,
        "vehicles_gone": tables.removed,
    } | {f"vehicles_{row['status']}": row["vehicles"] for row in rows["status"]}
    seconds = {f"{r['machine']}_seconds_an_image": r["seconds_an_image"] for r in rows["costs"]}
    return {
        **{name: dg.MetadataValue.int(number) for name, number in numbers.items()},
        **{name: dg.MetadataValue.float(s) for name, s in seconds.items() if s is not None},
        **{name: _as_table(rows[name]) for name in SHOWN if rows[name]},
    }


def _links(store: MediaStore) -> dict[str, dg.MetadataValue[Any]]:
    """What a person may want to open, where there are addresses."""
    files = {"page": PAGE, "vehicles_csv": f"{VEHICLES}.csv", "photos_csv": f"{PHOTOS}.csv"}
    return {
        name: dg.MetadataValue.url(address)
        for name, file in files.items()
        if (address := store.link(fleet_key(store, file)))
    }


def _picture(png: bytes) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.md(f"![charts](data:image/png;base64,{base64.b64encode(png).decode()})")


def _as_table(rows: Rows) -> dg.MetadataValue[Any]:
    cells = [
        {name: "" if value is None else value for name, value in row.items()}
        for row in rows[-MOST_TABLE_ROWS:]
    ]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in cells])
