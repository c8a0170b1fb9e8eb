"""One pass over the bytes of a CSV file: is it plain enough for DuckDB's parallel reader to be right?

Plain means: valid UTF-8, one kind of line end, no line over the limit, no comment behind the header, and each quote
opens a field (after a delimiter or line end) or closes one (before a delimiter or line end) or is doubled. On such
files DuckDB and the exact reader (`csv_records`) agree; a test holds them to it. All else is read by the exact reader.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.ingest.formats.csv_options import CsvDialect

CHUNK = 4 * 1024 * 1024
_LF, _CR = 10, 13


@dataclass(slots=True)
class CsvShape:
    """`plain`: DuckDB may read it, with `quoted_newlines` not in parallel.

    `newlines` is the number of records, unless there are `blank_lines`.
    """

    plain: bool = True
    quoted_newlines: bool = False
    blank_lines: bool = False
    newlines: int = 0  # outside quotes, and one for a last line without line end


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

    def feed(self, data: bytes) -> bool:
        """Look at whole lines; False when the file is not plain, and nothing more needs to be read."""
        self.shape.plain = self._lines(data) and self._text(data) and self._quotes(data)
        return self.shape.plain

    def _lines(self, data: bytes) -> bool:
        returns, newlines = data.count(b"\r"), data.count(b"\n")
        self.shape.newlines += newlines
        if newlines:
            crlf = bool(returns)
            if self.crlf is not None and crlf != self.crlf:
                return False
            self.crlf = crlf
            if returns and not returns == newlines == data.count(b"\r\n"):
                return False
        elif returns:
            return False
        if not data.endswith(b"\n"):
            self.shape.newlines += 1
        if b"\n\n" in data or b"\n\r\n" in data or data[:1] in b"\r\n":
            self.shape.blank_lines = True
        return True

    def _text(self, data: bytes) -> bool:
        if any(text.encode() in data for text in self.foreign):
            return False
        if not data.isascii():
            try:
                codecs.utf_8_decode(data, "strict", True)  # noqa: FBT003 — positional only
            except UnicodeDecodeError:
                return False
        return True

    def _quotes(self, data: bytes) -> bool:
        if not self.quote or (not self.parity and self.quote not in data):
            return True
        raw = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(raw == self.quote[0])
        opening, closing = quotes[self.parity :: 2], quotes[1 - self.parity :: 2]
        before = _neighbours(raw, opening, -1)
        after = _neighbours(raw, closing, 1)
        if not (_among(before, self.openers) and _among(after, self.closers)):
            return False
        newlines = np.flatnonzero(raw == _LF)
        quoted = (np.searchsorted(quotes, newlines) + self.parity) & 1
        inside = int(np.count_nonzero(quoted))
        self.shape.quoted_newlines |= inside > 0
        self.shape.newlines -= inside
        self.parity = (self.parity + len(quotes)) & 1
        return not inside or self._short_records(newlines[quoted == 0], len(data))

    def _short_records(self, ends: npt.NDArray[np.int64], size: int) -> bool:
        """Whether records of several lines stay below the limit, too."""
        edges = np.concatenate(([-1 - self.open_bytes], ends, [size - 1]))
        self.open_bytes = int(edges[-1] - edges[-2])
        return int(np.diff(edges).max()) <= self.limit


def _neighbours(raw: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.uint8]:
    """The bytes beside; what lies beyond the data counts as a line end (the data are whole lines)."""
    beside = at + step
    outside = (beside < 0) | (beside >= len(raw))
    found = raw[np.where(outside, 0, beside)]
    return np.where(outside, np.uint8(_LF), found)


def _among(values: npt.NDArray[np.uint8], allowed: list[int]) -> bool:
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


def whole_lines(path: str, offset: int, limit: int) -> Iterator[bytes | None]:
    """The file cut behind line ends; None for a line over the limit."""
    rest = b""
    with Path(path).open("rb", buffering=0) as handle:
        handle.seek(offset)
        while data := handle.read(CHUNK):
            cut = data.rfind(b"\n") + 1
            if not cut:
                rest += data
                if len(rest) > limit:
                    yield None
                    return
                continue
            if len(rest) + data.find(b"\n") > limit:
                yield None
                return
            yield rest + data[:cut] if rest else data[:cut]
            rest = data[cut:]
    if rest:
        yield None if len(rest) > limit else rest
