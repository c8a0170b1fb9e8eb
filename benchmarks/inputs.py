"""Input files for the measurements: made by DuckDB as a stream, always the same, kept for the next time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import duckdb

COLUMNS = (
    "id bigint, at timestamptz, customer string, country string, amount double, quantity int, paid boolean, note string"
)
# Every value follows from the row's number; hash() spreads it, so that nothing compresses to nothing.
_ROW = """
    i AS id,
    strftime(TIMESTAMP '2026-01-01' + to_seconds(i % 31536000), '%Y-%m-%dT%H:%M:%SZ') AS at,
    'customer-' || (hash(i) % 100000) AS customer,
    ['DE', 'FR', 'IT', 'ES', 'PL', 'NL', 'SE', 'PT'][1 + (hash(i + 1) % 8)::INT] AS country,
    (hash(i + 2) % 1000000)::DOUBLE / 100 AS amount,
    (hash(i + 3) % 50)::INT AS quantity,
    hash(i + 4) % 10 <> 0 AS paid,
    CASE WHEN i % 7 = 0 THEN NULL ELSE 'order ' || hash(i + 5) END AS note
"""


_TOLD = {
    "drift": ("jsonl", " (1 of 100 records has a new key)"),
    "ignored": ("jsonl", " (each record has a key that the table lacks, and it is left out)"),
}


@dataclass(frozen=True)
class Input:
    """A folder of files of one kind, and what is in it."""

    name: str
    folder: Path
    kind: str  # jsonl, csv, parquet; jsonl with an unknown field: drift, in one record of 100; ignored, in each
    files: int
    rows: int
    size: int  # bytes

    @property
    def text(self) -> str:
        kind, more = _TOLD.get(self.kind, (self.kind, ""))
        return f"{self.files:,} {kind} files{more}, {self.rows:,} rows, {self.size / 1e6:,.0f} MB"


@dataclass(frozen=True)
class _Plan:
    kind: str
    files: int
    rows: int


PLANS = {
    "small-ndjson": _Plan("jsonl", 20_000, 24_000_000),
    "large-ndjson": _Plan("jsonl", 20, 24_000_000),
    "csv": _Plan("csv", 1, 14_300_000),  # 1.2 GB
    "parquet": _Plan("parquet", 10, 25_000_000),
    "memory": _Plan("jsonl", 4, 12_800_000),  # 2 GB
    "objects": _Plan("jsonl", 20_000, 2_000_000),  # small files for S3
    "neighbour": _Plan("jsonl", 20, 400_000),  # for what is much slower
    "spark-small": _Plan("jsonl", 2_000, 2_000_000),
    "spark-many": _Plan("jsonl", 20_000, 2_000_000),
    "spark-ndjson": _Plan("jsonl", 20, 6_400_000),  # 1 GB
    "spark-drift": _Plan("drift", 20, 6_400_000),
    "spark-ignored": _Plan("ignored", 20, 6_400_000),
    "spark-csv": _Plan("csv", 20, 12_000_000),  # 1 GB
    "spark-parquet": _Plan("parquet", 10, 25_000_000),
}


def prepare(name: str, root: Path, scale: float) -> Input:
    """The files of plan `name`, `scale` times as many rows; and files, where there are many."""
    plan = PLANS[name]
    files = max(1, round(plan.files * min(scale, 1))) if plan.files > 100 else plan.files  # noqa: PLR2004
    rows = max(files, round(plan.rows * scale) // files * files)
    folder = root / f"{name}-{files}x{rows // files}"
    if not folder.exists():
        draft = folder.with_name(f".{folder.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _WRITERS[plan.kind](draft, files, rows // files)
        draft.rename(folder)
    size = sum(file.stat().st_size for file in folder.iterdir())
    return Input(name, folder, plan.kind, files, rows, size)


def _rows(begin: int, end: int) -> str:
    return f"SELECT {_ROW} FROM range({begin}, {end}) AS numbers(i)"


def _write_each(kind: str, options: str) -> Callable[[Path, int, int], None]:
    def write(folder: Path, files: int, rows: int) -> None:
        with duckdb.connect() as connection:
            for number in range(files):
                target = folder / f"part-{number:05}.{kind}"
                query = _rows(number * rows, (number + 1) * rows)
                connection.execute(f"COPY ({query}) TO '{target}' ({options})")

    return write


def _write_more(of: int) -> Callable[[Path, int, int], None]:
    """JSON lines: one record of so many has a field more."""

    def write(folder: Path, files: int, rows: int) -> None:
        with duckdb.connect() as connection:
            for number in range(files):
                target = folder / f"part-{number:05}.jsonl"
                whole = f"CASE WHEN id % {of} = 0 THEN to_json(struct_insert(r, channel := 'web')) ELSE to_json(r) END"
                query = f"SELECT {whole} FROM ({_rows(number * rows, (number + 1) * rows)}) AS r"
                plain = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\1'"
                connection.execute(f"COPY ({query}) TO '{target}' ({plain})")

    return write


def _write_lines(folder: Path, files: int, rows: int) -> None:
    """JSON lines. Many small files are cut from larger ones: a query for each would take an hour."""
    together = max(1, min(files, 400_000 // rows))
    write = _write_each("jsonl", "FORMAT json")
    if together == 1:
        write(folder, files, rows)
        return
    large = folder / "large"
    large.mkdir()
    write(large, -(-files // together), rows * together)
    cut = _cut(large, rows)
    for number in range(files):
        (folder / f"part-{number:05}.jsonl").write_bytes(next(cut))
    shutil.rmtree(large)


def _cut(folder: Path, rows: int) -> Iterator[bytes]:
    for file in sorted(folder.iterdir()):
        with file.open("rb") as lines:
            while piece := b"".join(islice(lines, rows)):
                yield piece
        file.unlink()


_WRITERS: dict[str, Callable[[Path, int, int], None]] = {
    "jsonl": _write_lines,
    "drift": _write_more(of=100),
    "ignored": _write_more(of=1),
    "csv": _write_each("csv", "FORMAT csv, HEADER"),
    "parquet": _write_each("parquet", "FORMAT parquet, COMPRESSION zstd"),
}
