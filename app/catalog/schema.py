"""Columns and types between our words (`app.datatypes`) and the Iceberg library's, field ids kept."""

from __future__ import annotations

from itertools import count

from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    PrimitiveType,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from app.datatypes import Column, DataType, TableSchema, decimal, primitive
from app.errors import CatalogError

_PRIMITIVES: dict[str, PrimitiveType] = {
    "boolean": BooleanType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "date": DateType(),
    "time": TimeType(),
    "timestamp": TimestampType(),
    "timestamptz": TimestamptzType(),
    "string": StringType(),
    "uuid": UUIDType(),
    "binary": BinaryType(),
}
_NAMES = {str(kind): name for name, kind in _PRIMITIVES.items()}


def to_iceberg(schema: TableSchema) -> Schema:
    """The library's schema, with ids in order of appearance; a table gives its own when it is created."""
    ids = count(1)
    return Schema(*(_field(column, ids) for column in schema))


def to_iceberg_type(kind: DataType) -> IcebergType:
    """The library's type; ids inside are placeholders that the table replaces."""
    return _type(kind, count(1))


def from_iceberg(schema: Schema) -> TableSchema:
    """The columns with their field ids. Raises CatalogError, naming the column, for a type that we cannot write."""
    return TableSchema(tuple(_column(field, field.name) for field in schema.fields))


def field_types(schema: TableSchema) -> dict[int, str]:
    """Field id → type and nullability, nested ones too: what a data file relies on (protocol, point 3)."""
    found: dict[int, str] = {}
    pending = list(schema)
    while pending:
        column = pending.pop()
        kind = column.type
        inner = [*kind.fields, *(child for child in (kind.element, kind.key) if child is not None)]
        pending += inner
        shown = kind.name if kind.nested else str(kind)
        if column.field_id is not None:
            found[column.field_id] = f"{shown} not null" if column.required else shown
    return found


def _field(column: Column, ids: count[int]) -> NestedField:
    own = next(ids)
    return NestedField(field_id=own, name=column.name, field_type=_type(column.type, ids), required=column.required)


def _type(kind: DataType, ids: count[int]) -> IcebergType:
    if kind.name == "decimal":
        return DecimalType(kind.precision, kind.scale)
    if kind.name == "struct":
        return StructType(*(_field(member, ids) for member in kind.fields))
    if kind.name == "array" and kind.element:
        own = next(ids)
        return ListType(
            element_id=own, element_type=_type(kind.element.type, ids), element_required=kind.element.required
        )
    if kind.name == "map" and kind.key and kind.element:
        key_id, value_id = next(ids), next(ids)
        return MapType(
            key_id=key_id,
            key_type=_type(kind.key.type, ids),
            value_id=value_id,
            value_type=_type(kind.element.type, ids),
            value_required=kind.element.required,
        )
    return _PRIMITIVES[kind.name]


def _column(field: NestedField, path: str) -> Column:
    return Column(field.name, _data_type(field.field_type, path), required=field.required, field_id=field.field_id)


def _data_type(kind: IcebergType, path: str) -> DataType:
    if isinstance(kind, DecimalType):
        return decimal(kind.precision, kind.scale)
    if isinstance(kind, StructType):
        return DataType("struct", fields=tuple(_column(field, f"{path}.{field.name}") for field in kind.fields))
    if isinstance(kind, ListType):
        return DataType("array", element=_column(kind.element_field, f"{path}.element"))
    if isinstance(kind, MapType):
        return DataType(
            "map", key=_column(kind.key_field, f"{path}.key"), element=_column(kind.value_field, f"{path}.value")
        )
    name = _NAMES.get(str(kind))
    if name is None:
        raise CatalogError(
            f"Column {path} has the type {kind}, which cannot be loaded into.",
            hint="Load into another table, or drop the column.",
        )
    return primitive(name)
