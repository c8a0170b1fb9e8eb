"""The schema of a sample of Parquet files, from their footers, with the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import duckdb

from app.datatypes import Column, DataType, TableSchema, duckdb_text, primitive
from app.ingest.formats.base import InferJob, InferResult, ParseFile
from app.ingest.formats.contract import Evidence
from app.ingest.formats.one_case import one_case_each
from app.ingest.formats.parquet_cast import to_json
from app.ingest.formats.streams import BadFile
from app.ingest.formats.widest import plain, widest

if TYPE_CHECKING:
    from app.ingest.formats.parquet_types import SourceType

_EXAMPLE = 200


class _Layout(Protocol):
    names: tuple[str, ...]
    types: tuple[SourceType, ...]
    paths: dict[int, str]
    rows: int


def infer_parquet(job: InferJob, layouts: Sequence[_Layout]) -> InferResult:
    """See `base.Format.infer`. Types that differ between files become the widest; a column of nulls alone a string.

    A file's rows have each of its columns: whether a value is null only the pages tell.
    """
    files = {file.file_id: file for file in job.files}
    types: dict[str, DataType | None] = {}
    evidence: dict[tuple[str, str], Evidence] = {}
    rows: list[dict[str, object]] = []
    records: Counter[str] = Counter()
    for layout in layouts:
        file_id, path = next(iter(layout.paths.items()))
        sample = _sample(job, files[file_id], layout, path)
        for name, source in zip(layout.names, layout.types, strict=True):
            known = types.get(name)
            types[name] = widest(known, source.type) if known and source.type else known or source.type
            if source.type:
                shown = str(plain(source.type))
                example = next((str(row[name]) for row in sample if row[name] is not None), "")[:_EXAMPLE]
                evidence.setdefault((name, shown), Evidence(name, shown, files[file_id].path, example))
        rows += sample
        records.update(dict.fromkeys(layout.names, layout.rows))
    kept, twins = one_case_each({name: records[name] for name in types})
    columns = tuple(Column(name, plain(kind) if (kind := types[name]) else primitive("string")) for name in kept)
    seen = tuple(item for (name, _), item in evidence.items() if name in kept)
    first, failures = tuple(rows[: job.sample_rows]), tuple(job.failures.values())
    return InferResult(TableSchema(columns), seen, first, failures, twins=twins)


def _sample(job: InferJob, file: ParseFile, layout: _Layout, path: str) -> list[dict[str, object]]:
    """The first rows as text, nested values as JSON."""
    columns = ", ".join(f"c{index}" for index in range(len(layout.names)))
    texts = ", ".join(
        to_json(f"c{i}", source) if source.members else f"CAST(c{i} AS VARCHAR)"
        for i, source in enumerate(layout.types)
    )
    query = (
        f"SELECT {texts} FROM read_parquet([{duckdb_text(path)}], hive_partitioning=false)"
        f" AS t({columns}) LIMIT {max(1, job.sample_rows)}"
    )
    try:
        found = job.connection.execute(query).fetchall()
    except duckdb.Error as exc:
        bad = BadFile("undecodable", f"{file.path} holds Parquet pages that cannot be read: {str(exc).splitlines()[0]}")
        job.fail(file, bad.reason, bad.error)
        return []
    return [dict(zip(layout.names, row, strict=True)) for row in found]
