"""Lines of text files as records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from app.ingest.formats.base import RAW_LIMIT, Job
from app.ingest.formats.contract import ParseFile
from app.ingest.formats.lines import Ints, Piece
from app.ingest.formats.streams import BadFile, check_encoding, packed_bytes, read_chunks

_LONE_CR = re.compile(rb"\r(?!\n)")
_BLANK = b" \t\r\n"
_SMALL = 256 * 1024


def split_lines(file: ParseFile, job: Job) -> Iterator[Piece]:
    """The file's lines. Raises BadFile."""
    limit = job.limits.max_record_bytes
    tail = b""
    line, offset, skipped = 1, 0, 0  # offset: of the tail, or of the line that is too long
    head: bytes | None = None  # of a line that is too long
    for chunk in _newlines(file, job):
        data = tail + chunk if tail else chunk
        if head is not None:
            end = data.find(b"\n") + 1
            if not end:
                skipped += len(data)
                continue
            yield _too_long(file, head, line, offset, limit)
            line, offset, head, data = line + 1, offset + skipped + end, None, data[end:]
        cut = data.rfind(b"\n") + 1
        tail = data[cut:]
        if cut:
            piece, count = _piece(file, data[:cut] if tail else data, line, offset, limit)
            line, offset = line + count, offset + cut
            if len(piece.starts):
                yield piece
        if len(tail) > limit:
            head, skipped, tail = tail[:RAW_LIMIT], len(tail), b""
    if head is not None:
        yield _too_long(file, head, line, offset, limit)
    elif tail:
        piece, _ = _piece(file, tail + b"\n", line, offset, limit)
        if len(piece.starts):
            yield piece


def _newlines(file: ParseFile, job: Job) -> Iterator[bytes]:
    """The text with a line feed at each line end; a lone carriage return is one. Lengths stay as they are."""
    held = b""
    first = True
    for chunk in read_chunks(file, job.limits, check_encoding(job.options.get("encoding"))):
        if first and b"\0" in chunk[:4096] and chunk.lstrip()[:1] not in {b"{", b"["}:
            raise BadFile("not-this-format", f"{file.path} holds binary data, not text.")
        first = False
        data = held + chunk if held else chunk
        held = b"\r" if data.endswith(b"\r") else b""
        if held:
            data = data[:-1]
        if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
            data = _LONE_CR.sub(b"\n", data)
        yield data
    if held:
        yield b"\n"


def _piece(file: ParseFile, data: bytes, line: int, offset: int, limit: int) -> tuple[Piece, int]:
    """Whole lines as records, and how many lines they are."""
    found = _records(data, limit)
    piece = Piece(
        file.file_id, found.data, found.starts, found.ends, found.numbers + line, offset + found.cut, found.flaws
    )
    return piece, found.total


class _Records(NamedTuple):
    data: bytes
    starts: Ints
    ends: Ints
    numbers: Ints  # which line of all `total` lines each record is, from 0
    flaws: dict[int, str]
    total: int
    cut: int  # bytes left out at the beginning


def _records(data: bytes, limit: int) -> _Records:
    """Lines that are not blank; blank ones become white space behind the record before."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw == ord("\n")) + 1
    starts = np.concatenate([[0], ends[:-1]])
    numbers = np.arange(len(starts))
    count = len(starts)
    cut = 0
    long = _long(data, starts, ends, limit) if len(data) > limit else frozenset()
    blank = ends - starts == 1  # told apart here, a file of nothing else is no work for the loop
    doubtful = np.flatnonzero((raw[starts] != ord("{")) & ~blank).tolist()
    blank[[i for i in doubtful if i not in long and not data[starts[i] : ends[i]].strip(_BLANK)]] = True
    if blank.any():
        starts, numbers = starts[~blank], numbers[~blank]
        cut = int(starts[0]) if len(starts) else 0
        ends = np.concatenate([starts[1:], [len(data)]])[: len(starts)] - cut
        starts = starts - cut
        data = data[cut:]
    flaws = {int(np.searchsorted(numbers, i)): _flaw(limit) for i in long}
    return _Records(data, starts, ends, numbers, flaws, count, cut)


def _long(data: bytes, starts: Ints, ends: Ints, limit: int) -> frozenset[int]:
    """Indices of lines that are longer than the limit without their line ends."""
    doubtful = np.flatnonzero(ends - starts > limit).tolist()
    return frozenset(i for i in doubtful if len(data[starts[i] : ends[i]].rstrip(b"\r\n")) > limit)


class SmallFiles:
    """Collects whole small files, so that the cost of a piece is not paid for each."""

    def __init__(self) -> None:
        self.size = 0
        self._ids: list[int] = []
        self._texts: list[bytes] = []
        self._limit = 0

    def take(self, file: ParseFile, job: Job) -> bool:
        """Takes plain UTF-8 files that begin with a brace (so without mark or magic) and know no carriage return."""
        if file.size > _SMALL or file.compression != "none" or job.options.get("encoding"):
            return False
        try:
            data = _bytes_of(file)
        except (OSError, BadFile):
            return False
        if len(data) > _SMALL or data[:1] != b"{" or b"\r" in data:
            return False
        self._limit = job.limits.max_record_bytes
        self._ids.append(file.file_id)
        self._texts.append(data if data.endswith(b"\n") else data + b"\n")
        self.size += len(data)
        return True

    def flush(self) -> Iterator[Piece]:
        if not self._ids:
            return
        data = b"".join(self._texts)
        bounds = np.cumsum([len(text) for text in self._texts])
        found = _records(data, self._limit)
        which = np.searchsorted(bounds, found.starts + found.cut, side="right")
        begins = np.concatenate([[0], bounds[:-1]])
        newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
        lines = found.numbers - np.searchsorted(newlines, begins)[which] + 1
        ids = np.array(self._ids, np.int64)[which]
        self._ids, self._texts, self.size = [], [], 0
        if len(found.starts):
            yield Piece(ids, found.data, found.starts, found.ends, lines, found.cut - begins[which], found.flaws)


def _bytes_of(file: ParseFile) -> bytes:
    """All bytes, or more than a small file has."""
    if file.offset is not None:
        return packed_bytes(file)
    with open(file.local_path, "rb", buffering=0) as handle:  # noqa: PTH123 20,000 times a batch
        return handle.read(_SMALL + 1)


def _too_long(file: ParseFile, head: bytes, line: int, offset: int, limit: int) -> Piece:
    """A record of which only the head was kept."""
    size = np.array([len(head)])
    return Piece(file.file_id, head, np.array([0]), size, np.array([line]), offset, {0: _flaw(limit)})


def _flaw(limit: int) -> str:
    return f"too-long: the record is longer than {limit:,} bytes"
