"""Look into a table: its description, its first rows, and SQL over it in a DuckDB that reaches nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import duckdb
from pyiceberg.table import ALWAYS_TRUE, DataScan

from app.catalog.faults import reading
from app.catalog.lineage import snapshot_info
from app.catalog.partitions import partition_texts
from app.catalog.table import Look
from app.datatypes import TableSchema, duckdb_name, duckdb_text
from app.errors import InvalidInput, NotFound
from app.values import SnapshotInfo

_MEMORY = "512MB"


@dataclass(frozen=True, slots=True)
class Rows:
    """A result: names of columns, and rows in their order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What a table is, at one moment. `partition_by` as people write it; `records` as the last snapshot counts them."""

    name: str
    uuid: UUID
    location: str
    format_version: int
    schema: TableSchema
    partition_by: tuple[str, ...]
    properties: dict[str, str]
    head: SnapshotInfo | None
    snapshots: int
    records: int | None
    data_files: int | None
    byte_count: int | None
    updated_at: datetime


def describe(look: Look) -> Description:
    metadata = look.loaded.metadata
    current = metadata.current_snapshot()
    head = snapshot_info(current) if current else None
    summary = head.summary if head else {"total-records": "0", "total-data-files": "0", "total-files-size": "0"}
    updated = datetime.fromtimestamp(metadata.last_updated_ms / 1000).astimezone()
    return Description(
        name=look.state.name,
        uuid=metadata.table_uuid,
        location=metadata.location,
        format_version=metadata.format_version,
        schema=look.state.schema,
        partition_by=partition_texts(metadata),
        properties=dict(metadata.properties),
        head=head,
        snapshots=len(metadata.snapshots),
        records=_number(summary, "total-records"),
        data_files=_number(summary, "total-data-files"),
        byte_count=_number(summary, "total-files-size"),
        updated_at=updated,
    )


def head(look: Look, count: int, snapshot_id: int | None = None) -> Rows:
    """The first `count` rows the table gives, of that snapshot. Raises NotFound for a snapshot that is not there."""
    with reading(str(look.name)):
        table = _scan(look, snapshot_id, limit=count).to_arrow()
    names = tuple(table.column_names)
    return Rows(names, tuple(tuple(row[name] for name in names) for row in table.to_pylist()))


def sql(look: Look, query: str, snapshot_id: int | None = None) -> Rows:
    """The answer to one SELECT, in which the table has its name, with or without namespace and catalog.

    The rows are copied to a scratch file first, so that memory is bounded and the table can be named twice.
    Raises InvalidInput with DuckDB's words for a query that fails.
    """
    with _session(look, snapshot_id) as connection:
        try:
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise InvalidInput("Only one SELECT at a time can be asked.", hint="Write SELECT … FROM the table.")
            answer = connection.execute(statements[0])
            columns = tuple(item[0] for item in answer.description or ())
            return Rows(columns, tuple(answer.fetchall()))
        except duckdb.Error as error:
            raise InvalidInput(f"The query failed: {error}", hint=f"Columns: {look.state.schema}") from error


@contextmanager
def _session(look: Look, snapshot_id: int | None) -> Iterator[duckdb.DuckDBPyConnection]:
    name = look.name
    with tempfile.TemporaryDirectory(prefix="autoloader-sql-") as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY,
            "temp_directory": folder,
            "python_enable_replacements": "false",
        }
        with duckdb.connect(config=settings) as connection:
            database, schema = duckdb_name(name.catalog), duckdb_name(name.namespace)
            connection.execute(f"ATTACH {duckdb_text(str(Path(folder) / 'rows.duckdb'))} AS {database}")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {database}.{schema}")
            table = f"{database}.{schema}.{duckdb_name(name.table)}"
            with reading(str(name)):
                connection.register("source", _scan(look, snapshot_id).to_arrow_batch_reader())
                connection.execute(f"CREATE TABLE {table} AS SELECT * FROM source")  # noqa: S608  # quoted above
            connection.unregister("source")
            connection.execute(f"USE {database}.{schema}")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield connection


def _scan(look: Look, snapshot_id: int | None, limit: int | None = None) -> DataScan:
    if snapshot_id is not None and look.loaded.metadata.snapshot_by_id(snapshot_id) is None:
        raise NotFound(f"{look.name} has no snapshot {snapshot_id}.", hint="It may have been expired.")
    return look.loaded.scan(row_filter=ALWAYS_TRUE, snapshot_id=snapshot_id, limit=limit)


def _number(summary: dict[str, str], name: str) -> int | None:
    text = summary.get(name, "")
    return int(text) if text.isdigit() else None
