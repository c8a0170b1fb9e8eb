"""CSV and TSV on a cluster: the head of each file is read here, by the embedded engine's own reader, the rest there.

Files with the same columns are one group, and all groups one job. A file is one text to Spark, so that a line end
inside quotes is seen; a file too large for that is read line by line, and fails where a record has several lines.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from app.config import Settings
from app.datatypes import TableSchema, can_be_named
from app.errors import FileMissing, SourceAccessDenied
from app.ingest.engines import own_disk, spark_rows, spark_source
from app.ingest.engines.embedded_input import compression_of, format_options, parse_limits
from app.ingest.engines.spark_begins import begins
from app.ingest.engines.spark_frames import through, together
from app.ingest.engines.spark_limits import WHOLE_BYTES, refused
from app.ingest.engines.spark_stage import Stage
from app.ingest.formats.contract import NewColumn, ParseFile
from app.ingest.formats.csv import CSV, TSV, positional_names
from app.ingest.formats.csv_head import CsvHead, HeadReader, column_names
from app.ingest.formats.csv_options import CsvDialect, read_options
from app.ingest.formats.new_columns import columns_in_rescued
from app.ingest.formats.one_case import of_another_table
from app.ingest.formats.spark.csv_records import CsvCutter
from app.ingest.formats.spark.csv_rows import CsvRows
from app.ingest.formats.spark.text import text_sql
from app.ingest.formats.spark.words import FILE
from app.ingest.formats.streams import BadFile, read_chunks
from app.schemas.ingestion import FormatShape
from app.spark import Session, spark_errors
from app.storage import Store
from app.values import BatchFile, FileOutcome, SnapshotInfo

_MOST = 17 * 1024 * 1024  # of a packed file: more than WHOLE_BYTES, however badly it is packed
_SAMPLE = 10_000  # values of each new column that tell its type
_NO_LINES = "it is too large to be read whole, and Spark cannot tell its first lines from the others"


@dataclass(frozen=True, slots=True)
class _Part:
    """Files that are read alike: `names` of their fields, lines to `skip`, or the one `header` to leave out.

    Of a `packed` one that is read by lines, only all of its lines tell whether its header stands there once.
    """

    names: tuple[str, ...]
    skip: int = 0
    lines: bool = False
    header: str = ""
    packed: bool = False

    @property
    def begins(self) -> bool:
        """Whether the header is known by its place."""
        return bool(self.header) and not self.packed


@dataclass(slots=True)
class CsvOnSpark:
    """One attempt."""

    schema: TableSchema
    store: Store
    shape: FormatShape
    settings: Settings
    ignores: bool = False
    _parts: dict[int, _Part] = field(default_factory=dict)

    @property
    def dialect(self) -> CsvDialect:
        kind = TSV if self.shape.type == TSV.name else CSV
        return read_options(format_options(self.shape), kind.name, kind.delimiter)

    @property
    def _text(self) -> str:
        return spark_source.text_of(self.dialect.encoding)

    # --- beforehand

    def look(self, session: Session, files: Sequence[BatchFile]) -> list[FileOutcome]:
        heads = HeadReader(self.dialect, self.settings.max_record_bytes)
        with TemporaryDirectory(prefix="autoloader-heads-") as folder:
            found = [
                outcome
                for file, begun in begins(self.store, files, Path(folder), _MOST, whole=self._far(files))
                if (outcome := self._looked(file, begun, heads, Path(folder))) is not None
            ]
        return [*found, *self._doubtful(session, files)]

    def _far(self, files: Sequence[BatchFile]) -> bool:
        """Whether a head may reach far into a file."""
        skips = self.dialect.comment or self.dialect.skip_lines
        return bool(skips) or any(compression_of(file.path, self.shape) != "none" for file in files)

    def _looked(self, file: BatchFile, begun: Future[Path], heads: HeadReader, folder: Path) -> FileOutcome | None:
        try:
            path, large = self._begin(file, begun.result(), folder)
            head = heads.read(str(path), file.path)
            names = self._names(head, file)
        except BadFile as bad:
            if bad.reason == "empty" and file.size > WHOLE_BYTES:  # only of what was looked at
                return refused(file, _NO_LINES)
            return spark_source.flawed(file, bad)
        except (FileMissing, SourceAccessDenied) as error:
            return spark_source.not_there(file, error)
        except OSError as error:
            return spark_source.not_readable(file, error)
        if not large:
            self._parts[file.file_id] = _Part(names, head.skip)
        elif head.skip > 1 or not head.plain:
            return refused(file, _NO_LINES)
        else:
            packed = compression_of(file.path, self.shape) != "none"
            header = _first_line(path) if head.skip else ""
            self._parts[file.file_id] = _Part(names, lines=True, header=header, packed=packed)
        return None

    def _begin(self, file: BatchFile, local: Path, folder: Path) -> tuple[Path, bool]:
        """A path with the plain begin of the file, and whether it is too large to be read whole."""
        packed, encoding = compression_of(file.path, self.shape), self.dialect.encoding
        if packed == "none" and encoding == "utf-8":
            return local, file.size > WHOLE_BYTES
        target, size = folder / str(file.file_id), 0
        source = ParseFile(file.file_id, file.path, str(local), file.size, packed)
        with target.open("wb") as out:
            for chunk in read_chunks(source, parse_limits(self.settings), encoding):
                with own_disk.writing(folder):
                    size += out.write(chunk)
                    out.flush()
                if size > WHOLE_BYTES:
                    break
        return target, (file.size if packed == "none" else size) > WHOLE_BYTES

    def _names(self, head: CsvHead, file: BatchFile) -> tuple[str, ...]:
        known = self.schema.names
        if head.header is None:
            return positional_names(known, head.width)
        names = column_names(head.header)
        if sentence := of_another_table(file.path, names, known, "its first line is"):
            raise BadFile("not-this-format", sentence)
        return names

    def _doubtful(self, session: Session, files: Sequence[BatchFile]) -> Iterator[FileOutcome]:
        """Packed files in which the header stands again: Spark does not tell which of them is the first line."""
        groups: dict[str, list[BatchFile]] = {}
        for file in files:
            part = self._parts.get(file.file_id)
            if part and part.header and not part.begins:
                groups.setdefault(part.header, []).append(file)
        for header, some in groups.items():
            with spark_errors(session.endpoint):
                reader = session.spark.read.format("text")
                lines = spark_source.read(session, some, reader, [self._text], f"value = {text_sql(header)}")
                counted = {int(row[FILE]): int(row["count"]) for row in lines.groupBy(FILE).count().collect()}
            yield from (refused(file, _NO_LINES) for file in some if counted.get(file.file_id) != 1)

    # --- the rows

    def rows(self, session: Session, files: Sequence[BatchFile]) -> Any:
        spark_source.cut_for(session, [file for file in files if self._parts[file.file_id].begins])
        return together(files, self._parts, lambda part, some: self._group(session, part, some))

    def _group(self, session: Session, part: _Part, files: Sequence[BatchFile]) -> Any:
        cutter = CsvCutter(self.dialect, self.settings.max_record_bytes)
        reader = session.spark.read.format("text").option("wholetext", str(not part.lines).lower())
        header = f"value = {text_sql(part.header)}" if part.header else "false"
        gone = f"begin AND {header}" if part.begins else header
        where = f"{cutter.is_record_line()} AND NOT ({gone})" if part.lines else "true"
        columns = [self._text, f"{spark_source.BEGIN if part.begins else 'false'} AS begin"]
        rows = spark_source.read(session, files, reader, columns, where)
        keep, whole = spark_rows.PATH, not part.lines
        rows = through(cutter.texts(keep, f"begin OR {header}" if part.begins else "false", whole=whole), rows)
        if whole:
            rows = rows.selectExpr(*cutter.whole(keep, part.skip)).where(cutter.is_record())
        rows = through([cutter.record(keep, whole=whole), *cutter.fields(keep, len(part.names), whole=whole)], rows)
        return through(CsvRows(self.schema, part.names, self.dialect, self.ignores).layers(keep), rows)

    def records(self) -> Mapping[int, int]:
        return {}

    def new_columns(self, stage: Stage, snapshot: SnapshotInfo) -> Sequence[NewColumn]:
        """By the embedded engine's own rules."""
        known = {name.lower() for name in self.schema.names}
        names = dict.fromkeys(name for part in self._parts.values() for name in part.names)
        fresh = [name for name in names if name.lower() not in known and can_be_named(name)]
        samples = stage.samples(snapshot, _SAMPLE)
        with duckdb.connect() as connection:
            connection.register("samples", samples)
            return columns_in_rescued(connection, "samples", fresh, self.dialect.formats)


def _first_line(path: Path) -> str:
    """As Spark gives it; a head that is not UTF-8 was refused before."""
    with path.open("rb") as handle:
        return handle.readline().removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n").decode()
