"""Types, names and texts as DuckDB writes them in SQL."""

from __future__ import annotations

from app.datatypes.types import DataType

_DUCKDB = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
    "string": "VARCHAR",
    "uuid": "UUID",
    "binary": "BLOB",
}


def duckdb_type(kind: DataType) -> str:
    """The same type as DuckDB writes it in SQL."""
    if kind.name == "decimal":
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind.name == "struct":
        return f"STRUCT({', '.join(f'{duckdb_name(f.name)} {duckdb_type(f.type)}' for f in kind.fields)})"
    if kind.name == "array" and kind.element:
        return f"{duckdb_type(kind.element.type)}[]"
    if kind.name == "map" and kind.key and kind.element:
        return f"MAP({duckdb_type(kind.key.type)}, {duckdb_type(kind.element.type)})"
    return _DUCKDB[kind.name]


def duckdb_name(name: str) -> str:
    """`name` as a quoted DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def duckdb_text(text: str) -> str:
    """`text` as a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"
