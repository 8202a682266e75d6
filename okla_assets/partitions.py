"""One partition is one vehicle; photos are rows of its tables, never partitions."""

import dagster as dg

from okla_assets import keys

vehicles = dg.DynamicPartitionsDefinition(name="vehicles")


def vehicle_of(context: dg.AssetExecutionContext) -> keys.VehicleId:
    """The vehicle a run is about."""
    return keys.parse_vehicle_id(context.partition_key)
