"""One request of the parsing child, from files to data files; runs inside the child."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import cast

import duckdb

from app.datatypes import TableSchema, without_clashes
from app.errors import InvalidInput
from app.ingest.engines.parse_blank import blank_rows
from app.ingest.engines.parse_isolation import copy_isolated
from app.ingest.engines.parse_output import Counts, Output
from app.ingest.engines.parse_session import session
from app.ingest.formats.base import FILE, RESCUED, Format, InferJob, Job, NewColumn, Reading, ReadJob, Verifies
from app.ingest.formats.contract import (
    READ_FROM_PACKS,
    WITH_OBJECTS,
    InferRequest,
    InferResult,
    ParsedFile,
    ParseFile,
    ParseRequest,
    ParseResult,
)
from app.ingest.formats.streams import BadFile, precheck, unchanged
from app.ingest.threshold import over_threshold

_HOMES = {
    "jsonl": ("jsonl", "JSONL"),
    "json": ("json_document", "JSON"),
    "csv": ("csv", "CSV"),
    "tsv": ("csv", "TSV"),
    "parquet": ("parquet", "PARQUET"),
}


def format_named(name: str) -> Format:
    """The format of that name. Raises InvalidInput."""
    if name not in _HOMES:
        raise InvalidInput(f"There is no format {name!r}.", hint=f"Formats: {', '.join(_HOMES)}.")
    module, member = _HOMES[name]
    return cast("Format", getattr(import_module(f"app.ingest.formats.{module}"), member))


def parse(request: ParseRequest) -> ParseResult:
    """Parse all files into one set of data files. Raises InvalidInput for options or a schema the format cannot take,
    and duckdb.OutOfMemoryException.
    """
    chosen = format_named(request.format)
    chosen.check(request.options)
    _require_distinct(request.schema)
    folder = Path(request.output_dir) / "work"
    folder.mkdir(parents=True)
    width = len(request.schema)
    with session(request.limits, Path(request.output_dir), _sources(request), width) as connection:
        job = ReadJob(connection, request.files, request.options, request.limits, folder)
        job.schema, job.unknown = request.schema, request.unknown
        files = _present(job)
        job.files = files
        output = Output(request, connection, Path(request.output_dir))
        reading = chosen.open(job)
        try:
            result = _Parse(request, job, reading, output).run()
        finally:
            reading.close()
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _require_distinct(schema: TableSchema) -> None:
    """DuckDB's columns differ by more than case. Found out by a query, it would be taken for the fault of a file."""
    if twins := schema.twins():
        raise InvalidInput(
            f"The table's columns {twins[0]} and {twins[1]} differ only in case: no engine loads into both.",
            hint="Rename or drop one of them in the table, or load into another table.",
        )


def infer(request: InferRequest) -> InferResult:
    """Infer a schema. `problems` hold the files that gave nothing. Raises as `parse` does."""
    chosen = format_named(request.format)
    chosen.check(request.options)
    folder = Path(request.output_dir) / "work"
    folder.mkdir(parents=True)
    with session(request.limits, folder, _sources(request)) as connection:
        job = InferJob(connection, request.files, request.options, request.limits, folder)
        job.max_bytes, job.sample_rows = request.max_bytes, request.sample_rows
        job.files = _present(job)
        result = chosen.infer(job)
    shutil.rmtree(folder, ignore_errors=True)
    columns = without_clashes((), result.schema)
    names = {column.name for column in columns}
    return replace(
        result,
        schema=TableSchema(columns),
        evidence=tuple(one for one in result.evidence if one.column in names),
        outliers=tuple(one for one in result.outliers if one.column in names),
        problems=tuple(job.failures.values()),
    )


def _sources(request: ParseRequest | InferRequest) -> tuple[ParseFile, ...]:
    """What DuckDB needs access to."""
    return () if request.format in READ_FROM_PACKS else request.files


