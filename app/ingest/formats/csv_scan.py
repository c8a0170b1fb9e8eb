"""One pass over the bytes of a CSV file: is it plain enough for DuckDB's parallel reader to be right?

Plain means: valid UTF-8, one kind of line end, no line over the limit, no comment behind the header, and each quote
opens a field (after a delimiter or line end) or closes one (before a delimiter or line end) or is doubled. On such
files DuckDB and the exact reader (`csv_records`) agree; a test holds them to it. All else is read by the exact reader.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.ingest.formats.csv_options import CsvDialect

CHUNK = 1024 * 1024  # stays in the processor's cache
_LF, _CR, _ASCII = 10, 13, 127
_NONE = np.empty(0, np.int64)

Bytes = npt.NDArray[np.uint8]


@dataclass(slots=True)
class CsvShape:
    """`plain`: DuckDB may read it, with `quoted_newlines` not in parallel.

    `newlines` is the number of records, and of blank lines between them.
    """

    plain: bool = True
    quoted_newlines: bool = False
    newlines: int = 0  # outside quotes, and one for a last line without line end


def count_blank(path: str, limit: int, offset: int) -> int:
    """How many lines of a plain file are empty, those inside quotes included: more than this are not missing."""
    blank = 0
    for data in whole_lines(path, offset, limit):
        if data is not None:
            raw = np.frombuffer(data, np.uint8)
            begin = np.concatenate(([True], raw[:-1] == _LF))
            blank += int(np.count_nonzero(begin & (raw == _LF)))
            blank += int(np.count_nonzero(begin[:-1] & (raw[:-1] == _CR) & (raw[1:] == _LF)))
    return blank


class _Scanner:
    def __init__(self, dialect: CsvDialect, limit: int) -> None:
        self.shape = CsvShape()
        self.quote = dialect.quote.encode()
        self.doubled = dialect.escape == dialect.quote
        self.foreign = tuple(filter(None, ("" if self.doubled else dialect.escape, dialect.comment)))
        self.openers = [_LF, *dialect.delimiter.encode(), *(self.quote if self.doubled else b"")]
        self.closers = [_LF, _CR, *dialect.delimiter.encode(), *(self.quote if self.doubled else b"")]
        self.limit = limit
        self.parity = 0
        self.open_bytes = 0  # of the record that an earlier chunk ended in
        self.crlf: bool | None = None

    def feed(self, data: memoryview) -> bool:
        """Look at whole lines; False when the file is not plain, and nothing more needs to be read."""
        raw = np.frombuffer(data, np.uint8)
        self.shape.plain = self._lines(raw) and self._text(data, raw) and self._quotes(raw)
        return self.shape.plain

    def _lines(self, raw: Bytes) -> bool:
        ends = raw == _LF
        newlines, returns = int(np.count_nonzero(ends)), int(np.count_nonzero(raw == _CR))
        self.shape.newlines += newlines + int(raw[-1] != _LF)
        if not newlines:
            return not returns
        if self.crlf is not None and bool(returns) != self.crlf:
            return False
        self.crlf = bool(returns)
        return not returns or returns == newlines == int(np.count_nonzero(ends[1:] & (raw[:-1] == _CR)))

    def _text(self, data: memoryview, raw: Bytes) -> bool:
        if self.foreign and any(text.encode() in bytes(data) for text in self.foreign):
            return False
        if raw.max() > _ASCII:
            try:
                codecs.utf_8_decode(data, "strict", True)  # noqa: FBT003 — positional only
            except UnicodeDecodeError:
                return False
        return True

    def _quotes(self, raw: Bytes) -> bool:
        quotes = np.flatnonzero(raw == self.quote[0]) if self.quote else _NONE
        if not len(quotes) and not self.parity:
            return True
        before = _neighbours(raw, quotes[self.parity :: 2], -1)
        after = _neighbours(raw, quotes[1 - self.parity :: 2], 1)
        if not (_among(before, self.openers) and _among(after, self.closers)):
            return False
        newlines = np.flatnonzero(raw == _LF)
        quoted = (np.searchsorted(quotes, newlines) + self.parity) & 1
        inside = int(np.count_nonzero(quoted))
        self.shape.quoted_newlines |= inside > 0
        self.shape.newlines -= inside
        self.parity = (self.parity + len(quotes)) & 1
        return not inside or self._short_records(newlines[quoted == 0], len(raw))

    def _short_records(self, ends: npt.NDArray[np.int64], size: int) -> bool:
        """Whether records of several lines stay below the limit, too."""
        edges = np.concatenate(([-1 - self.open_bytes], ends, [size - 1]))
        self.open_bytes = int(edges[-1] - edges[-2])
        return int(np.diff(edges).max()) <= self.limit


def _neighbours(raw: Bytes, at: npt.NDArray[np.int64], step: int) -> Bytes:
    """The bytes beside; what lies beyond the data counts as a line end (the data are whole lines)."""
    beside = at + step
    outside = (beside < 0) | (beside >= len(raw))
    found = raw[np.where(outside, 0, beside)]
    return np.where(outside, np.uint8(_LF), found)


def _among(values: Bytes, allowed: list[int]) -> bool:
    good = values == allowed[0]
    for value in allowed[1:]:
        good |= values == value
    return bool(good.all())


def scan(path: str, dialect: CsvDialect, limit: int, *, offset: int = 0, crlf: bool | None = None) -> CsvShape:
    """Scan the file from `offset` (a line's start) on; `crlf` is how the lines before end. Raises OSError."""
    if not dialect.bytewise:
        return CsvShape(plain=False)
    scanner = _Scanner(dialect, limit)
    scanner.crlf = crlf
    for data in whole_lines(path, offset, limit):
        if data is None:
            return CsvShape(plain=False)
        if not scanner.feed(data):
            break
    if scanner.parity:
        scanner.shape.plain = False
    return scanner.shape


def whole_lines(path: str, offset: int, limit: int) -> Iterator[memoryview | None]:
    """The file cut behind line ends; None for a line over the limit, and then nothing more."""
    rest = b""
    with open(path, "rb", buffering=0) as handle:  # noqa: PTH123 — a Path costs as much as the read of a small file
        handle.seek(offset)
        while data := handle.read(CHUNK):
            first, last = data.find(b"\n") + 1, data.rfind(b"\n") + 1
            if len(rest) + (first or len(data)) > limit + 1:
                yield None
                return
            if not last:
                rest += data
                continue
            if rest:  # joined to its line's end alone: the chunk itself is never copied
                yield memoryview(rest + data[:first])
            view = memoryview(data)[first if rest else 0 : last]
            if len(view):
                yield view
            rest = data[last:]
    if rest:
        yield memoryview(rest)
