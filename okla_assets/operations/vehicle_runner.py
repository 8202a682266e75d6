"""One vehicle's job in this process, with whatever models are warm in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.runtime.instance import PROCESS_TAG, this_process
from okla_assets.vehicle_runs import Source, selection_of, tags_for, vehicle_media, vehicles
from resources.errors import BadInput, BrokenSetup
from resources.storage.media_store import MediaStore

_NO_DATABASE = {"OperationalError", "InterfaceError"}
"""What clients of databases raise where Dagster's records cannot be reached."""


@dataclass(frozen=True)
class Ran:
    """How a run ended: with a listing, or with what went wrong; of some assets alone, with neither.

    `broken_setup` says that the next vehicle would fail alike, `interrupted` that somebody wants
    the whole to stop.
    """

    listing: Listing | None
    problem: str
    run_id: str = ""
    interrupted: bool = False
    broken_setup: bool = False


@dataclass(frozen=True)
class VehicleRunner:
    """Runs `vehicle_media` on a profile's resources; `definitions` builds or returns them."""

    definitions: Callable[[], dg.Definitions]
    fingerprint: Callable[[], str]
    """Of the code and models it would use; see `Pipeline`."""

    def run(
        self,
        vehicle: keys.VehicleId,
        store: MediaStore,
        instance: dg.DagsterInstance,
        source: Source,
        assets: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Ran:
        """A run of its own, recorded in the instance; a vehicle's failure is returned.

        `assets` are the only ones to be made; None: all.
        """
        instance.add_dynamic_partitions(str(vehicles.name), [vehicle])
        asked = tags_for(vehicle, store, source, assets)
        result = (
            self.definitions()
            .resolve_job_def(vehicle_media.name)
            .execute_in_process(
                partition_key=vehicle,
                instance=instance,
                asset_selection=selection_of(assets),
                tags={PROCESS_TAG: this_process(), **asked, **(tags or {})},
                raise_on_error=False,
                # A person watches a bar or the batch's own log; the events are in the instance.
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        )
        if result.success and assets is not None:
            return Ran(None, "", result.run_id)
        if result.success:
            listing = Listing.model_validate_json(store.get(keys.listing(vehicle)))
            return Ran(listing, "", result.run_id)
        return Ran(
            None,
            "\n".join(_failures(result.all_events)),
            result.run_id,
            # Dagster takes Ctrl-C for a step that failed.
            interrupted=_any_is(result.all_events, {dg.DagsterExecutionInterruptedError.__name__}),
            broken_setup=_any_is(result.all_events, _names(BrokenSetup) | _NO_DATABASE),
        )


def _failures(events: Sequence[object]) -> Iterator[str]:
    """What went wrong, a line a failed step; of a run that failed outside its steps, its own."""
    sentences = _names(BrokenSetup) | _names(BadInput) | _names(OSError)
    for event in events:
        error = getattr(getattr(event, "event_specific_data", None), "error", None)
        if error is None or not (
            getattr(event, "is_step_failure", False) or getattr(event, "is_job_failure", False)
        ):
            continue
        while error.cause is not None:
            error = error.cause
        message = error.message.strip()
        if error.cls_name in sentences:
            message = message.partition(": ")[2]  # Dagster puts the class before it
        yield f"{getattr(event, 'step_key', None) or 'run'}: {message}"


def _any_is(events: Sequence[object], names: set[str]) -> bool:
    """Whether an error of one of these classes, or one that it caused, is among the events."""
    for event in events:
        error = getattr(getattr(event, "event_specific_data", None), "error", None)
        while error is not None:
            if error.cls_name in names:
                return True
            error = error.cause
    return False


def _names(kind: type[BaseException]) -> set[str]:
    """The class's name and those of all its heirs: an event knows no more of an error."""
    return {kind.__name__}.union(*(_names(heir) for heir in kind.__subclasses__()))
