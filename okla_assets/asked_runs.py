"""Runs that jobs of the doors ask Dagster for: written by the doors, read by the sensor `jobs` and
by the runs themselves."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from okla_assets import keys
from okla_assets.options import merge_options, save_options
from okla_assets.vehicle_runs import JOB_TAG
from resources.errors import Unreadable
from resources.storage.media_store import MediaStore


class AskedRun(BaseModel):
    """A run of some assets of a vehicle, None for all. Its name is its run key: Dagster starts it
    once, however often it is asked for.

    `options` become the vehicle's when it begins, over those that it has then.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    vehicle: str
    assets: tuple[str, ...] | None = None
    options: dict[str, Any] = Field(default={})


def ask(store: MediaStore, run: AskedRun) -> None:
    """Asks for the run, until `forget`."""
    store.put(keys.asked_run(run.name), run.model_dump_json().encode(), "application/json")


def forget(store: MediaStore, name: str) -> None:
    """The run has ended, or is not wanted any more."""
    store.delete(keys.asked_run(name))


def forget_all(store: MediaStore) -> None:
    """Nobody waits for any of them: the process that has asked for them has ended. Its jobs are
    asked for anew, as another attempt."""
    for info in list(store.list(keys.ASKED_RUNS)):
        store.delete(info.key)


def asked_for(
    store: MediaStore, after: str = "", unreadable: Callable[[str], None] | None = None
) -> Iterator[tuple[str, AskedRun]]:
    """All runs that are asked for and their keys, behind a key.

    `unreadable` is called with a sentence about each that cannot be read, or that a machine without
    power has left half; without it that raises `Unreadable` or pydantic's ValidationError.
    """
    for info in store.list(keys.ASKED_RUNS, after):
        try:
            yield info.key, AskedRun.model_validate_json(store.get(info.key))
        except FileNotFoundError:  # forgotten meanwhile
            continue
        except (Unreadable, ValidationError) as error:
            if unreadable is None:
                raise
            reason = "it is no record of a run" if isinstance(error, ValidationError) else error
            unreadable(f"{info.key} is left alone: {reason}")


def give_asked_options(tags: Mapping[str, str], vehicle: keys.VehicleId, store: MediaStore) -> None:
    """Called where a run begins, with its tags: gives the vehicle the options that were asked for
    with it. Of a run that nobody waits for any more there are none.

    Raises BadInput naming an option that cannot be used.
    """
    name = tags.get(JOB_TAG)
    if name is None:
        return
    try:
        asked = AskedRun.model_validate_json(store.get(keys.asked_run(name)))
    except FileNotFoundError:  # a lane's, or one that somebody has started again
        return
    if asked.options:
        save_options(vehicle, store, merge_options(None, vehicle, store, asked.options))
