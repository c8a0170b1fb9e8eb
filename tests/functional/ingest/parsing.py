"""Requests to the parsing child, and what came back, for tests."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from app.datatypes import Column, TableSchema, duckdb_text, parse_schema
from app.ingest.engines.sandbox import Sandbox
from app.ingest.formats.contract import (
    InferRequest,
    InferResult,
    ParsedFile,
    ParseFile,
    ParseLimits,
    ParseRequest,
    ParseResult,
    RowColumns,
)

MIB = 1024 * 1024
LIMITS = ParseLimits(
    memory_bytes=512 * MIB,
    threads=2,
    max_output_bytes=512 * MIB,
    max_expansion=400,
    max_record_bytes=4 * MIB,
    target_file_bytes=512 * MIB,
)
_ATTEMPTS = itertools.count(1)
ENDINGS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}


def numbered(schema: TableSchema) -> TableSchema:
    """The schema with field ids, nested ones too."""
    ids = itertools.count(1)

    def number(column: Column) -> Column:
        kind = column.type
        field_id = next(ids)
        kind = replace(
            kind,
            fields=tuple(number(member) for member in kind.fields),
            element=number(kind.element) if kind.element else None,
            key=number(kind.key) if kind.key else None,
        )
        return replace(column, type=kind, field_id=field_id)

    return TableSchema(tuple(number(column) for column in schema))


def files_of(paths: Sequence[Path], *, in_place: bool = False) -> tuple[ParseFile, ...]:
    """File ids count from 1, in the order of the paths."""
    found = []
    for file_id, path in enumerate(paths, 1):
        stat = path.stat() if path.exists() else None
        size = stat.st_size if stat else 0
        expected = (size, stat.st_mtime_ns if stat else 0) if in_place else None
        compression = ENDINGS.get(path.suffix, "none")
        found.append(ParseFile(file_id, f"file://{path}", str(path), size, compression, expected))
    return tuple(found)


def request(paths: Sequence[Path], schema: str, folder: Path, **changes: object) -> ParseRequest:
    """A request for JSON lines; `changes` are fields of ParseRequest, or `rescued=False`."""
    in_place = bool(changes.pop("in_place", False))
    rescued = ("_rescued_data", 104) if changes.pop("rescued", True) else None
    base = ParseRequest(
        files=files_of(paths, in_place=in_place),
        format="jsonl",
        options={},
        schema=numbered(parse_schema(schema) if schema else TableSchema()),
        row_columns=RowColumns(("_file_id", 101), ("_source_file", 102), ("_ingested_at", 103), rescued),
        ingested_at="2026-01-31T12:00:00+00:00",
        unknown="rescue",
        on_error="continue",
        max_errors="0",
        output_dir=str(folder / f"attempt-{next(_ATTEMPTS)}"),
        limits=LIMITS,
    )
    return replace(base, **changes)


@dataclass(frozen=True)
class Parsed:
    result: ParseResult

    def file(self, file_id: int = 1) -> ParsedFile:
        return next(file for file in self.result.files if file.file_id == file_id)

    def state(self, file_id: int = 1) -> tuple[str, str]:
        found = self.file(file_id)
        return found.state, found.reason

    def rows(
        self, columns: str = "* EXCLUDE (_file_id, _source_file, _ingested_at)", where: str = "true"
    ) -> list[tuple]:
        if not self.result.data_files:
            return []
        listed = ", ".join(duckdb_text(path) for path in self.result.data_files)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            query = f"SELECT {columns} FROM read_parquet([{listed}]) WHERE {where} ORDER BY ALL"
            return connection.execute(query).fetchall()

    def rejects(self, columns: str = "file_id, line, byte_offset, reason, raw") -> list[tuple]:
        if self.result.reject_file is None:
            return []
        with duckdb.connect() as connection:
            source = f"read_parquet({duckdb_text(self.result.reject_file)})"
            return connection.execute(f"SELECT {columns} FROM {source} ORDER BY ALL").fetchall()


def parse(sandbox: Sandbox, paths: Path | Sequence[Path], schema: str, folder: Path, **changes: object) -> Parsed:
    listed = [paths] if isinstance(paths, Path) else paths
    return Parsed(sandbox.parse(request(listed, schema, folder, **changes)))


def infer(
    sandbox: Sandbox,
    paths: Sequence[Path],
    folder: Path,
    options: Mapping[str, object] | None = None,
    **changes: object,
) -> InferResult:
    base = InferRequest(
        files=files_of(paths),
        format="jsonl",
        options=dict(options or {}),
        max_bytes=MIB,
        sample_rows=5,
        limits=LIMITS,
        output_dir=str(folder / f"attempt-{next(_ATTEMPTS)}"),
    )
    return sandbox.infer(replace(base, **changes))
