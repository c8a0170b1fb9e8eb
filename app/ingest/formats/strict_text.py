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
| struct, array, map | JSON that `json_values` takes whole, without other keys |

A fraction of a second beyond microseconds does not fit unless it is zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.datatypes import DataType, duckdb_text, duckdb_type
from app.ingest.formats.json_values import Values, names_sql, pointer

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6}0*)?)?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ZONE = r"( ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?"
_PATTERNS = {
    "int": r"[+-]?[0-9]+",
    "bigint": r"[+-]?[0-9]+",
    "date": rf"{_DAY}([T ]00:00(:00(\.0+)?)?)?",
    "time": _CLOCK,
    "timestamp": rf"{_DAY}([T ]{_CLOCK})?",
    "timestamptz": rf"{_DAY}([T ]{_CLOCK}{_ZONE})?",
    "uuid": r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
}
_CANONICAL = frozenset({"int", "bigint", "date", "timestamp", "decimal"})  # what DuckDB prints is what most files hold
_BLANK = r"[ \t]*"


@dataclass(frozen=True, slots=True)
class TextFormats:
    """strptime formats that take the place of ISO 8601; empty: ISO 8601."""

    date: str = ""
    timestamp: str = ""


ISO = TextFormats()


def strict_cast(text: str, kind: DataType, formats: TextFormats = ISO) -> str:
    """SQL for `text` (SQL of type VARCHAR, evaluated more than once) as `kind`; null when it does not fit."""
    if kind.name == "string":
        return text
    if kind.name == "binary":
        return f"encode({text})"
    if kind.nested:
        return _nested(text, kind)
    if kind.name == "boolean":
        word = f"lower(trim({text}, ' \t'))"
        return (
            f"CASE WHEN {word} IN ('true', 't', 'yes', 'y', '1') THEN true"
            f" WHEN {word} IN ('false', 'f', 'no', 'n', '0') THEN false END"
        )
    if kind.name in {"float", "double"}:
        return _floating(text, kind)
    if formats.date and kind.name == "date":
        return f"CAST(try_strptime({text}, {duckdb_text(formats.date)}) AS DATE)"
    if formats.timestamp and kind.name in {"timestamp", "timestamptz"}:
        return f"CAST(try_strptime({text}, {duckdb_text(formats.timestamp)}) AS {duckdb_type(kind)})"
    return _patterned(text, kind)


def _patterned(text: str, kind: DataType) -> str:
    pattern = _PATTERNS.get(kind.name) or rf"[+-]?([0-9]+(\.[0-9]{{0,{kind.scale}}}0*)?|\.[0-9]{{1,{kind.scale}}}0*)"
    if kind.name == "decimal" and not kind.scale:
        pattern = r"[+-]?[0-9]+(\.0*)?"
    cast = f"TRY_CAST({text} AS {duckdb_type(kind)})"
    trimmed = f"TRY_CAST(trim({text}, ' \t') AS {duckdb_type(kind)})"
    match = f"regexp_full_match({text}, {duckdb_text(f'{_BLANK}({pattern}){_BLANK}')})"
    if kind.name not in _CANONICAL:
        return f"CASE WHEN {match} THEN {trimmed} END"
    # Comparing with what DuckDB prints costs half of a regular expression, and most values pass it. A year outside
    # 0001..9999 and `infinity` print as they came: they have another length.
    canonical = f"CAST({cast} AS VARCHAR) = {text}"
    if kind.name == "date":
        canonical += f" AND length({text}) = 10"
    if kind.name == "timestamp":
        canonical += f" AND ord({text}[11]) = 32"
    return f"CASE WHEN {canonical} THEN {cast} WHEN {match} THEN {trimmed} END"


def _floating(text: str, kind: DataType) -> str:
    cast = f"TRY_CAST({text} AS {duckdb_type(kind)})"
    word = rf"regexp_full_match({text}, '[ \t]*[+-]?(nan|inf|infinity)[ \t]*', 'i')"
    plain = f"CASE WHEN NOT contains({text}, '_') THEN {cast} END"
    return f"CASE WHEN isfinite({cast}) THEN {plain} WHEN {word} THEN {cast} END"


def _nested(text: str, kind: DataType) -> str:
    values = Values.of({}, text)
    strange = _other_keys(text, kind, values)
    sound = f"json_valid({text})" + (f" AND NOT coalesce({strange}, false)" if strange else "")
    return f"CASE WHEN {sound} THEN {values.element(text, kind)} END"


def _other_keys(raw: str, kind: DataType, values: Values) -> str:
    """SQL: an object in the JSON `raw` has keys that its struct lacks; empty when there is no struct in `kind`."""
    if kind.name == "struct":
        parts = [f"NOT list_has_all({names_sql(kind.fields)}, json_keys({raw}))"]
        for member in kind.fields:
            inner = f"json_extract({raw}, {duckdb_text(pointer(member.name))})"
            if deeper := _other_keys(inner, member.type, values):
                parts.append(f"coalesce({deeper}, false)")
        return f"({' OR '.join(parts)})"
    if kind.element is None:
        return ""
    name = values.variable()
    deeper = _other_keys(name, kind.element.type, values)
    items = f"from_json({raw}, '[\"JSON\"]')" if kind.name == "array" else f"json_extract({raw}, '$.*')"
    return f"list_bool_or(list_transform({items}, lambda {name}: {deeper}))" if deeper else ""


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
