"""`okla serve`: the HTTP door."""

from typing import Annotated

import typer

from okla_assets.cli.terminal import Out, Profile, log_doors, say
from okla_assets.cli.up import ensure_weights
from resources.storage.stores import check_writable, location_of, store_for


def serve(
    out: Out = "okla-media",
    profile: Profile = "local",
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than this machine's needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    lanes: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes with models loaded, 2.5 GB of memory each; 0 leaves all to Dagster. "
            "Default: 1, and with OKLA_BROKER_URL 0.",
        ),
    ] = None,
    long_by_dagster: Annotated[
        bool,
        typer.Option(
            "--long-by-dagster",
            help="Leave whole vehicles and 360 views to the `okla up` on the same media.",
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="A line for each request.")
    ] = False,
) -> None:
    """Answer backends over HTTP: jobs, uploads, and the APIs of remove.bg, rembg and Photoroom.

    Its API is described at /docs. Without keys (`okla keys`) it answers this machine only.
    """
    import dagster as dg

    from okla_assets.cli.lane import lane_definitions
    from okla_assets.definitions import runner_of
    from okla_assets.doors import service
    from okla_assets.doors.jobs.work import Worker
    from resources.profiles import check_profile
    from resources.settings import settings

    check_profile(profile)
    log_doors(verbose)
    store = store_for(out)
    check_writable(store)
    ensure_weights(profile)
    place = location_of(store)

    def worker(instance: dg.DagsterInstance) -> Worker:
        definitions = lane_definitions()
        return Worker(
            runner_of(definitions), store, instance, (definitions.resources or {})["segmenter"]
        )

    if lanes is None:
        lanes = 0 if settings().broker_url else 1
    service.run(
        service.Plan(place, profile, host, port, lanes, long_by_dagster, verbose, worker, say),
        store,
    )
