"""The reject table of a table: records that could not be parsed, appended once for each batch (protocol, point 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import InputFile
from pyiceberg.io.pyarrow import schema_to_pyarrow

from app.catalog.datafile import describe_file
from app.catalog.faults import reading
from app.catalog.names import TableName
from app.catalog.seen import Seen
from app.catalog.table import Catalog, Look
from app.datatypes import TableSchema, parse_schema
from app.errors import CatalogError, FileMissing, LandingIncomplete
from app.values import Batch, RejectSample, SnapshotInfo

SCHEMA: TableSchema = parse_schema(
    "file_id bigint, source_file string, line bigint, byte_offset bigint, reason string, raw string,"
    " batch_id string, run_id string, ingested_at timestamptz"
)
_BATCH_ROWS = 16_384
_SHOWN_TEXT = 80


def ensure(catalog: Catalog, table: TableName) -> Look:
    """The reject table of `table`, made when it is not there.

    Raises CatalogError for a table of that name with other columns: it is somebody's, and would get empty rows.
    """
    look = catalog.create(table.rejects, SCHEMA)
    require_columns(look, table)
    return look


def require_columns(look: Seen, table: TableName) -> None:
    """Raises CatalogError unless it is a reject table, of that table."""
    there = {column.name: column for column in look.state.schema}
    wrong = [
        f"{column.name} {there[column.name].type}" if column.name in there else f"no {column.name}"
        for column in SCHEMA
        if column.name not in there or str(there[column.name].type) != str(column.type)
    ]
    wrong += [f"{name} not null" for name, column in there.items() if column.required]
    if wrong:
        raise CatalogError(
            f"{look.name} is no reject table: it has {', '.join(wrong[:5])}. Rejected records have no place.",
            hint=f"Rename it, or load into another table than {table}.",
        )


def first(staged: Sequence[Path], each: int, most: int) -> tuple[RejectSample, ...]:
    """The first records of the parser's reject files: `each` of a file, `most` in all."""
    found: list[RejectSample] = []
    seen = Counter[int]()
    for batch in chain.from_iterable(_batches(path) for path in staged):
        for row in batch.to_pylist():
            seen[row["file_id"]] += 1
            if seen[row["file_id"]] <= each:
                found.append(sample(row))
            if len(found) >= most:
                return tuple(found)
    return tuple(found)


def sample(row: Mapping[str, Any]) -> RejectSample:
    """A rejected record as messages name it; its place where that is known, as a cluster does not know it."""
    place = ""
    if row["line"] is not None:
        place = f"line {row['line']}: "
    elif row["byte_offset"] is not None:
        place = f"byte {row['byte_offset']}: "
    raw = str(row["raw"] or "").rstrip("\r\n")
    shown = raw if len(raw) <= _SHOWN_TEXT else f"{raw[:_SHOWN_TEXT]}…"
    return RejectSample(row["file_id"], f"{place}{row['reason']}: {shown}", row["reason"])


def write(look: Look, staged: Sequence[Path], batch: Batch, attempt: str, at: datetime) -> str:
    """Store the parser's reject files as one at the reject table's location, under a path of this attempt's own.

    `staged` have the columns up to `raw`; the rest is filled in. Answers the path. Publishes nothing.
    """
    target = schema_to_pyarrow(look.loaded.metadata.schema())
    same: dict[str, object] = {"batch_id": str(batch.id), "run_id": str(batch.run_id), "ingested_at": at}
    with reading(str(look.name)):
        location = look.loaded.location_provider().new_data_location(f"{batch.id}.{attempt}.rejects.parquet")
        with (
            look.loaded.io.new_output(location).create(overwrite=True) as stream,
            pq.ParquetWriter(stream, target, compression="zstd") as writer,
        ):
            for path in staged:
                for rows in _batches(path):
                    writer.write_table(_filled(rows, target, same))
    return location


def append(look: Look, location: str, properties: dict[str, str]) -> SnapshotInfo:
    """One attempt to publish a reject file that was written before.

    Raises FileMissing when it is gone, LandingIncomplete when it is broken, CommitConflict, CommitUnknown.
    """
    with reading(str(look.name)):
        file = look.loaded.io.new_input(location)
        entry = describe_file(look.loaded.metadata, _footer(file), location, len(file), None)
    return look.append([entry], properties)


def has_rows_of(look: Look, batch: Batch) -> bool:
    """Whether rejects of the batch are in the table, by its rows. Reads one column, of files that can hold them."""
    with reading(str(look.name)):
        scan = look.loaded.scan(f"batch_id = '{batch.id}'", selected_fields=("batch_id",), limit=1)
        return bool(scan.to_arrow().num_rows)


def _footer(file: InputFile) -> pq.FileMetaData:
    try:
        with file.open() as stream:
            return pq.read_metadata(stream)
    except FileNotFoundError as error:
        raise FileMissing(
            f"There is no reject file {file.location}.", hint="Was it removed by hand, or by a clean-up of the storage?"
        ) from error
    except pa.ArrowInvalid as error:
        raise LandingIncomplete(
            f"The reject file {file.location} cannot be read: {error}.", hint="Do not change files of a table by hand."
        ) from error


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(_BATCH_ROWS)


def _filled(batch: pa.RecordBatch, target: pa.Schema, same: dict[str, object]) -> pa.Table:
    columns = []
    for field in target:
        if field.name in same:
            columns.append(pa.array([same[field.name]] * batch.num_rows, type=field.type))
        elif field.name in batch.schema.names:
            columns.append(batch.column(field.name).cast(field.type))
        else:
            columns.append(pa.nulls(batch.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=target)
