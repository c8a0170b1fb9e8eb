"""Look into a table: its description, its first rows, and SQL over it in a DuckDB that reaches nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

import duckdb
from pyiceberg.table import ALWAYS_TRUE, DataScan

from app.catalog import query_hints
from app.catalog.duck_table import opened, reader
from app.catalog.faults import reading
from app.catalog.lineage import snapshot_info, staged_beside
from app.catalog.partitions import partition_texts
from app.catalog.seen import Seen
from app.catalog.table import Look, Table
from app.datatypes import TableSchema
from app.errors import InvalidInput, NotFound
from app.values import SnapshotInfo


@dataclass(frozen=True, slots=True)
class Rows:
    """A result: names of columns, and rows in their order. `more`: the answer went on."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """What a table is, at one moment. `partition_by` as people write it; `records` as the last snapshot counts them;
    `staged` are snapshots that are not of the table yet, and of no branch or tag: no reader sees them.
    """

    name: str
    uuid: UUID
    location: str
    format_version: int
    schema: TableSchema
    partition_by: tuple[str, ...]
    properties: dict[str, str]
    head: SnapshotInfo | None
    snapshots: int
    staged: int
    records: int | None
    data_files: int | None
    byte_count: int | None
    updated_at: datetime


class Reader(Protocol):
    """Looks into one table. Each method reads it fresh."""

    def describe(self) -> Description: ...

    def head(self, count: int, snapshot_id: int | None = None) -> Rows:
        """The first rows, of that snapshot. Raises NotFound for one that is not there."""

    def sql(
        self, query: str, snapshot_id: int | None = None, *, most: int = 1_000, scratch: Path | None = None
    ) -> Rows:
        """The first `most` rows of the answer to one SELECT of a person's. Raises InvalidInput, NotOffered."""

    def ours(
        self, query: str, snapshot_id: int | None = None, *, most: int = 1_000, scratch: Path | None = None
    ) -> Rows:
        """The same for a SELECT of our own, in SQL that DuckDB and Spark have in common."""


@dataclass(frozen=True, slots=True)
class TableReader:
    """Of a table in a catalog of ours."""

    table: Table

    def describe(self) -> Description:
        return describe(self.table.look())

    def head(self, count: int, snapshot_id: int | None = None) -> Rows:
        return head(self.table.look(), count, snapshot_id)

    def sql(
        self, query: str, snapshot_id: int | None = None, *, most: int = 1_000, scratch: Path | None = None
    ) -> Rows:
        return sql(self.table.look(), query, snapshot_id, most=most, scratch=scratch)

    ours = sql


def describe(look: Seen) -> Description:
    metadata = look.metadata
    current, staged = metadata.current_snapshot(), len(staged_beside(metadata))
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
        snapshots=len(metadata.snapshots) - staged,
        staged=staged,
        records=_number(summary, "total-records"),
        data_files=_number(summary, "total-data-files"),
        byte_count=_number(summary, "total-files-size"),
        updated_at=updated,
    )


def head(look: Look, count: int, snapshot_id: int | None = None) -> Rows:
    """The first `count` rows the table gives, of that snapshot. Raises NotFound for a snapshot that is not there."""
    found: list[dict[str, object]] = []
    with reading(str(look.name)):
        rows = reader(_scan(look, snapshot_id))
        for batch in rows:
            found += batch.slice(0, count - len(found)).to_pylist()
            if len(found) >= count:
                break
    names = tuple(rows.schema.names)
    return Rows(names, tuple(tuple(row[name] for name in names) for row in found))


def sql(
    look: Look, query: str, snapshot_id: int | None = None, *, most: int = 1_000, scratch: Path | None = None
) -> Rows:
    """The answer to one SELECT, in which the table has its name, with or without namespace and catalog: its first
    `most` rows. Nothing is copied; what does not fit into memory goes to the folder `scratch`.

    Raises InvalidInput with DuckDB's words for a query that fails, CatalogError for a table that cannot be read.
    """
    scan = _scan(look, snapshot_id)
    try:
        with opened(look.name, scan, scratch) as connection:
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise InvalidInput("Only one SELECT at a time can be asked.", hint="Write SELECT … FROM the table.")
            answer = connection.execute(statements[0])
            columns = tuple(item[0] for item in answer.description or ())
            rows = answer.fetchmany(most + 1)
            return Rows(columns, tuple(rows[:most]), more=len(rows) > most)
    except duckdb.Error as error:
        said = str(error).splitlines()[0]  # the rest draws the place in the query
        hint = query_hints.hint(error, query, look.name, look.state.schema)
        raise InvalidInput(f"The query failed: {said}", hint=hint) from error


def _scan(look: Look, snapshot_id: int | None) -> DataScan:
    if snapshot_id is not None and look.loaded.metadata.snapshot_by_id(snapshot_id) is None:
        raise NotFound(f"{look.name} has no snapshot {snapshot_id}.", hint="It may have been expired.")
    return look.loaded.scan(row_filter=ALWAYS_TRUE, snapshot_id=snapshot_id)


def _number(summary: dict[str, str], name: str) -> int | None:
    text = summary.get(name, "")
    return int(text) if text.isdigit() else None
