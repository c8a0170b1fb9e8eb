"""CSV read record by record: the exact reader, with line numbers and raw text.

It is the reference of what a CSV file holds (Python's own strict `csv` module does the splitting), about a tenth as
fast as DuckDB. Files that a scan of their bytes (`csv_scan`) finds to be plain are left to DuckDB, which agrees.

- Lines end with LF, CR LF or CR, mixed as they come. Empty lines between records are left out.
- Quotes count when a field begins with one; elsewhere they are text. After the closing quote must come a delimiter
  or the line's end: otherwise the record is rejected up to the end of that line.
- A quote that is never closed fails the whole file: what follows it cannot be told apart.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from app.ingest.formats.base import RAW_LIMIT
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.streams import BadFile

_ESCAPED_QUOTE, _ESCAPED_ESCAPE = "\ud800", "\ud801"  # no decoded text holds these
_DRAIN = 1024 * 1024
_BLANK = frozenset({"\n", "\r\n", "\r"})


class CsvRecord(NamedTuple):
    """One record. `fields` is None when it is rejected, for `reason`. `line` is where it begins, 1-based."""

    line: int
    last_line: int
    fields: list[str] | None
    reason: str
    raw: str


class _TooLong(Exception):
    pass


class _Lines:
    """Feeds lines to the csv reader and keeps those of the record at hand."""

    def __init__(self, stream: io.TextIOBase, dialect: CsvDialect, limit: int) -> None:
        self.stream, self.dialect, self.limit, self.comment = stream, dialect, limit, dialect.comment
        self.number = 0
        self.waiting = ""
        self.taken: list[str] = []
        self.size = 0
        self.ended = False
        self.quoted = False
        escape, quote = re.escape(dialect.escape), re.escape(dialect.quote)
        self.tokens = (
            re.compile(f"({escape}[{escape}{quote}]|{quote})") if dialect.escape not in {"", dialect.quote} else None
        )

    def __iter__(self) -> _Lines:
        return self

    @property
    def begin(self) -> int:
        """The line in which the record at hand begins."""
        return self.number - len(self.taken) + 1

    def first(self) -> str | None:
        """The first line of the next record, None at the end of the file. The csv reader gets it next, or nobody."""
        self.taken, self.size, self.quoted = [], 0, False
        while line := self._line():
            if line not in _BLANK and not (self.comment and line.startswith(self.comment)):
                self.waiting = self._keep(line)
                return self.waiting
        return None

    def __next__(self) -> str:
        line, self.waiting = self.waiting, ""
        if not line:
            line = self._line()
            if not line:
                self.ended = True
                raise StopIteration
            self._keep(line)
        return self._unescape(line) if self.tokens else line

    def _line(self) -> str:
        line = self.stream.readline(self.limit + 1)
        self.number += bool(line)
        if len(line) > self.limit and line[-1] not in "\r\n":
            while (more := self.stream.readline(_DRAIN)) and more[-1] not in "\r\n":
                pass
        return line

    def _keep(self, line: str) -> str:
        self.taken.append(line)
        self.size += len(line)
        if self.size > self.limit and (line[-1:] not in {"\r", "\n"} or self.size > self.limit + 2):
            raise _TooLong
        return line

    def _unescape(self, line: str) -> str:
        """Escape sequences inside quotes as single characters that mean nothing to the csv module."""
        if not self.tokens or (not self.quoted and self.dialect.quote not in line):
            return line
        out: list[str] = []
        before = self.dialect.delimiter  # a record's first field begins like any other
        for part in self.tokens.split(line):
            if part == self.dialect.quote:
                if self.quoted:
                    self.quoted = False
                elif before.endswith(self.dialect.delimiter):
                    self.quoted = True
            elif self.quoted and len(part) == 2 and part[0] == self.dialect.escape and self.tokens.fullmatch(part):  # noqa: PLR2004
                part = _ESCAPED_QUOTE if part[1] == self.dialect.quote else _ESCAPED_ESCAPE  # noqa: PLW2901
            out.append(part)
            before = part or before
        return "".join(out)


def read_records(path: str, dialect: CsvDialect, limit: int) -> Iterator[CsvRecord]:
    """The records of a plain UTF-8 file, header included, `skip_lines` and comments left out.

    A record of more than `limit` characters is rejected. Raises BadFile: `truncated` for a quote that is never
    closed, `too-large` (QUARANTINED) for a record over the limit that holds quotes.
    """
    csv.field_size_limit(2**31 - 1)
    with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        if stream.read(1) != "\ufeff":
            stream.seek(0)
        lines = _Lines(stream, dialect, limit)
        for _ in range(dialect.skip_lines):
            if not stream.readline():
                return
            lines.number += 1
        reader = csv.reader(
            lines,
            delimiter=dialect.delimiter,
            quotechar=dialect.quote or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
            doublequote=dialect.escape == dialect.quote,
            strict=True,
        )
        while record := _next(reader, lines):
            yield record


def _next(reader: Iterator[list[str]], lines: _Lines) -> CsvRecord | None:
    quote, delimiter = lines.dialect.quote, lines.dialect.delimiter
    try:
        line = lines.first()
        if line is None:
            return None
        if not quote or quote not in line:
            lines.waiting = ""
            fields = line.rstrip("\r\n").split(delimiter)  # what the csv module would find, four times as fast
        else:
            fields = next(reader)
    except _TooLong as exc:
        if len(lines.taken) > 1 or (quote and quote in lines.taken[0]):
            sentence = f"The record of line {lines.begin} holds quotes and is longer than {lines.limit:,} bytes."
            raise BadFile("too-large", sentence, "QUARANTINED") from exc
        return _rejected(lines, f"too-long: more than {lines.limit:,} bytes")
    except csv.Error as exc:
        if lines.ended:
            sentence = (
                f"The quote opened in the record of line {lines.begin} is never closed: cut off, or a stray quote."
            )
            raise BadFile("truncated", sentence) from exc
        return _rejected(lines, f"malformed: {exc}")
    raw = lines.taken[0] if len(lines.taken) == 1 else "".join(lines.taken)
    if not raw.isascii() and not _is_text(raw):
        return _rejected(lines, "undecodable: bytes that are not UTF-8")
    if lines.tokens:
        escape = lines.dialect.escape
        fields = [field.replace(_ESCAPED_QUOTE, quote).replace(_ESCAPED_ESCAPE, escape) for field in fields]
    return CsvRecord(lines.begin, lines.number, fields, "", raw)


def _rejected(lines: _Lines, reason: str) -> CsvRecord:
    return CsvRecord(lines.begin, lines.number, None, reason, "".join(lines.taken))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def cut_raw(raw: str) -> str:
    """At most RAW_LIMIT bytes of valid UTF-8, without the line end; what was no text is replaced."""
    if len(raw) <= RAW_LIMIT and raw.isascii():
        return raw.rstrip("\r\n")
    data = raw[: RAW_LIMIT + 1].rstrip("\r\n").encode("utf-8", "surrogateescape")[:RAW_LIMIT]
    text = data.decode("utf-8", "replace")
    while len(text.encode()) > RAW_LIMIT:  # a replacement is longer than the byte it stands for
        text = text[: -max(1, (len(text.encode()) - RAW_LIMIT) // 3)]
    return text
