"""Records of many files as Arrow batches: one record a row, whatever the file's size or flaws.

Columns of a batch:

    file   int64   the file's id
    text   string  the record, valid UTF-8, line end included; null when `flaw` is set
    keys   int32   an upper bound of the number of keys in the record: quotes before a colon or white space
    doubt  bool    the record does not begin with a brace and end with one: it is worth a check before it is parsed
    flaw   string  null, or why the record cannot even be text (then `raw` of the located stream holds it)

a stream with a quick reader has besides

    quick  bool    the record was read by it (see `quick_json`): its values are in the further columns `q0`, `q1`, …
                   and all others but `file` are null; where it is false, the `q` columns are null

and, when located: `line` int64 (1-based), `offset` int64 (bytes, of the decompressed UTF-8 text),
`raw` string (only where `flaw` is set).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.ingest.formats.base import RAW_LIMIT, Job
from app.ingest.formats.contract import ParseFile
from app.ingest.formats.in_threads import in_threads
from app.ingest.formats.quick_json import QuickJson
from app.ingest.formats.streams import BadFile

PLAIN = pa.schema(
    [
        ("file", pa.int64()),
        ("text", pa.string()),
        ("keys", pa.int32()),
        ("doubt", pa.bool_()),
        ("flaw", pa.string()),
    ]
)
LOCATED = pa.schema([*PLAIN, ("line", pa.int64()), ("offset", pa.int64()), ("raw", pa.string())])
_BATCH_BYTES = 1024 * 1024  # a chunk of a large file is a batch of its own, not copied together with the next
_BATCH_RECORDS = 50_000
_COLLECTED_BYTES = 1024 * 1024

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Piece:
    """Consecutive records. Record i is `data[starts[i]:ends[i]]` of file `file_id` (`file_id[i]`), in line `lines[i]`.

    `offset` is where data[0] stands in the file, one number or one a record. `flaws` maps the index of a record to
    why it cannot be text; its bytes may be a cut.
    """

    file_id: int | Ints
    data: bytes
    starts: Ints
    ends: Ints
    lines: Ints
    offset: int | Ints
    flaws: dict[int, str] = field(default_factory=dict)


Splitter = Callable[[ParseFile, Job], Iterator[Piece]]


class Collector(Protocol):
    """Takes whole small files, many to a piece."""

    size: int

    def take(self, file: ParseFile, job: Job) -> bool:
        """Whether the file was taken; what it cannot take goes the ordinary way."""

    def flush(self) -> Iterator[Piece]:
        """What was taken since the last flush."""


def schema(*, located: bool, quick: QuickJson | None) -> pa.Schema:
    """Of the batches that `batches` gives."""
    if located:
        return LOCATED
    return PLAIN if quick is None else pa.schema([*PLAIN, ("quick", pa.bool_()), *_numbered(quick.types)])


def batches(
    job: Job,
    files: Sequence[ParseFile],
    split: Splitter,
    *,
    located: bool,
    collector: Collector | None = None,
    quick: QuickJson | None = None,
) -> Iterator[pa.RecordBatch]:
    """All records of `files`. A file that turns out bad is reported by `job.fail`; its records so far stay in the
    stream. Never raises for content.

    Batches are made by as many threads as the job has, a few ahead of who takes them. With `located` nothing is
    read by `quick`.
    """
    work = partial(_batch, located=located, quick=None if located else quick)
    return in_threads(work, _gathered(_pieces(job, files, split, collector)), job.limits.threads)


def _gathered(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Enough for a batch each time."""
    pending: list[Piece] = []
    size = records = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece.data)
        records += len(piece.starts)
        if size >= _BATCH_BYTES or records >= _BATCH_RECORDS:
            yield pending
            pending, size, records = [], 0, 0
    if pending:
        yield pending


def _pieces(job: Job, files: Sequence[ParseFile], split: Splitter, collector: Collector | None) -> Iterator[Piece]:
    for file in files:
        if collector and collector.take(file, job):
            if collector.size >= _COLLECTED_BYTES:
                yield from collector.flush()
            continue
        try:
            yield from split(file, job)
        except BadFile as bad:
            job.fail(file, bad.reason, bad.error, bad.state)
    if collector:
        yield from collector.flush()


