"""Runs that jobs of the doors ask Dagster for: written by the doors, read by the sensor `jobs`."""

from collections.abc import Callable, Iterator

from pydantic import BaseModel, ConfigDict, ValidationError

from okla_assets import keys
from resources.errors import Unreadable
from resources.storage.media_store import MediaStore


class AskedRun(BaseModel):
    """A run of some assets of a vehicle, None for all. Its name is its run key: Dagster starts it
    once, however often it is asked for."""

    model_config = ConfigDict(frozen=True)

    name: str
    vehicle: str
    assets: tuple[str, ...] | None = None


def ask(store: MediaStore, run: AskedRun) -> None:
    """Asks for the run, until `forget`."""
    store.put(keys.asked_run(run.name), run.model_dump_json().encode(), "application/json")


def forget(store: MediaStore, name: str) -> None:
    """The run has ended, or is not wanted any more."""
    store.delete(keys.asked_run(name))


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
