"""How each format is read on a cluster: what is looked at beforehand, the rows, and the columns that are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from app.config import Settings
from app.datatypes import TableSchema
from app.ingest.engines.embedded_input import parse_limits
from app.ingest.engines.spark_csv import CsvOnSpark
from app.ingest.engines.spark_json import JsonDocumentsOnSpark
from app.ingest.engines.spark_lines import JsonLinesOnSpark
from app.ingest.engines.spark_parquet import ParquetOnSpark
from app.ingest.engines.spark_stage import Stage
from app.ingest.formats.base import NewColumn
from app.schemas.ingestion import IngestionShape
from app.spark import Session
from app.storage import Store
from app.values import BatchFile, FileOutcome, SnapshotInfo


class SparkFormat(Protocol):
    """One format for one attempt."""

    def look(self, session: Session, files: Sequence[BatchFile]) -> list[FileOutcome]:
        """Outcomes of the files that cannot be loaded."""

    def rows(self, session: Session, files: Sequence[BatchFile]) -> Any:
        """A DataFrame: a column for each of the schema, `v0`, `v1` …, FILE, PATH, RESCUED, REJECT and RAW."""

    def records(self) -> Mapping[int, int]:
        """How many records a file holds, where that is known beforehand."""

    def new_columns(self, stage: Stage, snapshot: SnapshotInfo) -> Sequence[NewColumn]:
        """Columns that the schema lacks, told by what was rescued."""


@runtime_checkable
class Foreseeing(Protocol):
    """A format that can tell new columns before anything is staged. `clean` spares its next attempt a look."""

    clean: bool

    def foreseen(self, stage: Stage, files: Sequence[BatchFile], table: TableSchema) -> Sequence[NewColumn]:
        """Columns that the table lacks, as `SparkFormat.new_columns` would tell them; none is no promise."""


def format_on_spark(shape: IngestionShape, schema: TableSchema, store: Store, settings: Settings) -> SparkFormat:
    ignores, form = shape.columns.on_new_columns == "ignore", shape.format
    if form.type == "jsonl":
        return JsonLinesOnSpark(schema, store, form, settings.max_record_bytes, ignores)
    if form.type == "parquet":
        return ParquetOnSpark(schema, store, form, parse_limits(settings), ignores)
    if form.type in {"csv", "tsv"}:
        return CsvOnSpark(schema, store, form, settings, ignores)
    return JsonDocumentsOnSpark(schema, store, form, settings, ignores)
