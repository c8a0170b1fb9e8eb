"""CSV and TSV, embedded.

Columns are matched by the header's names, exactly (`Id` is not `id`); without a header by position. A column of the
table that the file lacks is null; a column of the file that the table lacks is rescued and, where allowed, added. A
file none of whose names the table knows fails: it is another format, or another feed. See `csv_records` for what a
record is, `csv_head.column_names` for odd headers, `strict_text` for what fits a type.

A file's bytes are scanned once; plain files with the same header are one `read_csv` however many they are, the rest go
through the exact reader.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from app.datatypes import can_be_named
from app.ingest.formats.base import InferJob, InferResult, NewColumn, ParseFile, ReadJob
from app.ingest.formats.csv_exact import store
from app.ingest.formats.csv_head import CsvHead, HeadReader, column_names
from app.ingest.formats.csv_infer import infer_csv
from app.ingest.formats.csv_locate import store_ragged
from app.ingest.formats.csv_options import CsvDialect, read_options
from app.ingest.formats.csv_scan import count_blank, scan
from app.ingest.formats.csv_sql import CsvPart, duckdb_source, exact_source, located_rejects, typed
from app.ingest.formats.new_columns import columns_in_rescued
from app.ingest.formats.one_case import of_another_table
from app.ingest.formats.rows_sql import nothing, rejects_of
from app.ingest.formats.streams import BadFile, unpack

_SMALL_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """`csv` or `tsv`: they differ in the delimiter that is taken when none is given."""

    name: str
    delimiter: str

    def check(self, options: Mapping[str, object]) -> None:
        read_options(options, self.name, self.delimiter)

    def open(self, job: ReadJob) -> CsvReading:
        reading = CsvReading(job, read_options(job.options, self.name, self.delimiter))
        reading.prepare(job.files)
        return reading

    def infer(self, job: InferJob) -> InferResult:
        return infer_csv(job, read_options(job.options, self.name, self.delimiter))


CSV = CsvFormat("csv", ",")
TSV = CsvFormat("tsv", "\t")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that can be read: `path` are its plain bytes, `source` what DuckDB is given.

    `records` is how many the scan counted, blank lines included; None where the exact reader took the file.
    """

    path: str
    source: str
    head: CsvHead
    part: CsvPart
    records: int | None = None


