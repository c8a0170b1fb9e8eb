"""The head of a CSV file: what its columns are called, and where its records begin."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from pathlib import Path

from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.csv_records import CsvRecord, read_records
from app.ingest.formats.streams import BadFile, foreign_kind

MAX_FIELDS = 10_000
_SNIFF = 4096


@dataclass(frozen=True, slots=True)
class CsvHead:
    """`header` are the texts of the header, one for each field; None when the dialect has none.

    `width` is the number of fields of a record; `skip` the physical lines before the first record, `offset` the bytes;
    `plain` is false when the head alone asks for the exact reader; `crlf` is how its lines end, None without any.
    """

    header: tuple[str, ...] | None
    width: int
    skip: int
    offset: int
    plain: bool
    crlf: bool | None = None


@dataclass(slots=True)
class HeadReader:
    """Reads heads; files that begin with the same line are parsed once."""

    dialect: CsvDialect
    limit: int
    _known: dict[bytes, CsvHead] = field(default_factory=dict)

    def read(self, path: str, name: str) -> CsvHead:
        """The head of the plain UTF-8 file at `path`. `name` is for the sentences.

        Raises BadFile: `empty` (SKIPPED), `not-this-format`, `undecodable`, `too-large`, `truncated`.
        """
        with open(path, "rb") as handle:  # noqa: PTH123 — a Path costs as much as the read, for 100,000 small files
            begin = handle.peek(_SNIFF)[:_SNIFF]
            _refuse_binary(begin, name, self.dialect.encoding)
            simple = self.dialect.header and not self.dialect.skip_lines and not self.dialect.comment
            first = handle.readline(self.limit) if simple else b""
        if first.strip() and first in self._known:
            return self._known[first]
        head = self._parse(path, name)
        if first.strip() and head.skip == 1 and head.plain:
            self._known[first] = head
        return head

    def _parse(self, path: str, name: str) -> CsvHead:
        try:
            record = next(read_records(path, self.dialect, self.limit), None)
        except BadFile as bad:
            raise BadFile(bad.reason, f"{name}: {bad.error}", bad.state) from bad
        if record is None:
            raise BadFile("empty", f"{name} holds no line.", "SKIPPED")
        if not self.dialect.header:
            width = len(record.fields) if record.fields is not None else 0
            skip = self.dialect.skip_lines
            offset, plain, crlf = _offset(path, skip, self.dialect)
            head = CsvHead(None, width, skip, offset, plain and width > 0, crlf)
        else:
            head = self._header(path, name, record)
        if head.width > MAX_FIELDS:
            sentence = f"{name} has {head.width:,} columns; at most {MAX_FIELDS:,} are read."
            raise BadFile("too-large", sentence, "QUARANTINED")
        return head

    def _header(self, path: str, name: str, record: CsvRecord) -> CsvHead:
        if record.fields is None:
            reason = record.reason.partition(":")[0]
            if reason == "too-long":
                sentence = f"The header of {name} (line {record.line}) is longer than {self.limit:,} bytes."
                raise BadFile("too-large", sentence, "QUARANTINED")
            kind = "undecodable" if reason == "undecodable" else "not-this-format"
            raise BadFile(kind, f"The header of {name} (line {record.line}) cannot be read: {record.reason}.")
        offset, plain, crlf = _offset(path, record.last_line, self.dialect, lines_before=record.line - 1)
        plain = plain and record.line == record.last_line
        return CsvHead(tuple(record.fields), len(record.fields), record.last_line, offset, plain, crlf)


def _refuse_binary(begin: bytes, name: str, encoding: str) -> None:
    if encoding == "utf-8" and begin[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise BadFile("undecodable", f"{name} is UTF-16; set the option encoding: utf-16.")
    if b"\0" in begin.partition(b"\n")[0]:
        kind = foreign_kind(begin) or "binary data"
        raise BadFile("not-this-format", f"{name} holds {kind}, not text.")


def _offset(
    path: str, skip: int, dialect: CsvDialect, lines_before: int | None = None
) -> tuple[int, bool, bool | None]:
    """Where the line behind the first `skip` begins, whether DuckDB counts those lines as we do, and how they end."""
    before = skip if lines_before is None else lines_before
    quote = dialect.quote.encode()
    escape = dialect.escape.encode() if dialect.escape != dialect.quote else b""
    plain, ends = True, set()
    with Path(path).open("rb") as handle:
        for number in range(skip):
            line = handle.readline()
            other_end = b"\r" in line.removesuffix(b"\r\n")
            quoting = (number < before and quote and quote in line) or (escape and escape in line)
            plain = plain and not other_end and not quoting
            if line.endswith(b"\n"):
                ends.add(line.endswith(b"\r\n"))
        return handle.tell(), plain and len(ends) <= 1, next(iter(ends), None)


def column_names(header: tuple[str, ...]) -> tuple[str, ...]:
    """One name for each field of a header, all different.

    Spaces around a name are dropped. A field without a name is `column_<n>`, counted from 1. A name that stood before
    gets the next free number: `a, a` is `a, a_2`; the first keeps the name, and with it the table's column.
    """
    texts = [text.strip() or f"column_{number}" for number, text in enumerate(header, 1)]
    wanted = set(texts)
    taken: set[str] = set()
    names: list[str] = []
    for text in texts:
        name, number = text, 1
        while name in taken or (number > 1 and name in wanted):
            number += 1
            name = f"{text}_{number}"
        taken.add(name)
        names.append(name)
    return tuple(names)
