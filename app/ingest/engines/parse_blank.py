"""Rows that hold nothing: no column of the table has a value, nor that of rescued data. Where keys without a column are
left out, a record may come to that.

A CSV file none of whose columns the table has is set aside by its header. What keys objects have, in JSON and inside
Parquet, only the rows tell. They are read again only where the statistics of the data files leave it open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from app.datatypes import DataType, TableSchema, duckdb_name, duckdb_text
from app.ingest.formats.contract import RowColumns


def blank_rows(
    connection: duckdb.DuckDBPyConnection, data_files: Sequence[str], schema: TableSchema, added: RowColumns
) -> dict[int, int]:
    """The number of blank rows by file id, where there are some. `schema` are the columns that files bring, those of
    rescued data and of the file's id are among `added`. Raises duckdb.Error.
    """
    listed = f"[{', '.join(map(duckdb_text, data_files))}]"
    if not data_files or _none_by_statistics(connection, listed, schema):
        return {}
    key = duckdb_name(added.file_id[0])
    leaves = [leaf for column in schema for leaf in _leaves(duckdb_name(column.name), column.type)]
    leaves += [duckdb_name(added.rescued_data[0])] if added.rescued_data else []
    blank = " AND ".join(f"{leaf} IS NULL" for leaf in leaves) or "true"
    rows = f"read_parquet({listed}, hive_partitioning=false)"
    found = connection.execute(f"SELECT {key}, count(*) FROM {rows} WHERE {blank} GROUP BY 1").fetchall()
    return dict(found)


def _leaves(value: str, kind: DataType) -> Iterator[str]:
    """SQL: the value, or those of a struct, at any depth; a struct of nulls holds nothing."""
    if kind.name != "struct":
        yield value
    for member in kind.fields:
        yield from _leaves(f"struct_extract({value}, {duckdb_text(member.name)})", member.type)


def _none_by_statistics(connection: duckdb.DuckDBPyConnection, listed: str, schema: TableSchema) -> bool:
    """Whether each row group has a column without a null. Those inside others count nulls in their own way."""
    plain = [duckdb_text(column.name) for column in schema if not column.type.nested]
    if not plain:
        return False
    filled = f"stats_null_count = 0 AND path_in_schema IN ({', '.join(plain)})"
    groups = (
        f"SELECT coalesce(bool_or({filled}), false) AS filled FROM parquet_metadata({listed})"
        " GROUP BY file_name, row_group_id"
    )
    ((told,),) = connection.execute(f"SELECT bool_and(filled) FROM ({groups})").fetchall()
    return bool(told)
