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
from collections.abc import Sequence
from dataclasses import dataclass

from app.ingest.formats.csv_exact import too_few, too_many
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.spark.text import BYTES, UNMARKED, text_sql
from app.ingest.formats.spark.words import FILE, FILE_FLAW

_END = r"(?:\r\n|\r|\n|\z)"
_ALL = 2**31 - 1
_STRAY = (
    "FAILED:not-on-spark:It is too large to be read whole, and Spark cannot tell its header from the other lines."
    " Load it with engine: embedded (of load: --engine embedded)."
)


@dataclass(frozen=True, slots=True)
class CsvCutter:
    """Cuts texts of one dialect; `limit` are the most characters of a record."""

    dialect: CsvDialect
    limit: int

    # --- the text

    def texts(self, keep: str, stray: str, *, whole: bool) -> list[list[str]]:
        """From `value`: the text `t` without a byte order mark, whether bytes of it were not UTF-8, `odd`, and whether
        it may hold quotes, `quoted`. A file that is read line by line comes without its mark; another is a line's own.

        `stray` is SQL for whether the text should not be there, if the file is as its begin said.
        """
        quoted = f"contains(t, {text_sql(self.dialect.quote)})" if self.dialect.quote else "false"
        return [
            [FILE, keep, f"{UNMARKED} AS value" if whole else "value", f"{stray} AS stray"],
            [FILE, keep, "stray", "value", f"decode({BYTES}, 'UTF-8') AS t"],
            [FILE, keep, "stray", "t", "t <> value AS odd", f"{quoted} AS quoted"],
        ]

    def whole(self, keep: str, skip: int) -> list[str]:
        """Each record of the text behind its first `skip` lines as `e`, with its line end, and blank lines.

        Without a quote each line is a record, however it ends: to find these takes no regular expression.
        """
        rest = self._behind(skip)
        cut = f"regexp_extract_all({rest}, {text_sql(self.record_pattern())}, 0)"
        lines = f"slice(split(t, '\\n', -1), {skip + 1}, {_ALL})"
        mixed = f"split(translate({rest}, '\\r', '\\n'), '\\n', -1)"
        records = f"CASE WHEN quoted THEN {cut} WHEN contains(t, '\\r') THEN {mixed} ELSE {lines} END"
        return [FILE, keep, "stray", "odd", "quoted", f"explode({records}) AS e"]

    @staticmethod
    def _behind(skip: int) -> str:
        """SQL: the text `t` behind its first lines."""
        if not skip:
            return "t"
        lines = rf"\A(?:[^\r\n]*+{_END}){{{skip}}}+"
        return f"substring(t, 1 + length(regexp_extract(t, {text_sql(lines)}, 0)))"

    @staticmethod
    def record(keep: str, *, whole: bool) -> list[str]:
        """The record's text `r`: `e` without its line end, or `t`, a line that came without one."""
        ended = "endswith(e, '\\n') OR endswith(e, '\\r')"
        text = f"CASE WHEN {ended} THEN trim(TRAILING '\\r\\n' FROM e) ELSE e END" if whole else "t"
        return [FILE, keep, "stray", "odd", "quoted", f"{text} AS r"]

    def is_record(self) -> str:
        """A condition on `e`: it is no blank line and no comment."""
        return self._is_none_of("e", ["", "\r", "\n", "\r\n"])

    def is_record_line(self) -> str:
        """The same of a line without its end, as `value`, before anything is made of it."""
        return self._is_none_of("value", [""])

    def _is_none_of(self, text: str, blanks: Sequence[str]) -> str:
        """Spark works out a condition before what it is on, and then that again: so it is on what is there already."""
        blank = f"{text} NOT IN ({', '.join(map(text_sql, blanks))})"
        comment = self.dialect.comment
        return f"{blank} AND NOT startswith({text}, {text_sql(comment)})" if comment else blank

    # --- the record

    def fields(self, keep: str, width: int, *, whole: bool) -> list[list[str]]:
        """From the record's text `r` to its `reason` if it is bad, and the fields `f0`, `f1` …, null then."""
        few, many = text_sql(too_few(width)), text_sql(too_many(width))
        wrong = f"CASE WHEN size(x) < {width} THEN {few} WHEN size(x) > {width} THEN {many} END"
        kept = [FILE, keep, "r"]
        return [
            [*kept, "quoted", f"{self._flaw(whole=whole)} AS flaw"],
            [*kept, "flaw", f"CASE WHEN flaw IS NULL THEN {self._split()} END AS x"],
            [*kept, f"coalesce(flaw, {wrong}) AS reason", f"CASE WHEN size(x) = {width} THEN x END AS x"],
            [*kept, "reason", *(f"{self._bare(f'x[{place}]')} AS f{place}" for place in range(width))],
        ]

    def _flaw(self, *, whole: bool) -> str:
        long = f"octet_length(r) > {self.limit} AND length(r) > {self.limit}"
        too_long = text_sql(f"too-long: more than {self.limit:,} bytes")
        stray = f"WHEN stray THEN {text_sql(FILE_FLAW + _STRAY)}"
        undecodable = "WHEN odd AND instr(r, '\\ufffd') > 0 THEN 'undecodable: bytes that are not UTF-8'"
        if not self.dialect.quote:
            return f"CASE {stray} WHEN {long} THEN {too_long} {undecodable} END"
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
            f"CASE {stray} WHEN {long} AND {quoted} THEN {text_sql(FILE_FLAW + large)} WHEN {long} THEN {too_long}"
            f" WHEN {quoted} AND NOT r RLIKE {text_sql(good)} THEN"
            f" CASE WHEN r RLIKE {text_sql(open_)} THEN {text_sql(FILE_FLAW + unclosed)} ELSE {text_sql(malformed)} END"
            f" {undecodable} END"
        )

    def _split(self) -> str:
        """An array of the fields' texts, those in quotes with these; most records hold no quote.

        No lambda: Spark makes no code of one, and would copy each row before and behind it.
        """
        delimiter, quote = self.dialect.delimiter, self.dialect.quote
        plain = f"split(r, {text_sql(re.escape(delimiter))}, -1)"
        if not quote:
            return plain
        # A match is never empty when each field begins with a delimiter.
        field = f"{re.escape(delimiter)}({self._field()})"
        found = f"regexp_extract_all(concat({text_sql(delimiter)}, r), {text_sql(field)}, 1)"
        return f"CASE WHEN quoted AND contains(r, {text_sql(quote)}) THEN {found} ELSE {plain} END"

    def _bare(self, field: str) -> str:
        """SQL for a field's text without its quotes. One that begins with a quote is of a record that holds quotes."""
        quote, escape = self.dialect.quote, self.dialect.escape
        if not quote:
            return field
        if self._doubled:
            inner = f"replace(substring({field}, 2, length({field}) - 2), {text_sql(quote * 2)}, {text_sql(quote)})"
            return f"CASE WHEN startswith({field}, {text_sql(quote)}) THEN {inner} ELSE {field} END"
        parts = text_sql(rf"\A{re.escape(quote)}({self._inside()}){re.escape(quote)}([\s\S]*+)\z")
        inner, rest = f"regexp_extract({field}, {parts}, 1)", f"regexp_extract({field}, {parts}, 2)"
        if escape:
            pair = text_sql(f"{re.escape(escape)}([{_among(escape, quote)}])")
            inner = f"regexp_replace({inner}, {pair}, '$1')"
        return f"CASE WHEN startswith({field}, {text_sql(quote)}) THEN concat({inner}, {rest}) ELSE {field} END"

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
