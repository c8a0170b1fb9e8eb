r"""Spark SQL from the text of CSV files to records and their fields, by the rules of `formats/csv_records.py`.

Spark's own CSV reader is not used: it skips a header's order, takes an unclosed quote for text, swallows rows in its
`multiLine` mode, and tells neither why a record is bad nor its raw text. Here one regular expression cuts the text
into records, and another a record into fields; both repeat possessively, because Java's matcher would else recurse
once a repetition. A file is one text (`wholetext`), so that a quoted line end is seen; a large one comes line by line.

    value ─► t ─► e ─► r, reason ─► x ─► f0, f1 …
    (text)     (record)         (fields)

A flaw of the whole file is a rejected record whose reason begins with FILE_FLAW: `<state>:<reason>:<sentence>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.ingest.formats.csv_exact import too_few, too_many
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.spark.text import BYTES, UNMARKED, text_sql
from app.ingest.formats.spark.words import FILE, FILE_FLAW

_END = r"(?:\r\n|\r|\n|\z)"
_ALL = 2**31 - 1
_LINE_ENDS = "'\\r\\n'"


@dataclass(frozen=True, slots=True)
class CsvCutter:
    """Cuts texts of one dialect; `limit` are the most characters of a record."""

    dialect: CsvDialect
    limit: int

    # --- the text

    def texts(self, keep: str) -> list[list[str]]:
        """From `value`: the text `t` without a byte order mark, whether bytes of it were not UTF-8, `odd`, and whether
        it may hold quotes, `quoted`.
        """
        quoted = f"contains(t, {text_sql(self.dialect.quote)})" if self.dialect.quote else "false"
        return [
            [FILE, keep, f"{UNMARKED} AS value"],
            [FILE, keep, "value", f"decode({BYTES}, 'UTF-8') AS t"],
            [FILE, keep, "t", "t <> value AS odd", f"{quoted} AS quoted"],
        ]

    def whole(self, keep: str, skip: int) -> list[list[str]]:
        """Each record of the text behind its first `skip` lines as `r`; blank lines may be among them.

        Without a quote each line is a record, however it ends: to find these takes no regular expression.
        """
        rest = self._behind(skip)
        cut = f"regexp_extract_all({rest}, {text_sql(self.record_pattern())}, 0)"
        lines = f"slice(split(t, '\\n', -1), {skip + 1}, {_ALL})"
        mixed = f"split(translate({rest}, '\\r', '\\n'), '\\n', -1)"
        ended = "endswith(e, '\\n') OR endswith(e, '\\r')"
        trimmed = f"CASE WHEN {ended} THEN trim(TRAILING {_LINE_ENDS} FROM e) ELSE e END"
        records = f"CASE WHEN quoted THEN {cut} WHEN contains(t, '\\r') THEN {mixed} ELSE {lines} END"
        kept = [FILE, keep, "odd", "quoted"]
        return [[*kept, f"explode({records}) AS e"], [*kept, f"{trimmed} AS r"]]

    @staticmethod
    def _behind(skip: int) -> str:
        """SQL: the text `t` behind its first lines."""
        if not skip:
            return "t"
        lines = rf"\A(?:[^\r\n]*+{_END}){{{skip}}}+"
        return f"substring(t, 1 + length(regexp_extract(t, {text_sql(lines)}, 0)))"

    @staticmethod
    def line(keep: str) -> list[list[str]]:
        return [[FILE, keep, "odd", "quoted", f"trim(TRAILING {_LINE_ENDS} FROM t) AS r"]]

    def is_record(self) -> str:
        """A condition on `r`: it is no blank line and no comment."""
        return f"r <> '' AND NOT startswith(r, {text_sql(self.dialect.comment)})" if self.dialect.comment else "r <> ''"

    # --- the record

    def fields(self, keep: str, width: int, *, whole: bool) -> list[list[str]]:
        """From the record's text `r` to its `reason` if it is bad, and the fields `f0`, `f1` …, null then."""
        few, many = text_sql(too_few(width)), text_sql(too_many(width))
        wrong = f"CASE WHEN size(x) < {width} THEN {few} WHEN size(x) > {width} THEN {many} END"
        kept = [FILE, keep, "r"]
        return [
            [*kept, "quoted", f"{self._flaw(whole=whole)} AS flaw"],
            [*kept, "flaw", f"CASE WHEN flaw IS NULL THEN {self._split()} END AS x"],
            [*kept, "x", f"coalesce(flaw, {wrong}) AS reason"],
            [*kept, "reason", *(f"CASE WHEN reason IS NULL THEN x[{place}] END AS f{place}" for place in range(width))],
        ]

    def _flaw(self, *, whole: bool) -> str:
        long = f"octet_length(r) > {self.limit} AND length(r) > {self.limit}"
        too_long = text_sql(f"too-long: more than {self.limit:,} bytes")
        undecodable = "WHEN odd AND instr(r, '\\ufffd') > 0 THEN 'undecodable: bytes that are not UTF-8'"
        if not self.dialect.quote:
            return f"CASE WHEN {long} THEN {too_long} {undecodable} END"
        quoted = f"quoted AND contains(r, {text_sql(self.dialect.quote)})"
        large = f"QUARANTINED:too-large:A record holds quotes and is longer than {self.limit:,} bytes."
        unclosed = (
            "FAILED:truncated:A quote that is opened is never closed: cut off, or a stray quote."
            if whole
            else "FAILED:not-on-spark:It has a line end inside quotes, and is too large to be read whole by Spark."
        )
        malformed = f"malformed: '{self.dialect.delimiter}' expected after '{self.dialect.quote}'"
        good, open_ = rf"\A{self._fields()}\z", rf"\A{self._unclosed()}\z"
        return (
            f"CASE WHEN {long} AND {quoted} THEN {text_sql(FILE_FLAW + large)} WHEN {long} THEN {too_long}"
            f" WHEN {quoted} AND NOT r RLIKE {text_sql(good)} THEN"
            f" CASE WHEN r RLIKE {text_sql(open_)} THEN {text_sql(FILE_FLAW + unclosed)} ELSE {text_sql(malformed)} END"
            f" {undecodable} END"
        )

    def _split(self) -> str:
        """An array of the fields' texts; most records hold no quote."""
        delimiter, quote = self.dialect.delimiter, self.dialect.quote
        plain = f"split(r, {text_sql(re.escape(delimiter))}, -1)"
        if not quote:
            return plain
        # A match is never empty when each field begins with a delimiter.
        field = f"{re.escape(delimiter)}{self._field()}"
        found = f"regexp_extract_all(concat({text_sql(delimiter)}, r), {text_sql(field)}, 0)"
        bare = f"CASE WHEN substring(p, 2, 1) = {text_sql(quote)} THEN {self._bare()} ELSE substring(p, 2) END"
        return (
            f"CASE WHEN quoted AND contains(r, {text_sql(quote)}) THEN transform({found}, p -> {bare}) ELSE {plain} END"
        )

    def _bare(self) -> str:
        """The text of a field in quotes, `p` with the delimiter before it."""
        quote, escape = self.dialect.quote, self.dialect.escape
        if self._doubled:
            return f"replace(substring(p, 3, length(p) - 3), {text_sql(quote * 2)}, {text_sql(quote)})"
        parts = text_sql(rf"\A[\s\S]{re.escape(quote)}({self._inside()}){re.escape(quote)}([\s\S]*+)\z")
        inner, rest = f"regexp_extract(p, {parts}, 1)", f"regexp_extract(p, {parts}, 2)"
        if escape:
            pair = text_sql(f"{re.escape(escape)}([{_among(escape, quote)}])")
            inner = f"regexp_replace({inner}, {pair}, '$1')"
        return f"concat({inner}, {rest})"

    @property
    def _doubled(self) -> bool:
        """A quote inside quotes stands twice. If not, what follows the closing quote belongs to the field as it is."""
        return self.dialect.escape == self.dialect.quote

    # --- regular expressions, as Java reads them

    def _inside(self) -> str:
        """What stands between two quotes."""
        quote, escape = self.dialect.quote, self.dialect.escape
        if not escape:
            return f"[^{_among(quote)}]*+"
        if self._doubled:
            return f"(?:[^{_among(quote)}]++|{re.escape(quote * 2)})*+"
        pair = f"{re.escape(escape)}[{_among(escape, quote)}]"
        return f"(?:[^{_among(quote, escape)}]++|{pair}|{re.escape(escape)})*+"

    def _field(self) -> str:
        text = rf"[^{_among(self.dialect.delimiter)}\r\n]*+"
        if not self.dialect.quote:
            return text
        quote = re.escape(self.dialect.quote)
        rest = "" if self._doubled else text
        return f"(?:{quote}{self._inside()}{quote}{rest}|(?!{quote}){text})"

    def _fields(self) -> str:
        return f"{self._field()}(?:{re.escape(self.dialect.delimiter)}{self._field()})*+"

    def _before(self) -> str:
        """The fields before one that is not sound."""
        return f"(?:{self._field()}{re.escape(self.dialect.delimiter)})*+"

    def _unclosed(self) -> str:
        return f"{self._before()}{re.escape(self.dialect.quote)}{self._inside()}"

    def record_pattern(self) -> str:
        """Found again and again in a text, each match is one record with its line end: good, malformed or unclosed."""
        comment = rf"{re.escape(self.dialect.comment)}[^\r\n]*+{_END}|" if self.dialect.comment else ""
        good = f"{self._fields()}{_END}"
        if not self.dialect.quote:
            return comment + good
        quote = re.escape(self.dialect.quote)
        malformed = rf"{self._before()}{quote}{self._inside()}{quote}[^\r\n]*+{_END}"
        return rf"{comment}{good}|{malformed}|{self._unclosed()}\z"


def _among(*characters: str) -> str:
    return "".join(map(re.escape, characters))
