"""JSON lines on a cluster: nothing is looked at beforehand but some records, which tell the faster way to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.datatypes import TableSchema
from app.ingest.engines import spark_rows, spark_source
from app.ingest.engines.spark_frames import through
from app.ingest.engines.spark_json import columns_of, formats_of
from app.ingest.engines.spark_stage import Stage
from app.ingest.formats.base import NewColumn
from app.ingest.formats.spark.json_records import IS_RECORD, RecordLayers
from app.ingest.formats.spark.quick_records import CLEAN, QuickRecords
from app.ingest.formats.streams import check_encoding
from app.schemas.ingestion import FormatShape
from app.spark import Session, spark_errors
from app.values import BatchFile, FileOutcome, SnapshotInfo

_SAMPLED_FILES, _SAMPLED_RECORDS, _MOSTLY = 3, 1_000, 0.9


@dataclass(frozen=True, slots=True)
class JsonLinesOnSpark:
    """One attempt."""

    schema: TableSchema
    shape: FormatShape
    max_record_bytes: int

    def look(self, session: Session, files: Sequence[BatchFile]) -> list[FileOutcome]:
        del session, files
        return []

    def rows(self, session: Session, files: Sequence[BatchFile]) -> Any:
        layers = RecordLayers(self.schema, self.max_record_bytes, formats_of(self.shape))
        if layers.quick and not self._mostly_clean(session, files[:_SAMPLED_FILES], layers.quick):
            layers = RecordLayers(self.schema, self.max_record_bytes, formats_of(self.shape), quick=False)
        return through(layers.layers(keep=spark_rows.PATH), self._lines(session, files))

    def _lines(self, session: Session, files: Sequence[BatchFile]) -> Any:
        text = spark_source.text_of(check_encoding(self.shape.encoding))
        return spark_source.read(session, files, session.spark.read.format("text"), [text], IS_RECORD)

    def _mostly_clean(self, session: Session, files: Sequence[BatchFile], quick: QuickRecords) -> bool:
        """By some records. A wrong guess costs nothing but time."""
        some = through(quick.layers(), self._lines(session, files).limit(_SAMPLED_RECORDS))
        with spark_errors(session.endpoint):
            told = some.selectExpr(f"avg(CAST({CLEAN} AS INT)) AS share").collect()
        return float(told[0]["share"] or 0) >= _MOSTLY

    def records(self) -> Mapping[int, int]:
        return {}

    def new_columns(self, stage: Stage, snapshot: SnapshotInfo) -> Sequence[NewColumn]:
        return columns_of(self.schema, self.shape, stage, snapshot)
