"""Statements that make and change a table on a cluster. Pure text."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pyiceberg.partitioning import PartitionField
from pyiceberg.schema import Schema

from app.catalog.names import TableName
from app.catalog.partitions import parse_partitions
from app.catalog.schema import to_iceberg
from app.datatypes import Column, DataType, TableSchema
from app.errors import InvalidInput
from app.ingest.engines.spark_rows import empty_sql
from app.ingest.formats.spark.text import type_sql
from app.spark import identifier, literal

_FUNCTIONS = {"year": "years", "month": "months", "day": "days", "hour": "hours"}
_TYPES = {"timestamp": "TIMESTAMP_NTZ", "timestamptz": "TIMESTAMP_LTZ", "uuid": "STRING"}


def target(name: TableName) -> str:
    """The table as statements name it."""
    return identifier(name.catalog, name.namespace, name.table)


def argument(name: TableName) -> str:
    """The table as procedures take it: with its catalog, for a namespace may have the name of one."""
    return literal(target(name))


def make_namespace(name: TableName) -> str:
    return f"CREATE NAMESPACE IF NOT EXISTS {identifier(name.catalog, name.namespace)}"


def create(name: TableName, schema: TableSchema, partition_by: Sequence[str], properties: Mapping[str, str]) -> str:
    """Raises InvalidInput for a column or a partition that a cluster cannot make."""
    require_types(name, schema)
    columns = ", ".join(
        f"{identifier(one.name)} {_type(one.type)}{' NOT NULL' if one.required else ''}" for one in schema
    )
    iceberg = to_iceberg(schema)
    parts = [_partition(field, iceberg) for field in parse_partitions(partition_by, iceberg).fields]
    partitioned = f" PARTITIONED BY ({', '.join(parts)})" if parts else ""
    return f"CREATE TABLE {target(name)} ({columns}) USING iceberg{partitioned} TBLPROPERTIES ({_pairs(properties)})"


def add_columns(name: TableName, missing: Sequence[tuple[tuple[str, ...], Column]]) -> str:
    """Raises InvalidInput for a type that a cluster cannot make."""
    require_types(name, TableSchema(tuple(column for _, column in missing)))
    columns = ", ".join(f"{identifier(*path)} {_type(column.type)}" for path, column in missing)
    return f"ALTER TABLE {target(name)} ADD COLUMNS ({columns})"


def set_properties(name: TableName, properties: Mapping[str, str]) -> str:
    return f"ALTER TABLE {target(name)} SET TBLPROPERTIES ({_pairs(properties)})"


def expire(name: TableName, snapshot_ids: Collection[int]) -> str:
    """Of these snapshots and no others: by age the procedure would take those that batches are counted from."""
    ids = ", ".join(f"{one}L" for one in snapshot_ids)
    return (
        f"CALL {identifier(name.catalog)}.system.expire_snapshots(table => {argument(name)},"
        f" older_than => TIMESTAMP'1970-01-01 00:00:00', snapshot_ids => array({ids}))"
    )


def nothing(schema: TableSchema) -> str:
    """The SELECT of no rows, with a table's columns."""
    columns = ", ".join(f"{_empty(one)} AS {identifier(one.name)}" for one in schema)
    return f"SELECT {columns} WHERE false"


def require_types(name: TableName, schema: TableSchema) -> None:
    """Raises InvalidInput for a column of a type that Spark's DDL does not have."""
    for column in schema:
        lacking = next((kind for kind in ("uuid", "time") if kind in _kinds(column.type)), "")
        if lacking:
            raise InvalidInput(
                f"Column {column.name} of {name} is of the type {lacking}: a cluster cannot make it.",
                hint="Declare it as string, or reach the catalog with a connection that the embedded engine can use.",
            )


def _kinds(kind: DataType) -> set[str]:
    inner = [member.type for member in kind.fields]
    inner += [child.type for child in (kind.element, kind.key) if child]
    return {kind.name}.union(*map(_kinds, inner))


def _type(kind: DataType) -> str:
    """What TIMESTAMP means is said, and not left to the session."""
    return type_sql(kind, _TYPES)


def _empty(column: Column) -> str:
    """A value of the column's type that may stand in it. Nobody will see it."""
    if not column.required:
        return f"CAST(NULL AS {_type(column.type)})"
    return empty_sql(column.type)


def _partition(field: PartitionField, schema: Schema) -> str:
    dotted = schema.find_column_name(field.source_id) or ""
    own = any(column.name == dotted for column in schema.fields)
    column = identifier(dotted) if own else identifier(*dotted.split("."))
    function, _, number = str(field.transform).rstrip("]").partition("[")
    if function == "identity":
        return column
    if function in {"bucket", "truncate"}:
        return f"{function}({number}, {column})"
    if function not in _FUNCTIONS:
        raise InvalidInput(f"{function}({dotted}) cannot be made on a cluster.", hint="Leave it out of partition_by.")
    return f"{_FUNCTIONS[function]}({column})"


def _pairs(properties: Mapping[str, str]) -> str:
    return ", ".join(f"{literal(name)} = {literal(value)}" for name, value in properties.items())