def _batch(pieces: list[Piece], *, located: bool, quick: QuickJson | None) -> pa.RecordBatch:
    data = pieces[0].data if len(pieces) == 1 else b"".join(piece.data for piece in pieces)
    bases = np.cumsum([0, *(len(piece.data) for piece in pieces[:-1])])
    starts = np.concatenate([piece.starts + base for piece, base in zip(pieces, bases, strict=True)])
    ends = np.concatenate([piece.ends + base for piece, base in zip(pieces, bases, strict=True)])
    file_ids = pa.array(np.concatenate([np.broadcast_to(piece.file_id, len(piece.starts)) for piece in pieces]))
    flaws = _all_flaws(pieces, data, starts, ends)
    bounded = _bounded(data, starts, ends)
    if quick and not flaws and bounded.all() and (values := quick.read(data, len(starts))):
        return _quick_batch(file_ids, values, quick)
    keys = _count_keys(data, starts)
    text = _texts(data, starts, ends, flaws)
    flaw = pa.nulls(len(starts), pa.string())
    if flaws:
        flaw = pa.array([flaws.get(i) for i in range(len(starts))], pa.string())
    columns = [file_ids, text, pa.array(keys, pa.int32()), pa.array(~bounded), flaw]
    if located:
        offsets = np.concatenate([piece.starts + piece.offset for piece in pieces])
        raw = [_cut(data[starts[i] : ends[i]]) if i in flaws else None for i in range(len(starts))]
        lines = np.concatenate([piece.lines for piece in pieces])
        columns += [pa.array(lines), pa.array(offsets), pa.array(raw, pa.string())]
    elif quick:
        columns.append(pa.array(np.zeros(len(starts), bool)))
        columns += [pa.nulls(len(starts), kind) for kind in quick.types]
    return pa.record_batch(columns, schema=schema(located=located, quick=quick))


def _quick_batch(file_ids: pa.Array, values: list[pa.Array], quick: QuickJson) -> pa.RecordBatch:
    count = len(file_ids)
    empty = [pa.nulls(count, item.type) for item in PLAIN][1:]
    columns = [file_ids, *empty, pa.array(np.ones(count, bool)), *values]
    return pa.record_batch(columns, schema=schema(located=False, quick=quick))


def _numbered(types: Sequence[pa.DataType]) -> list[tuple[str, pa.DataType]]:
    return [(f"q{place}", kind) for place, kind in enumerate(types)]


def not_utf8(error: UnicodeDecodeError) -> str:
    """The reason of a record that is no text."""
    return f"invalid-utf8: byte {error.start + 1} of the record is not UTF-8"


def _all_flaws(pieces: list[Piece], data: bytes, starts: Ints, ends: Ints) -> dict[int, str]:
    flaws: dict[int, str] = {}
    at = 0
    for piece in pieces:
        flaws |= {at + index: flaw for index, flaw in piece.flaws.items()}
        at += len(piece.starts)
    try:
        if not data.isascii():  # most data are, and this makes no copy
            data.decode()
    except UnicodeDecodeError:
        for index in range(len(starts)):
            try:
                data[starts[index] : ends[index]].decode()
            except UnicodeDecodeError as exc:
                flaws.setdefault(index, not_utf8(exc))
    return flaws


def _count_keys(data: bytes, starts: Ints) -> npt.NDArray[np.int32]:
    """For each record the quotes that a colon or white space follows.

    A key's closing quote is always one of them, so this is never less than the number of keys. Records must
    be in order and must not overlap; text between them counts for the record before.
    """
    if not len(starts):
        return np.empty(0, np.int32)
    raw = np.frombuffer(data, np.uint8)
    after = raw[1:]
    marks = after == ord(":")
    marks |= after <= ord(" ")
    marks &= raw[:-1] == ord('"')
    at = np.flatnonzero(marks)
    return np.diff(np.searchsorted(at, starts), append=len(at)).astype(np.int32)


def _bounded(data: bytes, starts: Ints, ends: Ints) -> npt.NDArray[np.bool_]:
    """For each record whether it begins with a brace and ends with one, but for one line end, LF or CRLF."""
    raw = np.frombuffer(data, np.uint8)
    last = ends - 1
    for end in (ord("\n"), ord("\r")):
        last = np.maximum(last - (raw[last] == end), starts)
    bounded: npt.NDArray[np.bool_] = (raw[starts] == ord("{")) & (raw[last] == ord("}"))
    return bounded


def _texts(data: bytes, starts: Ints, ends: Ints, flaws: dict[int, str]) -> pa.Array:
    """The records as an Arrow string array over `data` itself where they lie back to back."""
    count = len(starts)
    if not flaws and count and starts[0] == 0 and bool((starts[1:] == ends[:-1]).all()):
        offsets = np.empty(count + 1, np.int32)
        offsets[:-1] = starts
        offsets[-1] = ends[-1]
        return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))
    pairs = enumerate(zip(starts.tolist(), ends.tolist(), strict=True))
    return pa.array([None if i in flaws else data[start:end].decode() for i, (start, end) in pairs], pa.string())


def _cut(raw: bytes) -> str:
    """At most RAW_LIMIT bytes as text, what is not UTF-8 replaced, without the line end."""
    line = raw.partition(b"\n")[0]  # blank lines behind the record are no part of it
    text = line.rstrip(b"\r")[:RAW_LIMIT].decode(errors="replace")
    while len(text.encode()) > RAW_LIMIT:
        text = text[: RAW_LIMIT // 4 * 3] if len(text) > RAW_LIMIT // 4 * 3 else text[:-1024]
    return text
