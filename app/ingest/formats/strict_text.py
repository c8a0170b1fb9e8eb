"""Text to a typed value, in SQL: the whole text must mean the value exactly, or the result is null.

DuckDB's own casts guess: `'1.5'` becomes the bigint 2, `'1_000'` 1000, `'1.005'` the decimal(10,2) 1.01, `'epoch'`
a date, `'2024-01-05 10:00:00+02'` a timestamp without its offset, `'1e400'` infinity. Here they do not fit, and
the caller keeps the text in the rescued data. What is accepted:

| type | text (spaces around it are ignored) |
|---|---|
| boolean | true, t, yes, y, 1 and false, f, no, n, 0, in any case |
| int, bigint | a sign and digits; `007` is 7 |
| decimal(p,s) | a sign, digits, a point; more than s digits after it only when they are zeros; no exponent |
| float, double | the same without limit, with an exponent; nan, inf, infinity; too large a number does not fit |
| date | `2024-01-05`, also with a time of midnight |
| time | `10:00`, `10:00:00`, `10:00:00.123456` |
| timestamp | `2024-01-05`, `2024-01-05 10:00`, `…:00`, `….123456`, `T` or a space between; no zone |
| timestamptz | the same, and `Z`, `UTC` or an offset behind; without one it is taken as UTC |
| uuid | 32 hex digits, with or without the usual dashes |
| binary | the text's bytes in UTF-8 |

A fraction of a second beyond microseconds does not fit unless it is zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.datatypes import DataType, duckdb_text, duckdb_type
from app.ingest.formats.strptime import strptime_sql

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6}0*)?)?"
_DAY = r"([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}"  # the year 0 is another era's
_ZONE = r"(Z| UTC|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?"  # with spaces as DuckDB takes them
PATTERNS = {
    "int": r"[+-]?[0-9]+",
    "bigint": r"[+-]?[0-9]+",
    "date": rf"{_DAY}([T ]00:00(:00(\.0+)?)?)?",
    "time": _CLOCK,
    "timestamp": rf"{_DAY}([T ]{_CLOCK})?",
    "timestamptz": rf"{_DAY}([T ]{_CLOCK}{_ZONE})?",
    "uuid": r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
}
_JUDGED = frozenset({"int", "bigint", "decimal", "float", "double", "date", "timestamp", "timestamptz"})
_YEARS = {
    "date": "DATE '0001-01-01' AND DATE '9999-12-31'",
    "timestamp": "TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59.999999'",
}
_INSTANTS = "TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'"
_BLANK = r"[ \t]*"


@dataclass(frozen=True, slots=True)
class TextFormats:
    """strptime formats that take the place of ISO 8601; empty: ISO 8601."""

    date: str = ""
    timestamp: str = ""

    def of(self, kind: DataType) -> str:
        """The one for values of the type; empty for types that have none."""
        if kind.name == "date":
            return self.date
        return self.timestamp if kind.name in {"timestamp", "timestamptz"} else ""


ISO = TextFormats()


def loose_cast(text: str, kind: DataType, formats: TextFormats = ISO) -> str:
    """SQL for what DuckDB takes `text` for, where `strict_cast` can build on it; empty where it cannot."""
    by_format = (formats.date and kind.name == "date") or (formats.timestamp and kind.name.startswith("timestamp"))
    return "" if by_format or kind.name not in _JUDGED else f"TRY_CAST({text} AS {duckdb_type(kind)})"


def strict_cast(text: str, kind: DataType, formats: TextFormats = ISO, loose: str = "") -> str:
    """SQL for `text` (SQL of type VARCHAR, evaluated more than once) as `kind`; null when it does not fit.

    `loose` is a column that holds `loose_cast` of the same: computed once, it is most of the cost.
    """
    if loose or loose_cast(text, kind, formats):
        return _judged(text, loose or loose_cast(text, kind, formats), kind)
    if kind.name == "string":
        return text
    if kind.name == "binary":
        return f"encode({text})"
    if kind.name == "boolean":
        return _boolean(text)
    if kind.name in PATTERNS and not (formats.date if kind.name == "date" else formats.timestamp):
        return f"CASE {_whens(text, f'TRY_CAST({text} AS {duckdb_type(kind)})', kind, PATTERNS[kind.name])} END"
    pattern = formats.date if kind.name == "date" else formats.timestamp
    return strptime_sql(text, pattern, kind)


def within(moment: str, kind: DataType) -> str:
    """SQL: `moment`, null where an offset moved a timestamptz out of the years 1 to 9999."""
    if kind.name != "timestamptz":
        return moment
    return f"CASE WHEN {moment} BETWEEN {_INSTANTS} THEN {moment} END"


def _judged(text: str, loose: str, kind: DataType) -> str:
    """Comparing with what DuckDB prints costs half of a regular expression, and most values pass it."""
    if kind.name in {"float", "double"}:
        word = rf"regexp_full_match({text}, '[ \t]*[+-]?(nan|inf|infinity)[ \t]*', 'i')"
        number = f"CASE WHEN NOT contains({text}, '_') THEN {loose} END"
        return f"CASE WHEN isfinite({loose}) THEN {number} WHEN {word} THEN {loose} END"
    whens = _whens(text, loose, kind, PATTERNS.get(kind.name) or decimal_pattern(kind))
    if kind.name == "timestamptz":  # printed with an offset of hours alone, as few files have it
        return f"CASE {whens} END"
    printed = f"CAST({loose} AS VARCHAR) = {text}"
    if kind.name in _YEARS:  # `infinity`, other eras and five-digit years print as they came
        printed += f" AND {loose} BETWEEN {_YEARS[kind.name]}"
    return f"CASE WHEN {printed} THEN {loose} {whens} END"


def _whens(text: str, loose: str, kind: DataType, pattern: str) -> str:
    """The branches for a text of the pattern, and for one with spaces around it: to trim costs more than all else."""
    blanks = f"regexp_full_match({text}, {duckdb_text(f'{_BLANK}({pattern}){_BLANK}')})"
    plain = f"regexp_full_match({text}, {duckdb_text(pattern)})"
    if kind.name == "timestamptz":
        plain += f" AND {loose} BETWEEN {_INSTANTS}"
    return f"WHEN {plain} THEN {loose} WHEN {blanks} THEN {within(_trimmed(text, kind), kind)}"


def _trimmed(text: str, kind: DataType) -> str:
    return f"TRY_CAST(trim({text}, ' \t') AS {duckdb_type(kind)})"


def decimal_pattern(kind: DataType) -> str:
    if not kind.scale:
        return r"[+-]?[0-9]+(\.0*)?"
    return rf"[+-]?([0-9]+(\.[0-9]{{0,{kind.scale}}}0*)?|\.[0-9]{{1,{kind.scale}}}0*)"


def _boolean(text: str) -> str:
    # Each expression stands once: what stands twice DuckDB computes beforehand, for every row.
    words = rf"regexp_full_match({text}, '{_BLANK}(true|t|yes|y|1|false|f|no|n|0){_BLANK}', 'i')"
    other = f"CASE WHEN {words} THEN {_trimmed(text, DataType('boolean'))} END"
    return f"CASE WHEN {text} = 'true' THEN true WHEN {text} = 'false' THEN false ELSE {other} END"


# --- which type do these texts have? ----------------------------------------------------------

# The narrowest first. Booleans are words only here: 0 and 1 are numbers, `t` and `yes` are text. A number that begins
# with a zero (`007`) or a plus is a code, and digits beyond 64 bits are an identifier: text, so that they come out as
# they came in.
_PLAIN_NUMBER = r"-?(0|[1-9][0-9]*)"
_LADDER = (
    ("boolean", "lower({x}) IN ('true', 'false')"),
    ("bigint", "regexp_full_match({x}, '" + _PLAIN_NUMBER + "') AND TRY_CAST({x} AS BIGINT) IS NOT NULL"),
    (
        "double",
        "regexp_full_match({x}, '" + _PLAIN_NUMBER + r"(\.[0-9]*)?([eE][+-]?[0-9]+)?|-?(NaN|nan|inf|Infinity)')"
        " AND length(regexp_extract({x}, '[0-9]+')) < 19 AND {double} IS NOT NULL",
    ),
    ("date", "length({x}) <= {date_length} AND {date} IS NOT NULL"),
    ("timestamp", "{timestamp} IS NOT NULL"),
    ("timestamptz", "{timestamptz} IS NOT NULL"),
)


def ladder(text: str, formats: TextFormats = ISO) -> dict[str, str]:
    """For each type that inference can give, narrowest first, an SQL condition: this text has that type.

    A column has the first type that all its texts have; when there is none, or no text at all, it is a string.
    """
    casts = {
        name: strict_cast(text, DataType(name), formats) for name in ("double", "date", "timestamp", "timestamptz")
    }
    casts["date_length"] = "100" if formats.date else "10"
    return {name: condition.format(x=text, **casts) for name, condition in _LADDER}