class CsvReading:
    """One opened set of CSV files (see `base.Reading`)."""

    def __init__(self, job: ReadJob, dialect: CsvDialect) -> None:
        self.job, self.dialect = job, dialect
        self.limit = job.limits.max_record_bytes
        self.heads = HeadReader(dialect, self.limit)
        self.opened: dict[int, _Opened] = {}
        self.rejects_rescued = False

    def prepare(self, files: Sequence[ParseFile]) -> None:
        """Decompress, decode and scan what is there; files that cannot be read are reported."""
        large = [file for file in files if file.size > _SMALL_BYTES or file.compression != "none"]
        for file in files:
            if file.size <= _SMALL_BYTES and file.compression == "none":
                self._prepare(file)
        with ThreadPoolExecutor(max(1, self.job.limits.threads)) as pool:
            list(pool.map(self._prepare, large))

    def _prepare(self, file: ParseFile) -> None:
        try:
            self.opened[file.file_id] = self._open(file)
        except BadFile as bad:
            self.job.fail(file, bad.reason, bad.error, bad.state)
        except OSError as exc:
            self.job.fail(file, "missing", f"{file.path} cannot be read: {exc.strerror}.")

    def _open(self, file: ParseFile) -> _Opened:
        path = unpack(self.job, file, self.dialect.encoding)
        head = self.heads.read(path, file.path)
        names = self._names(head, file)
        if head.plain:
            shape = scan(path, self.dialect, self.limit, offset=head.offset, crlf=head.crlf)
            if shape.plain:
                part = CsvPart(names, exact=False, skip=head.skip, parallel=not shape.quoted_newlines)
                return _Opened(path, path, head, part, shape.newlines)
        target = self.job.folder / "exact" / f"{file.file_id}.parquet"
        self._store(file, path, head, target, raw=False)
        return _Opened(path, str(target), head, CsvPart(names, exact=True))

    def _names(self, head: CsvHead, file: ParseFile) -> tuple[str, ...]:
        known = self.job.schema.names
        if head.header is None:
            return positional_names(known, head.width)
        names = column_names(head.header)
        if sentence := of_another_table(file.path, names, known, "its first line is"):
            raise BadFile("not-this-format", sentence)
        return names

    def _store(self, file: ParseFile, path: str, head: CsvHead, target: Path, *, raw: bool) -> None:
        try:
            store(path, file.file_id, head, self.dialect, self.limit, target, raw=raw)
        except BadFile as bad:
            raise BadFile(bad.reason, f"{file.path}: {bad.error}", bad.state) from bad

    def rows(self, files: Sequence[ParseFile]) -> str:
        parts: dict[CsvPart, list[str]] = defaultdict(list)
        for file in files:
            if (opened := self.opened.get(file.file_id)) and file.file_id not in self.job.failures:
                parts[opened.part].append(opened.source)
        selects = []
        for part, paths in parts.items():
            source = exact_source(part, paths) if part.exact else duckdb_source(part, paths, self.dialect, self.limit)
            selects.append(typed(source, part, self.job.schema, self.dialect, ignores=self.job.ignores))
        return " UNION ALL ".join(selects) or nothing(self.job.schema)

    def verify(self, file: ParseFile, records: int) -> None:
        opened = self.opened.get(file.file_id)
        if opened is None or opened.records is None or opened.records == records:
            return
        missing = opened.records - records
        if not 0 < missing <= count_blank(opened.path, self.limit, opened.head.offset):
            sentence = f"{file.path} holds {opened.records:,} records, but {records:,} were read; none of them is kept."
            self.job.fail(file, "not-this-format", sentence)

    def rejects(self, files: Sequence[ParseFile]) -> str:
        parts: dict[CsvPart, list[str]] = defaultdict(list)
        ragged: list[str] = []
        for file in files:
            opened = self.opened[file.file_id]
            if not opened.part.exact and not self.rejects_rescued and not any(c.required for c in self.job.schema):
                target = self.job.folder / "ragged" / f"{file.file_id}.parquet"
                store_ragged(opened.path, file.file_id, opened.head, self.dialect, self.limit, target)
                ragged.append(str(target))
                continue
            target = self.job.folder / "located" / f"{file.file_id}.parquet"
            if not target.exists():
                self._store(file, opened.path, opened.head, target, raw=True)
            parts[CsvPart(opened.part.names, exact=True)].append(str(target))
        selects = [located_rejects(ragged)] if ragged else []
        for part, paths in parts.items():
            stored = exact_source(part, paths)
            source = typed(stored, part, self.job.schema, self.dialect, "line, raw", ignores=self.job.ignores)
            selects.append(rejects_of(source, rescued_too=self.rejects_rescued))
        return " UNION ALL ".join(selects)

    def rescued_rejects(self) -> None:
        self.rejects_rescued = True

    def new_columns(self, relation: str) -> Sequence[NewColumn]:
        known = {name.lower() for name in self.job.schema.names}
        names = dict.fromkeys(name for opened in self.opened.values() for name in opened.part.names)
        fresh = [name for name in names if name.lower() not in known and can_be_named(name)]
        return columns_in_rescued(self.job.connection, relation, fresh, self.dialect.formats)

    def blame(self, file: ParseFile, error: str) -> tuple[str, str]:
        first = error.strip().splitlines()[0] if error.strip() else "unknown error"
        return "not-this-format", f"{file.path} cannot be read as CSV: {first}"

    def close(self) -> None:
        self.opened.clear()


def positional_names(known: Sequence[str], width: int) -> tuple[str, ...]:
    """Names of fields without a header: the table's in order, then `column_<n>`."""
    taken = set(known)
    names = list(known[:width])
    for number in range(len(names) + 1, width + 1):
        name = f"column_{number}"
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return tuple(names)
