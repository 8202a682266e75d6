"""`okla up`: Dagster on the media folder, and what a person at its console sees."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from okla_assets.cli.terminal import STYLES, Out, Profile, fetch_weights, say, shown, warn
from resources.errors import BadInput, BrokenSetup

if TYPE_CHECKING:
    from okla_assets.operations.run_news import News, RunNews


class LogFormat(StrEnum):
    """Sentences for a person, or an object a line for a program."""

    text = "text"
    json = "json"


def up(
    out: Out = "okla-media",
    profile: Profile = "local",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of Dagster's UI on 127.0.0.1.")
    ] = 3000,
    files_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port of the file server, which the links in the UI open; default: --port + 1.",
        ),
    ] = None,
    api: Annotated[
        bool, typer.Option("--api", help="Also answer backends over HTTP, as `okla serve` does.")
    ] = False,
    api_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the HTTP door on 127.0.0.1.")
    ] = 8080,
    runs: Annotated[
        int, typer.Option(min=1, envvar="OKLA_RUNS", help="How many vehicles at a time.")
    ] = 1,
    gpu_slots: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="OKLA_GPU_SLOTS",
            help="How many steps may use a GPU at a time; default: no limit.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all that the servers print.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show problems only, no vehicle that is done.")
    ] = False,
    log_format: Annotated[LogFormat, typer.Option(help="text or json.")] = LogFormat.text,
) -> None:
    """Start Dagster on the media folder: its UI, and the sensor that processes new uploads.

    A line tells of each vehicle that starts and ends. What the servers print is kept in
    .dagster/server_logs/ of the media folder.
    """
    from okla_assets.operations.run_news import RunNews
    from okla_assets.runtime import servers
    from resources.profiles import check_profile
    from sensors.schedules import nightly_backfill, nightly_report

    if verbose and quiet:
        raise BadInput("give -v or -q, not both")
    check_profile(profile)
    for schedule in (nightly_backfill, nightly_report):
        schedule()  # its settings are told now, not by a server that does not start
    ensure_weights(profile)
    console = Console(out, as_json=log_format is LogFormat.json, quiet=quiet, news=RunNews())
    servers.run(
        servers.Plan(
            out=out,
            profile=profile,
            port=port,
            files_port=files_port,
            api_port=api_port if api else None,
            runs=runs,
            gpu_slots=gpu_slots,
            say=console.say,
            tell=console.tell,
            look=console.look,
            everything=verbose,
        )
    )


def ensure_weights(profile: str) -> None:
    """Fetches what our definitions need; a user's own definitions fetch their own."""
    from okla_assets.runtime.processes import OUR_DEFINITIONS, definitions_module
    from resources.profiles import weights_of

    if definitions_module() == OUR_DEFINITIONS:
        fetch_weights(weights_of(profile))


@dataclass
class Console:
    """What `okla up` says: of the whole, of the servers, and a line when a vehicle starts or ends.

    May be used by several threads.
    """

    out: str
    as_json: bool
    quiet: bool
    news: "RunNews"
    lost: str = ""
    """Why Dagster's records could not be read the last time."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, sentence: str) -> None:
        """About the whole; not when quiet, for it is no problem."""
        if not self.quiet:
            self._print(sentence, {"event": "info", "text": sentence})

    def tell(self, server: str, line: str) -> None:
        """What one of the servers says."""
        from okla_assets.runtime.servers import whose

        self._print(
            f"{whose(server)}: {line}",
            {"event": "server", "server": server, "text": line},
            problem=True,
        )

    def look(self) -> None:
        """Tells of vehicles whose run began or ended since it was last asked.

        Where the records cannot be read that is told once, and once that they are back.
        """
        from okla_assets.runtime.instance import open_instance

        try:
            with open_instance(self.out) as instance:
                for one in self.news.poll(instance):
                    self._vehicle(one)
        except BrokenSetup as error:
            if not self.lost:
                self._print(str(error), {"event": "problem", "text": str(error)}, problem=True)
            self.lost = str(error)
            return
        if self.lost:
            self.lost = ""
            self.say("Dagster's records can be read again")

    def _vehicle(self, one: "News") -> None:
        bad = one.event == "failed" or one.status == "failed"
        if self.quiet and not bad:
            return
        took = "" if one.seconds is None else f", {one.seconds:.0f} s"
        if one.event == "started":
            sentence = f"{one.vehicle}: started" + (f" ({one.detail})" if one.detail else "")
        elif one.event == "done":
            sentence = f"{one.vehicle}: {one.status or 'done'}{took}"
            if one.status in ("failed", "needs_review"):
                sentence += f"; why: okla status --vehicle {one.vehicle}"
        else:
            told = f": {one.detail}" if one.detail else ""
            sentence = f"{one.vehicle}: {one.event}{told}{took} (run {one.run_id[:8]})"
        style = STYLES.get("failed" if bad else one.status)
        facts: dict[str, object] = {
            "event": one.event,
            "vehicle": one.vehicle,
            "run_id": one.run_id,
            "status": one.status or None,
            "seconds": one.seconds,
            "detail": one.detail or None,
        }
        self._print(sentence, facts, style=style)

    def _print(
        self,
        sentence: str,
        facts: dict[str, object],
        *,
        problem: bool = False,
        style: str | None = None,
    ) -> None:
        now = datetime.now(UTC).astimezone()
        with self.lock:
            if self.as_json:
                said = {"time": now.isoformat(timespec="seconds")} | facts
                print(json.dumps(said, ensure_ascii=False), flush=True)
            else:
                line = f"{now:%H:%M:%S} {shown(sentence)}"
                warn(line, "yellow") if problem else say(line, style)
