"""JSON lines on a cluster. Some records are looked at beforehand: they tell the faster way to read the others, and
columns that the table lacks.

A batch whose new columns are only found when it is staged is staged twice, and read twice with all that goes with it.
So the keys that a glimpse shows are looked up in all of the batch, which takes a search for their text in each line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from app.datatypes import DataType, TableSchema
from app.ingest.engines import spark_rows, spark_source
from app.ingest.engines.first_lines import first_lines
from app.ingest.engines.spark_frames import through
from app.ingest.engines.spark_glimpse import MOST_KEYS, Glimpse, glimpse
from app.ingest.engines.spark_json import columns_in, columns_of, formats_of
from app.ingest.engines.spark_key_order import key_order
from app.ingest.engines.spark_samples import Samples, Sampling
from app.ingest.engines.spark_stage import Stage
from app.ingest.evolution import MAX_COLUMNS, is_usable, twins_of
from app.ingest.formats.base import NewColumn
from app.ingest.formats.json_columns import SAMPLE, is_stranger
from app.ingest.formats.spark.json_records import IS_RECORD, RecordLayers
from app.ingest.formats.spark.quick_records import QuickRecords
from app.ingest.formats.spark.strange_keys import lines_with
from app.ingest.formats.spark.words import FILE, REJECT, RESCUED
from app.ingest.formats.streams import check_encoding
from app.schemas.ingestion import FormatShape
from app.spark import Session, identifier
from app.storage import Store
from app.values import BatchFile, FileOutcome, SnapshotInfo

_MOSTLY = 0.9
# The short way costs half a second of Spark's, more with each column, and a glimpse a fifth of one: what it saves of a
# batch as large as this.
_QUICK_LEAST_BYTES, _QUICK_COLUMN_BYTES = 4 * 1024 * 1024, 256 * 1024
_LARGE_BYTES = 64 * 1024 * 1024  # of a batch that is worth a glimpse which tells nothing but keys
_FIRST_BYTES, _MORE = 16 * 1024 * 1024, 4


@dataclass(slots=True)
class JsonLinesOnSpark:
    """One attempt. `clean`: most records are known to be; a wrong guess costs nothing but time."""

    schema: TableSchema
    store: Store
    shape: FormatShape
    max_record_bytes: int
    ignores: bool = False
    clean: bool = False
    _glimpse: Glimpse | None = field(default=None)
    _order: tuple[str, ...] = ()
    _begins: list[list[str]] | None = None

    def look(self, session: Session, files: Sequence[BatchFile]) -> list[FileOutcome]:
        del session
        if self.ignores and sum(file.size for file in files) >= _QUICK_LEAST_BYTES:
            self._order = key_order(self._first_lines(files), self.schema.names)
        return []

    def rows(self, session: Session, files: Sequence[BatchFile]) -> Any:
        quick = self._quick(files)
        layers = self._layers(quick=quick is not None and self._mostly_clean(session, files, quick))
        return through(layers.layers(keep=spark_rows.PATH), self._lines(session, files, IS_RECORD))

    def records(self) -> Mapping[int, int]:
        return {}

    def new_columns(self, stage: Stage, snapshot: SnapshotInfo) -> Sequence[NewColumn]:
        return columns_of(self.schema, self.shape, stage, snapshot)

    def foreseen(self, stage: Stage, files: Sequence[BatchFile], table: TableSchema) -> Sequence[NewColumn]:
        """Not near the limit of columns: which of them are the last ones, only all of the batch tells."""
        quick = self._quick(files)
        large = sum(file.size for file in files) >= _LARGE_BYTES
        if not files or not (quick or large) or len(table) > MAX_COLUMNS // 2:
            return ()
        seen = self._seen(stage.session, files, quick, keys=True)
        wanted = [key for key in seen.keys if is_stranger(key, table, is_usable)]
        if not wanted or len(seen.keys) > MOST_KEYS or _has_twins(wanted):
            return ()
        found = self._told(stage, files, wanted, _enough(seen))
        stage.session.require()  # what a server said that had lost our settings, counts for nothing
        if twins_of(found):  # a spelling that the glimpse did not see
            return ()
        # A new struct would take keys of other records, with its name and a dot before theirs, for its members.
        return () if any(_holds_struct(new.column.type) for new in found) else found

    # --- how they are read

    def _layers(self, *, quick: bool) -> RecordLayers:
        formats, key_order = formats_of(self.shape), (self._order or self.schema.names) if self.ignores else None
        return RecordLayers(self.schema, self.max_record_bytes, formats, quick=quick, key_order=key_order)

    def _quick(self, files: Sequence[BatchFile]) -> QuickRecords | None:
        """The short way, where there is one for the schema and the files are worth it."""
        quick = self._layers(quick=True).quick
        least = max(_QUICK_LEAST_BYTES, _QUICK_COLUMN_BYTES * quick.count) if quick else 0
        return quick if sum(file.size for file in files) >= least else None

    def _lines(self, session: Session, files: Sequence[BatchFile], where: str) -> Any:
        text = spark_source.text_of(check_encoding(self.shape.encoding))
        return spark_source.read(session, files, session.spark.read.format("text"), [text], where)

    def _mostly_clean(self, session: Session, files: Sequence[BatchFile], quick: QuickRecords) -> bool:
        self.clean = self.clean or self._seen(session, files, quick, keys=False).clean >= _MOSTLY
        return self.clean

    def _seen(self, session: Session, files: Sequence[BatchFile], quick: QuickRecords | None, *, keys: bool) -> Glimpse:
        if self._glimpse is None:
            lines = [line for some in self._first_lines(files) for line in some]
            self._glimpse = glimpse(session, lines, self.schema, quick, keys=keys)
            self.clean = self._glimpse.clean >= _MOSTLY
        return self._glimpse

    def _first_lines(self, files: Sequence[BatchFile]) -> list[list[str]]:
        if self._begins is None:
            self._begins = first_lines(self.store, files, check_encoding(self.shape.encoding))
        return self._begins

    # --- what they bring

    def _told(self, stage: Stage, files: Sequence[BatchFile], keys: Sequence[str], first: int) -> list[NewColumn]:
        """The columns of the keys, by the values that would tell them if the files had been staged.

        `first` are the bytes that are looked at first.
        """
        wanted, found, tables = {key.lower() for key in keys}, list[NewColumn](), list[pa.Table]()
        for some in _portions(files, first):
            samples = self._samples(stage, some, keys)
            tables.append(samples.table)
            told = columns_in(self.schema, self.shape, pa.concat_tables(tables))
            # Of other keys not all values were looked for.
            found = [new for new in told if _rescued_as(new).lower() in wanted]
            names = {_rescued_as(new) for new in found}
            if twins_of(found) or (names <= samples.full and {name.lower() for name in names} == wanted):
                break
        return found

    def _samples(self, stage: Stage, files: Sequence[BatchFile], keys: Sequence[str]) -> Samples:
        names = stage.names
        lines = self._lines(stage.session, files, f"{IS_RECORD} AND {lines_with(keys)}")
        rows = through(self._layers(quick=False).layers(keep=spark_rows.PATH), lines)
        # Conditions would else be moved below the layers, and each hold the text of all of them.
        rows = rows.selectExpr(FILE, RESCUED, REJECT, "monotonically_increasing_id() AS number")
        rows = rows.where(f"number >= 0 AND {REJECT} IS NULL")
        columns = [f"{FILE} AS {identifier(names.file_id[0])}", f"{RESCUED} AS {spark_rows.rescued_name(names)}"]
        return Sampling(SAMPLE, only=keys).of(stage.session, rows.selectExpr(*columns), names, "new fields")


def _has_twins(keys: Sequence[str]) -> bool:
    """Whether two are equal but for case. Most of all records choose between them: who reads a part cannot tell."""
    return len({key.lower() for key in keys}) < len(keys)


def _enough(seen: Glimpse) -> int:
    """Bytes that may well show as many values of each key as tell a column, if keys are as often as they seem."""
    records = 4 * SAMPLE * len(seen.keys) / max(seen.strange, 1e-6)
    return max(_FIRST_BYTES, int(records * seen.record_bytes))


def _portions(files: Sequence[BatchFile], first: int) -> Iterator[Sequence[BatchFile]]:
    """The files by their ids: some that have `first` bytes, and ever more of them."""
    left, size = sorted(files, key=lambda file: file.file_id), first
    while left:
        count, held = 0, 0
        while count < len(left) and held < size:
            held += left[count].size
            count += 1
        yield left[:count]
        left, size = left[count:], size * _MORE


def _holds_struct(kind: DataType) -> bool:
    return kind.name == "struct" or bool(kind.element and _holds_struct(kind.element.type))


def _rescued_as(new: NewColumn) -> str:
    return ".".join((*new.parent, new.column.name))
