"""Columns and their types, in the words of Iceberg, without Iceberg's library.

The readable form is what people write and what is stored:
`id bigint, at timestamptz, price decimal(10,2), tags array<string>, home struct<lat: double, lon: double>`.
"""

from __future__ import annotations

from app.datatypes.duckdb import duckdb_name, duckdb_text, duckdb_type
from app.datatypes.full_names import FullNames, clash, without_clashes
from app.datatypes.plain import schema_from_json, schema_to_json
from app.datatypes.readable import parse_schema
from app.datatypes.types import (
    PRIMITIVES,
    Column,
    DataType,
    TableSchema,
    array,
    can_be_named,
    decimal,
    mapping,
    primitive,
    quote_name,
    struct,
)

__all__ = [
    "PRIMITIVES",
    "Column",
    "DataType",
    "FullNames",
    "TableSchema",
    "array",
    "can_be_named",
    "clash",
    "decimal",
    "duckdb_name",
    "duckdb_text",
    "duckdb_type",
    "mapping",
    "parse_schema",
    "primitive",
    "quote_name",
    "schema_from_json",
    "schema_to_json",
    "struct",
    "without_clashes",
]
