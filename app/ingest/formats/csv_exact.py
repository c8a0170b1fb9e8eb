"""What the exact reader finds in one file, stored as Parquet, so that it goes the same way as the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.ingest.formats.csv_head import CsvHead
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.csv_records import CsvRecord, cut_raw, read_records

_BATCH_RECORDS = 20_000
_BATCH_CHARACTERS = 16 * 1024 * 1024


def store(path: str, file_id: int, head: CsvHead, dialect: CsvDialect, limit: int, target: Path, *, raw: bool) -> int:
    """Write the records of the plain UTF-8 file at `path` to `target`; answers how many.

    Columns: `f`, `line`, `rej`, `raw` (null unless asked for) and the fields, `c0`, `c1`, …, null in a rejected record.
    Raises BadFile as `read_records` does, and leaves nothing then.
    """
    fields = [(f"c{i}", pa.string()) for i in range(head.width)]
    schema = pa.schema([("f", pa.int64()), ("line", pa.int64()), ("rej", pa.string()), ("raw", pa.string()), *fields])
    records = read_records(path, dialect, limit)
    if head.header is not None:
        next(records, None)
    count = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetWriter(
            target, schema, compression="lz4", use_dictionary=False, write_statistics=False
        ) as writer:
            for batch in _batches(records):
                count += len(batch)
                writer.write_batch(_arrow(batch, file_id, head.width, schema, raw=raw))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return count


def too_few(width: int) -> str:
    return f"too-few-fields: fewer than {width}"


def too_many(width: int) -> str:
    return f"too-many-fields: more than {width}"


def _batches(records: Iterator[CsvRecord]) -> Iterator[list[CsvRecord]]:
    batch: list[CsvRecord] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.raw)
        if len(batch) >= _BATCH_RECORDS or size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _arrow(batch: list[CsvRecord], file_id: int, width: int, schema: pa.Schema, *, raw: bool) -> pa.RecordBatch:
    blank: list[str | None] = [None] * width
    rows: list[Sequence[str | None]] = []
    reasons: list[str | None] = []
    for record in batch:
        reason = record.reason or None
        if record.fields is not None and len(record.fields) != width:
            reason = too_few(width) if len(record.fields) < width else too_many(width)
        reasons.append(reason)
        rows.append(blank if reason or record.fields is None else record.fields)
    columns = [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)] if width else []
    raws = [cut_raw(record.raw) if raw else None for record in batch]
    head = [pa.array([file_id] * len(batch), pa.int64()), pa.array([r.line for r in batch], pa.int64())]
    return pa.record_batch(
        [*head, pa.array(reasons, pa.string()), pa.array(raws, pa.string()), *columns], schema=schema
    )
