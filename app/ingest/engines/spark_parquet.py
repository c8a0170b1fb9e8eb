"""Parquet on a cluster: each file's footer is read here, and says how the cluster reads its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from app.datatypes import Column, TableSchema, can_be_named
from app.errors import FileMissing, SourceAccessDenied
from app.ingest.engines import spark_rows, spark_source
from app.ingest.engines.embedded_input import compression_of
from app.ingest.engines.spark_footers import footer_of
from app.ingest.engines.spark_frames import through, together
from app.ingest.engines.spark_limits import refused
from app.ingest.engines.spark_stage import Stage
from app.ingest.formats.base import NewColumn
from app.ingest.formats.contract import ParseFile, ParseLimits
from app.ingest.formats.one_case import of_another_table
from app.ingest.formats.parquet_footer import read_footer
from app.ingest.formats.spark import parquet
from app.ingest.formats.spark.arrow_types import known_type
from app.ingest.formats.spark.text import type_sql
from app.ingest.formats.streams import BadFile
from app.schemas.ingestion import FormatShape
from app.spark import Session, identifier
from app.storage import Store
from app.values import BatchFile, FileOutcome, FileState, SnapshotInfo

_AT_ONCE = 16  # footers, which are mostly waited for
_NO_COLUMNS = '{"type": "struct", "fields": []}'


@dataclass(slots=True)
class ParquetOnSpark:
    """Files are grouped by their columns: each group is read as what it is, and all of them in one job."""

    schema: TableSchema
    store: Store
    shape: FormatShape
    limits: ParseLimits
    ignores: bool = False
    _columns: dict[int, tuple[Column, ...]] = field(default_factory=dict)
    _records: dict[int, int] = field(default_factory=dict)

    def look(self, session: Session, files: Sequence[BatchFile]) -> list[FileOutcome]:
        del session
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="footer") as pool:
            return [outcome for outcome in pool.map(self._looked, files) if outcome is not None]

    def _looked(self, file: BatchFile) -> FileOutcome | None:
        if compression_of(file.path, self.shape) != "none":
            return refused(file, "Spark reads Parquet files as they are, not packed ones")
        try:
            with footer_of(self.store, file) as local:
                there = ParseFile(file.file_id, file.path, str(local), file.size, "none")
                footer, fields = read_footer(str(local), there, self.limits), list(pq.read_schema(local))
        except BadFile as bad:
            return spark_source.flawed(file, bad)
        except (FileMissing, SourceAccessDenied) as error:
            return spark_source.not_there(file, error)
        except OSError as error:
            return spark_source.not_readable(file, error)
        names = [one.name for one in fields]
        if sentence := of_another_table(file.path, names, self.schema.names, "it has"):
            return FileOutcome(file.file_id, FileState.FAILED, reason="not-this-format", error=sentence)
        wanted = [one for one in fields if not self.ignores or self.schema.find(one.name)]
        columns = []
        for one in wanted:
            kind = known_type(one.type)
            if kind is None and str(one.type) != "null":
                return refused(file, f"Spark does not read its column {one.name} ({one.type}) as it is")
            if kind is not None:
                columns.append(Column(one.name, kind))
        return self._judged(file, self._within(columns), footer.rows)

    def _within(self, columns: Sequence[Column]) -> Sequence[Column]:
        """The columns as they are read: without members that nobody wants."""
        if not self.ignores:
            return columns
        known = {column.name: column.type for column in self.schema}
        return [Column(one.name, parquet.within(one.type, known[one.name])) for one in columns]

    def _judged(self, file: BatchFile, columns: Sequence[Column], rows: int) -> FileOutcome | None:
        if len({column.name for column in columns}) < len(columns):
            return refused(file, "two of its columns have one name")
        if unlike := next(filter(None, map(parquet.unlike_members, columns)), ""):
            return refused(file, unlike)
        pair = parquet.unknown_pair(self.schema, columns)
        if pair:
            return refused(file, f"Spark does not take its column {pair}")
        self._columns[file.file_id], self._records[file.file_id] = tuple(columns), rows
        return None

    def rows(self, session: Session, files: Sequence[BatchFile]) -> Any:
        return together(files, self._columns, lambda columns, some: self._group(session, columns, some))

    def _group(self, session: Session, columns: tuple[Column, ...], files: Sequence[BatchFile]) -> Any:
        declared = ", ".join(f"{identifier(column.name)} {type_sql(column.type)}" for column in columns)
        reader = session.spark.read.format("parquet").schema(declared or _NO_COLUMNS)
        named = [f"{identifier(column.name)} AS c{place}" for place, column in enumerate(columns)]
        rows = spark_source.read(session, files, reader, named)
        return through(parquet.layers(self.schema, columns, spark_rows.PATH), rows)

    def records(self) -> Mapping[int, int]:
        return self._records

    def new_columns(self, stage: Stage, snapshot: SnapshotInfo) -> Sequence[NewColumn]:
        """With the types that the files give them, where a row has a value."""
        lowered = {name.lower() for name in self.schema.names}
        samples = stage.samples(snapshot, 1, "key, file_id").to_pylist()
        found = []
        for row in sorted(samples, key=lambda one: int(one["file_id"])):
            for column in self._columns[row["file_id"]]:
                rescued = f'"{column.name}":' in row["rescued"]
                if rescued and column.name.lower() not in lowered and can_be_named(column.name):
                    found.append(NewColumn(column, row["file_id"], ""))
        return found
