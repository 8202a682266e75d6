"""The columns of an asset's rows, as Dagster shows them: read from the pydantic model of a row."""

from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel

from okla_assets.contract import Listing
from okla_assets.tables import Table

ROWS = ("rows", "photos", "frames")
"""Names of the field that holds a table's rows; a table without one is a row itself."""

_PLAIN = {
    int: "integer",
    float: "float",
    str: "string",
    bool: "boolean",
    datetime: "datetime",
}


def row_model(table: type[BaseModel]) -> type[BaseModel]:
    """The model of one row of a table or of a listing."""
    for name in ROWS:
        if name in table.model_fields:
            row: type[BaseModel] = get_args(table.model_fields[name].annotation)[0]
            return row
    return table


def schema_of(table: type[BaseModel]) -> dg.TableSchema:
    """The columns of the table's rows; those that every table has for itself are left out."""
    row = row_model(table)
    of_all = Table.model_fields.keys() if issubclass(row, Table) else set[str]()
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                _type_name(field.annotation),
                description=field.description,
                constraints=dg.TableColumnConstraints(nullable=_may_be_none(field.annotation)),
            )
            for name, field in row.model_fields.items()
            if name not in of_all
        ]
    )


def output_table(asset: dg.AssetsDefinition) -> type[BaseModel]:
    """The table that an asset's function hands on, from its annotation."""
    (output,) = asset.op.output_defs
    table = output.dagster_type.typing_type
    assert isinstance(table, type) and issubclass(table, (Table, Listing)), table
    return table


def row_count(table: BaseModel) -> int:
    """How many rows the table has; frames beside photos count as well."""
    found = [len(getattr(table, name)) for name in ROWS if hasattr(table, name)]
    return sum(found) if found else 1


def _may_be_none(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _type_name(annotation: Any) -> str:
    """The type in words: "integer", "string", "list of ..."; null is told by the constraint."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(inside[0])
    if origin is Literal:
        return _PLAIN[type(inside[0])]
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type_name(t) for t in inside if t is not type(None)))
    if origin is tuple:
        return f"list of {_type_name(inside[0])}"
    if origin is dict:
        return "object"
    return "object" if isinstance(annotation, type) else str(annotation)
