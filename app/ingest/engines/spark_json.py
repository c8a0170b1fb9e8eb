"""JSON documents on a cluster: the worker finds where a document begins and ends, the cluster reads its elements.

Whether a file is one sound document can only be told from all of it. The embedded engine's own cutter does that here,
without parsing a value, and so says the same of the same file. A document is one text to Spark, and so has a bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from app.config import Settings
from app.datatypes import TableSchema
from app.errors import FileMissing, SourceAccessDenied
from app.ingest.engines import spark_rows, spark_source
from app.ingest.engines.embedded_input import compression_of, format_options, parse_limits
from app.ingest.engines.spark_begins import begins
from app.ingest.engines.spark_frames import through
from app.ingest.engines.spark_limits import WHOLE_BYTES, refused
from app.ingest.engines.spark_stage import Stage
from app.ingest.formats.base import Job, NewColumn, ReadJob
from app.ingest.formats.contract import ParseFile, ParseLimits
from app.ingest.formats.json_columns import SAMPLE, new_columns
from app.ingest.formats.json_document import split_document
from app.ingest.formats.spark.json_elements import ElementLayers
from app.ingest.formats.streams import BadFile, check_encoding
from app.ingest.formats.strict_text import TextFormats
from app.schemas.ingestion import FormatShape
from app.spark import Session
from app.storage import Store
from app.values import BatchFile, FileOutcome, SnapshotInfo

_TOO_LARGE = f"a document of more than {WHOLE_BYTES:,} bytes is too large for Spark"


@dataclass(frozen=True, slots=True)
class JsonDocumentsOnSpark:
    """One attempt."""

    schema: TableSchema
    store: Store
    shape: FormatShape
    settings: Settings
    ignores: bool = False

    def look(self, session: Session, files: Sequence[BatchFile]) -> list[FileOutcome]:
        del session
        with TemporaryDirectory(prefix="autoloader-documents-") as folder, duckdb.connect() as connection:
            job = Job(connection, (), format_options(self.shape), parse_limits(self.settings), Path(folder))
            looked = begins(self.store, files, Path(folder), WHOLE_BYTES, whole=True)
            return [outcome for file, begun in looked if (outcome := self._looked(file, begun, job)) is not None]

    def _looked(self, file: BatchFile, begun: Future[Path], job: Job) -> FileOutcome | None:
        if file.size > WHOLE_BYTES:
            return refused(file, _TOO_LARGE)
        size = 0
        try:
            local = str(begun.result())
            source = ParseFile(file.file_id, file.path, local, file.size, compression_of(file.path, self.shape))
            for piece in split_document(source, job):
                size += len(piece.data)
                if size > WHOLE_BYTES:
                    return refused(file, _TOO_LARGE)
        except (FileMissing, SourceAccessDenied) as error:
            return spark_source.not_there(file, error)
        except BadFile as bad:
            return spark_source.flawed(file, bad)
        return None

    def rows(self, session: Session, files: Sequence[BatchFile]) -> Any:
        reader = session.spark.read.format("text").option("wholetext", "true")
        text = spark_source.text_of(check_encoding(self.shape.encoding))
        rows = spark_source.read(session, files, reader, [text])
        elements = ElementLayers(self.schema, self.settings.max_record_bytes, formats_of(self.shape), self.ignores)
        return through(elements.layers(spark_rows.PATH), rows)

    def records(self) -> Mapping[int, int]:
        return {}

    def new_columns(self, stage: Stage, snapshot: SnapshotInfo) -> Sequence[NewColumn]:
        return columns_of(self.schema, self.shape, stage, snapshot)


def formats_of(shape: FormatShape) -> TextFormats:
    """Of dates and moments in JSON."""
    return TextFormats(date=shape.date_format or "", timestamp=shape.timestamp_format or "")


def columns_of(schema: TableSchema, shape: FormatShape, stage: Stage, snapshot: SnapshotInfo) -> Sequence[NewColumn]:
    """New columns by the embedded engine's own rules, from as many values of each key as these look at."""
    return columns_in(schema, shape, stage.samples(snapshot, SAMPLE))


def columns_in(schema: TableSchema, shape: FormatShape, samples: pa.Table) -> Sequence[NewColumn]:
    """New columns by the embedded engine's own rules, told by rescued values."""
    with TemporaryDirectory(prefix="autoloader-columns-") as folder, duckdb.connect() as connection:
        connection.register("samples", samples)
        # Nothing is parsed from files.
        job = ReadJob(connection, (), format_options(shape), ParseLimits(0, 1, 0, 0, 0, 0), Path(folder))
        job.schema = schema
        return new_columns(job, "samples")
