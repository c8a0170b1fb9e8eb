"""Where in a plain file the records of the wrong width are, without reading the others field by field.

Only for files that `csv_scan` found plain: there a record ends at a line end outside quotes, and its width is told by
the delimiters outside quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from app.ingest.formats.csv_exact import too_few, too_many
from app.ingest.formats.csv_head import CsvHead
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.csv_records import cut_raw
from app.ingest.formats.csv_scan import whole_lines

_LF, _CR = 10, 13
_SCHEMA = pa.schema([("f", pa.int64()), ("line", pa.int64()), ("rej", pa.string()), ("raw", pa.string())])


def store_ragged(path: str, file_id: int, head: CsvHead, dialect: CsvDialect, limit: int, target: Path) -> None:
    """Write the file's records of the wrong width to `target`, with their lines and raw text."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(target, _SCHEMA, compression="lz4") as writer:
        for found in _ragged(path, head, dialect, limit):
            lines, reasons, raws = zip(*found, strict=True)
            writer.write_batch(pa.record_batch([[file_id] * len(lines), lines, reasons, raws], schema=_SCHEMA))


def _ragged(path: str, head: CsvHead, dialect: CsvDialect, limit: int) -> Iterator[list[tuple[int, str, str]]]:
    line = head.skip + 1
    for data in _whole_records(path, head.offset, dialect, limit):
        raw = np.frombuffer(data, np.uint8)
        newlines = np.flatnonzero(raw == _LF)
        delimiters = np.flatnonzero(raw == ord(dialect.delimiter))
        ends = newlines
        if dialect.quote and dialect.quote.encode() in data:
            quotes = np.flatnonzero(raw == ord(dialect.quote))
            ends, delimiters = _outside(quotes, newlines), _outside(quotes, delimiters)
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        starts = np.concatenate(([0], ends[:-1] + 1))
        widths = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
        first = raw[np.minimum(starts, len(raw) - 1)]
        blank = (ends == starts) | ((ends == starts + 1) & (first == _CR))
        found = []
        for at in np.flatnonzero((widths != head.width) & ~blank).tolist():
            text = data[starts[at] : ends[at]].decode()
            reason = too_few(head.width) if widths[at] < head.width else too_many(head.width)
            found.append((line + int(np.searchsorted(newlines, starts[at])), reason, cut_raw(text)))
        if found:
            yield found
        line += len(newlines)


def _outside(quotes: npt.NDArray[np.int64], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    even: npt.NDArray[np.bool_] = (np.searchsorted(quotes, positions) & 1) == 0
    return positions[even]


def _whole_records(path: str, offset: int, dialect: CsvDialect, limit: int) -> Iterator[bytes]:
    """Whole lines, joined until no quote is open."""
    kept: list[bytes] = []
    open_quotes = 0
    for view in whole_lines(path, offset, limit):
        if view is None:
            return
        data = bytes(view)
        kept.append(data)
        open_quotes += data.count(dialect.quote.encode()) if dialect.quote else 0
        if open_quotes % 2 == 0:
            yield b"".join(kept)
            kept = []
    if kept:
        yield b"".join(kept)
