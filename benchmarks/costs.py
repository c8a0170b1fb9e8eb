"""What each check costs: one batch written again and again by the product's own statements, each time with one more.

    python -m benchmarks.costs STEP KIND FOLDER

prints one JSON object: the CPU seconds that the step took, imports left out. CPU and not wall time: both cores are busy
while files are parsed, and what others do at the same time does not count.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from app.datatypes import TableSchema, duckdb_name, duckdb_text, parse_schema
from app.ingest.engines.parse_job import format_named
from app.ingest.engines.parse_output import Output
from app.ingest.engines.parse_session import session
from app.ingest.formats.base import FILE, REJECT, RESCUED, Reading, ReadJob
from app.ingest.formats.contract import ParseFile, ParseLimits, ParseRequest, RowColumns
from benchmarks.baselines import TYPES, query

SCHEMA = (
    "id bigint, at timestamptz, customer string, country string, amount double, quantity int, paid boolean, note string"
)
STEPS = {
    "bare": "the bare query",
    "typed": "records cut, UTF-8 and widths checked, every value typed strictly",
    "judged": "what fits no column kept as rescued data, records that are none found",
    "lineage": "`_file_id`, `_source_file` and `_ingested_at` for each row",
    "counted": "rows, rescued rows and rejects of each file counted",
}
WHOLE = "whole"  # the product's command itself
LIMITS = ParseLimits(2 * 2**30, 0, 2**40, 1_000, 16 * 2**20, 512 * 2**20)
ADDED = RowColumns(("_file_id", 101), ("_source_file", 102), ("_ingested_at", 103), ("_rescued_data", 104))


def bare(kind: str, folder: Path, out: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        _copy(connection, query(kind, str(folder)), out)


def ours(step: str, kind: str, folder: Path, out: Path) -> None:
    """The product's statement as far as `step`."""
    request = _request(kind, folder, out)
    with session(LIMITS, out, request.files, len(request.schema)) as connection:
        job = ReadJob(connection, request.files, request.options, LIMITS, out / "work")
        job.schema, job.unknown = request.schema, request.unknown
        with _opened(kind, job) as reading:
            if step in {"typed", "judged"}:
                more = (FILE, RESCUED, REJECT) if step == "judged" else ()
                names = ", ".join([*(duckdb_name(name) for name in TYPES), *more])
                _copy(connection, f"SELECT {names} FROM ({reading.rows(request.files)})", out)
                return
            output = Output(request, connection, out)
            output.copy(reading.rows(request.files), request.files)
            if step == "counted":
                output.counts()


@contextmanager
def _opened(kind: str, job: ReadJob) -> Iterator[Reading]:
    reading = format_named(kind).open(job)
    try:
        yield reading
    finally:
        reading.close()


def _request(kind: str, folder: Path, out: Path) -> ParseRequest:
    (out / "work").mkdir()
    paths = sorted(folder.glob(f"*.{kind}"))
    files = tuple(ParseFile(n, str(path), str(path), path.stat().st_size, "none") for n, path in enumerate(paths, 1))
    stamp = "2026-01-01T00:00:00+00:00"
    schema = TableSchema(tuple(replace(one, field_id=n) for n, one in enumerate(parse_schema(SCHEMA), 1)))
    return ParseRequest(files, kind, {}, schema, ADDED, stamp, "add", "continue", "100%", str(out), LIMITS)


def _copy(connection: duckdb.DuckDBPyConnection, select: str, out: Path) -> None:
    target = duckdb_text(str(out / "all.parquet"))
    connection.execute(f"COPY ({select}) TO {target} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 2)")


def of_children(work: Callable[[], object]) -> float:
    """The CPU seconds of the processes that `work` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    return _between(before, resource.getrusage(resource.RUSAGE_CHILDREN))


def measured(step: str, kind: str, folder: Path) -> float:
    with tempfile.TemporaryDirectory() as out:
        before = resource.getrusage(resource.RUSAGE_SELF)
        if step == "bare":
            bare(kind, folder, Path(out))
        else:
            ours(step, kind, folder, Path(out))
        return _between(before, resource.getrusage(resource.RUSAGE_SELF))


def _between(before: resource.struct_rusage, after: resource.struct_rusage) -> float:
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def page(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A section of docs/benchmarks.md: a table for each input, by its text, of the seconds of each step."""
    lines = ["## What each check costs", ""]
    lines += ["CPU seconds of one batch, written by the product's own statements with one check more in each line;"]
    lines += ["the least of all rounds.", ""]
    for text, seconds in found.items():
        lines += [f"{text}:", "", "| | CPU s | more | beside the bare query |", "|---|---|---|---|"]
        before = 0.0
        rest = "processes, listing, types found in a sample, ledger, statistics, commit: the whole command"
        for step, label in [*STEPS.items(), (WHOLE, rest)]:
            now = seconds[step]
            more = f"{now - before:+.1f}" if before else ""
            lines.append(f"| {label} | {now:.1f} | {more} | {now / seconds['bare']:.2f} × |")
            before = now
        lines.append("")
    return lines


def main() -> None:
    step, kind, folder = sys.argv[1:]
    print(json.dumps({"cpu": measured(step, kind, Path(folder))}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
