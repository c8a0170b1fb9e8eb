"""JSON lines: one object a line.

Blank lines are left out; lines end with LF, CRLF or CR, mixed or not. A line that is not one JSON object is rejected by
itself. Types are in `json_values`, unknown and doubled keys in `json_sql`. The parser follows RFC 8259, but for three
things it takes as well: the tokens NaN and Infinity, and a comma before a closing bracket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from app.errors import InvalidInput
from app.ingest.formats import lines
from app.ingest.formats.base import InferJob, InferResult, NewColumn, Reading, ReadJob
from app.ingest.formats.contract import ParseFile
from app.ingest.formats.json_columns import new_columns
from app.ingest.formats.json_sample import infer_records
from app.ingest.formats.json_sql import RecordSql
from app.ingest.formats.line_split import SmallFiles, split_lines
from app.ingest.formats.lines import Collector, Splitter
from app.ingest.formats.quick_json import QuickJson
from app.ingest.formats.streams import check_encoding
from app.ingest.formats.strptime import check_strptime

OPTIONS = frozenset({"type", "compression", "encoding", "date_format", "timestamp_format"})


class JsonLines:
    """The format `jsonl`."""

    name = "jsonl"

    def check(self, options: Mapping[str, object]) -> None:
        check_options(self.name, options)

    def open(self, job: ReadJob) -> Reading:
        return JsonReading(job, split_lines, SmallFiles)

    def infer(self, job: InferJob) -> InferResult:
        return infer_records(job, split_lines)


JSONL = JsonLines()


def check_options(name: str, options: Mapping[str, object]) -> None:
    """Raises InvalidInput for options that the JSON formats do not have."""
    foreign = sorted(key for key, value in options.items() if value is not None and key not in OPTIONS)
    if foreign:
        raise InvalidInput(
            f"The format {name} has no option {', '.join(foreign)}.",
            hint=f"It has: {', '.join(sorted(OPTIONS - {'type'}))}.",
        )
    check_encoding(options.get("encoding"))
    for key in ("date_format", "timestamp_format"):
        check_strptime(options, key)


class JsonReading:
    """Records that `split` cuts, as rows; JSON lines and JSON documents share it.

    With a `collector` the records are lines: only those may be read by `quick_json`.
    """

    def __init__(self, job: ReadJob, split: Splitter, collector: Callable[[], Collector] | None = None) -> None:
        self._job = job
        self._split = split
        self._collector = collector
        self._quick = QuickJson.of(job.schema.columns, job.options, ignores=job.ignores) if collector else None
        self._sql = RecordSql(job.schema, job.options, ignores=job.ignores)
        self._rescued_too = False
        self._streams = 0

    def rows(self, files: Sequence[ParseFile]) -> str:
        return self._sql.rows(self._stream(files, located=False), quick=self._quick is not None)

    def rejects(self, files: Sequence[ParseFile]) -> str:
        return self._sql.rejects(self._stream(files, located=True), rescued_too=self._rescued_too)

    def rescued_rejects(self) -> None:
        self._rescued_too = True

    def new_columns(self, relation: str) -> Sequence[NewColumn]:
        return new_columns(self._job, relation)

    def blame(self, file: ParseFile, error: str) -> tuple[str, str]:
        return "undecodable", f"{file.path} could not be read: {error}"

    def close(self) -> None:
        self._drop()

    def _stream(self, files: Sequence[ParseFile], *, located: bool) -> str:
        self._drop()
        self._streams += 1
        collector = self._collector() if self._collector else None
        stream = lines.batches(self._job, files, self._split, located=located, collector=collector, quick=self._quick)
        reader = pa.RecordBatchReader.from_batches(lines.schema(located=located, quick=self._quick), stream)
        self._job.connection.register(self._name, reader)
        return self._name

    @property
    def _name(self) -> str:
        return f"__autoloader_records_{self._streams}"

    def _drop(self) -> None:
        if self._streams:
            self._job.connection.unregister(self._name)
