"""Tables between assets as JSON files in the media store: readable, never a pickle."""

import shlex
from typing import Any, TypeVar

import dagster as dg
from pydantic import BaseModel, ValidationError

from okla_assets import keys
from resources.errors import BadInput
from resources.storage.media_store import MediaStore

TableT = TypeVar("TableT", bound=BaseModel)


def read_table(store: MediaStore, key: str, kind: type[TableT]) -> TableT:
    """A stored table. Raises FileNotFoundError where it is not there, BadInput where it is another
    release's; both say what to do."""
    return _parsed(_read(store, key), key, kind)


def _parsed(data: bytes, key: str, kind: type[TableT]) -> TableT:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"{key} is of another release ({where}: {first['msg']}); materialize "
            f"{_asset_of(key)} for this vehicle again, or all of it by the job vehicle_media"
        ) from error


def _asset_of(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _read(store: MediaStore, key: str) -> bytes:
    try:
        return store.get(key)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; materialize {_asset_of(key)} for this vehicle first (work/ was emptied)"
        ) from None


class TableIOManager(dg.IOManager):
    """Stores an asset's pydantic table at `work/{vehicle}/tables/{asset}.json`.

    Lives as long as a run and caches its tables: most are read by several assets.
    """

    def __init__(self, store: MediaStore) -> None:
        self._store = store
        self._cache: dict[str, bytes] = {}

    def handle_output(self, context: dg.OutputContext, obj: BaseModel) -> None:
        key, data = _key(context), obj.model_dump_json(indent=1).encode()
        self._store.put(key, data)
        self._cache[key] = data

    def load_input(self, context: dg.InputContext) -> BaseModel:
        """Reads the upstream table as the type the asset asks for."""
        table: type[BaseModel] = context.dagster_type.typing_type
        key = _key(context)
        if key not in self._cache:
            self._cache[key] = _read(self._store, key)
        return _parsed(self._cache[key], key, table)


def vehicle_of_partition(name: str | None) -> keys.VehicleId:
    """The vehicle that a partition names; `name` is None where a run was started without one.

    Raises BadInput with what to do in Dagster's UI.
    """
    if name is None:
        raise BadInput(
            "no vehicle was chosen: a partition is one vehicle, and assets and checks run for one; "
            "open the asset's Partitions tab, or launch the job vehicle_media and pick it there"
        )
    try:
        return keys.parse_vehicle_id(name)
    except keys.BadVehicleId as bad:
        raise BadInput(f"{bad}; `okla archive {shlex.quote(name)}` removes the partition") from None


def _key(context: Any) -> str:
    chosen = context.asset_partition_key if context.has_asset_partitions else None
    vehicle = vehicle_of_partition(chosen)
    return keys.table(vehicle, context.asset_key.path[-1])


@dg.io_manager(required_resource_keys={"store"})
def table_io_manager(context: dg.InitResourceContext) -> TableIOManager:
    return TableIOManager(context.resources.store)
