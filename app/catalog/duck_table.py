"""A table inside DuckDB, under its own name, without a copy of it.

Where DuckDB reads the table's Parquet files as Iceberg says they must be read, it does so itself, without the columns
and rows that a query does not need. Else the library streams them, once for each time that a query names the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from pyiceberg.io.pyarrow import ArrowScan, _read_all_delete_files, schema_to_pyarrow
from pyiceberg.manifest import FileFormat
from pyiceberg.table import DataScan, FileScanTask, TableProperties

from app.catalog.faults import reading
from app.catalog.names import TableName
from app.catalog.schema import from_iceberg
from app.datatypes import Column, DataType, TableSchema, duckdb_name, duckdb_text, duckdb_type
from app.errors import CatalogError

_MEMORY = "512MB"
_NO_DEFAULTS = 2  # the last format without default values, which only the library fills in


def batches(scan: DataScan) -> Iterator[pa.RecordBatch]:
    """The rows, as many at a time as one read gives."""
    # The library's own way is to read the files side by side and to hold each of them whole.
    arrow = ArrowScan(scan.table_metadata, scan.io, scan.projection(), scan.row_filter, scan.case_sensitive)
    for task in scan.plan_files():
        deletes = _read_all_delete_files(scan.io, [task])
        yield from arrow._record_batches_from_scan_tasks_and_deletes([task], deletes)  # noqa: SLF001


def reader(scan: DataScan) -> pa.RecordBatchReader:
    """The same with the table's types."""
    schema = schema_to_pyarrow(scan.projection())
    return pa.RecordBatchReader.from_batches(schema, batches(scan)).cast(schema)


class Stream:
    """What DuckDB opens for each time that the table is named. `fault` is what broke a pass off."""

    def __init__(self, scan: DataScan) -> None:
        self._scan = scan
        self.fault: Exception | None = None

    def __arrow_c_schema__(self) -> object:
        return schema_to_pyarrow(self._scan.projection()).__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        rows = reader(self._scan)
        watched = pa.RecordBatchReader.from_batches(rows.schema, self._watched(rows))
        return watched.__arrow_c_stream__(requested_schema)

    def _watched(self, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from rows
        except Exception as error:
            self.fault = error
            raise


@contextmanager
def opened(name: TableName, scan: DataScan, scratch: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that knows the table by its name, with or without namespace and catalog, and reaches nothing else.

    What does not fit into memory goes to `scratch`; without one, such a query fails. Raises CatalogError for a table
    that cannot be read, also while a query runs; what else DuckDB says is the query's.
    """
    stream = Stream(scan)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "temp_directory": str(scratch) if scratch else "",
        "python_enable_replacements": "false",
    }
    try:
        with duckdb.connect(config=settings) as connection:
            _name(connection, name, scan, stream)
            yield connection
    except duckdb.IOException as error:
        said = str(error).splitlines()[0]
        raise CatalogError(f"A file of {name} cannot be read: {said}", hint="Was it removed by hand?") from error
    except duckdb.Error:
        with reading(str(name)):
            if stream.fault is not None:
                raise stream.fault from None
        raise


def _name(connection: duckdb.DuckDBPyConnection, name: TableName, scan: DataScan, stream: Stream) -> None:
    """Give the table its name, and lock the door."""
    database, schema = duckdb_name(name.catalog), duckdb_name(name.namespace)
    with reading(str(name)):
        source = _source(connection, scan, stream)
    connection.execute(f"ATTACH ':memory:' AS {database}")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {database}.{schema}")
    view = f"CREATE VIEW {database}.{schema}.{duckdb_name(name.table)} AS SELECT * FROM {source}"  # noqa: S608
    connection.execute(view)
    connection.execute(f"USE {database}.{schema}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _source(connection: duckdb.DuckDBPyConnection, scan: DataScan, stream: Stream) -> str:
    """What stands behind the table's name."""
    paths = local_files(scan)
    if paths and _all_have_ids(connection, paths):
        connection.execute("SET allowed_paths = $1", [paths])
        return _parquet(paths, from_iceberg(scan.projection()))
    connection.register("autoloader_stream", stream)
    return "autoloader_stream"


# --- reading the files themselves ------------------------------------------------------------


def local_files(scan: DataScan) -> list[str]:
    """The data files, when DuckDB can read them right: on this machine, Parquet, no deletes, nothing renamed inside
    structs. Empty otherwise, also for a table without files.
    """
    metadata = scan.table_metadata
    if metadata.format_version > _NO_DEFAULTS or TableProperties.DEFAULT_NAME_MAPPING in metadata.properties:
        return []
    try:
        schema = from_iceberg(scan.projection())
    except CatalogError:
        return []
    evolved = len(metadata.schemas) > 1 or metadata.current_schema_id > 0
    if evolved and any(_holds_struct(column.type) for column in schema):
        return []
    if len({column.name.lower() for column in schema}) < len(schema):
        return []
    paths = [_local_path(task) for task in scan.plan_files()]
    return [] if None in paths else [path for path in paths if path is not None]


def _local_path(task: FileScanTask) -> str | None:
    scheme, found, rest = task.file.file_path.partition("://")
    path = rest if found and scheme == "file" else task.file.file_path
    plain = path.startswith("/") and not set(path) & set("*?[")  # which DuckDB takes for patterns
    return path if plain and not task.delete_files and task.file.file_format == FileFormat.PARQUET else None


def _holds_struct(kind: DataType) -> bool:
    inner = [column.type for column in (kind.element, kind.key) if column is not None]
    return kind.name == "struct" or any(map(_holds_struct, inner))


def _all_have_ids(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> bool:
    """Whether every column can be found by its field id: of one that cannot, DuckDB would make nulls."""
    leaves = "SELECT 1 FROM parquet_schema($1) WHERE coalesce(num_children, 0) = 0 AND field_id IS NULL LIMIT 1"
    return not connection.execute(leaves, [paths]).fetchall()


def _parquet(paths: list[str], schema: TableSchema) -> str:
    listed = ", ".join(map(duckdb_text, paths))
    columns = ", ".join(f"{column.field_id}: {_described(column)}" for column in schema)
    return f"read_parquet([{listed}], schema=MAP {{{columns}}}, hive_partitioning=false)"


def _described(column: Column) -> str:
    return f"{{name: {duckdb_text(column.name)}, type: {duckdb_text(duckdb_type(column.type))}, default_value: NULL}}"