class _Parse:
    def __init__(self, request: ParseRequest, job: ReadJob, reading: Reading, output: Output) -> None:
        self.request = request
        self.job = job
        self.reading = reading
        self.output = output
        self.counts: dict[int, Counts] = {}
        self.blank: dict[int, int] = {}

    def run(self) -> ParseResult:
        files = [file for file in self.job.files if file.file_id not in self.job.failures]
        if files:
            copy_isolated(self.job, self.reading, self.output, files)
        self.counts = self.output.counts()
        if isinstance(self.reading, Verifies):
            for file in files:
                count = self.counts.get(file.file_id, Counts())
                self.reading.verify(file, count.rows + count.rejected)
        for file in self.job.files:
            if not unchanged(file):
                self.job.fail(file, "changed", f"{file.path} changed while it was read.")
        reject_file = self._rejects()
        self._skip_files()
        new = self._new_columns()
        self.output.keep(self.job.failures.keys(), self.counts)
        self.blank = self._blank_rows()
        outcomes = tuple(self._outcome(file) for file in self.request.files)
        return ParseResult(tuple(self.output.data_files), reject_file, outcomes, tuple(new))

    def _rejects(self) -> str | None:
        """Files that fail only while their rejects are read lose the rejects, too."""
        wanted = self._with_rejects()
        if not wanted:
            return None
        if self.request.row_columns.rescued_data is None:
            self.reading.rescued_rejects()
        path = self.output.write_rejects(self.reading.rejects(wanted))
        failed = [file.file_id for file in wanted if file.file_id in self.job.failures]
        return self.output.drop_rejects(path, failed) if path and failed else path

    def _skip_files(self) -> None:
        if self.request.on_error != "skip_file":
            return
        for file in self.job.files:
            count = self.counts.get(file.file_id, Counts())
            records = count.rows + count.rejected
            if over_threshold(count.rejected, records, self.request.max_errors):
                part = f"{count.rejected} of {records} records were rejected"
                sentence = f"{file.path}: {part}, more than {self.request.max_errors}."
                self.job.fail(file, "too-many-errors", sentence, "SKIPPED")

    def _new_columns(self) -> list[NewColumn]:
        if self.request.unknown in {"rescue", "ignore"} or not self.counts:
            return []
        if self.request.row_columns.rescued_data is not None:
            if not any(count.rescued for count in self.counts.values()):
                return []
            return list(self.reading.new_columns(self.output.rescued_rows(self.job.failures.keys())))
        wanted = self._with_rejects()
        if not wanted:
            return []
        rows = self.reading.rows(wanted)
        rescued = f"SELECT {FILE} AS file_id, {RESCUED} AS rescued FROM ({rows}) WHERE {RESCUED} IS NOT NULL"
        return list(self.reading.new_columns(f"({rescued})"))

    def _blank_rows(self) -> dict[int, int]:
        request = self.request
        if request.unknown != "ignore" or request.format not in WITH_OBJECTS:
            return {}
        try:
            return blank_rows(self.job.connection, self.output.data_files, request.schema, request.row_columns)
        except duckdb.Error:  # nothing that is loaded rests on it
            return {}

    def _with_rejects(self) -> list[ParseFile]:
        rejected = {file_id for file_id, count in self.counts.items() if count.rejected}
        return [file for file in self.job.files if file.file_id in rejected - self.job.failures.keys()]

    def _outcome(self, file: ParseFile) -> ParsedFile:
        count = self.counts.get(file.file_id, Counts())
        failed = self.job.failures.get(file.file_id)
        if failed:
            return replace(failed, rejected=count.rejected) if failed.state == "SKIPPED" else failed
        blank = self.blank.get(file.file_id, 0)
        return ParsedFile(file.file_id, "SUCCESS", count.rows, count.rescued, count.rejected, blank=blank)


def _present(job: Job) -> tuple[ParseFile, ...]:
    """The files that can be read at all; the others are failed."""
    good = []
    for file in job.files:
        try:
            size = precheck(file)
        except BadFile as bad:
            job.fail(file, bad.reason, bad.error, bad.state)
            continue
        if size:
            good.append(file)
        else:
            job.fail(file, "empty", f"{file.path} is empty.", "SKIPPED")
    return tuple(good)
