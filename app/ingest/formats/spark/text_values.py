"""Spark SQL from text to a typed value, strictly: the table at the head of `formats/strict_text.py` holds here as well.

Structs, arrays and maps are read from their JSON, whole or not at all.
"""

from __future__ import annotations

from app.datatypes import DataType
from app.ingest.formats.spark import tagged
from app.ingest.formats.spark.json_values import TaggedValues
from app.ingest.formats.spark.moments import MOMENTS, YEARS, moment_sql, usual_moment
from app.ingest.formats.spark.strptime import strptime_sql
from app.ingest.formats.spark.text import bound, text_sql, type_sql
from app.ingest.formats.strict_text import ISO, PATTERNS, TextFormats, decimal_pattern

_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"


def text_value(text: str, kind: DataType, values: TaggedValues, formats: TextFormats = ISO) -> str:
    """SQL for the column `text` as `kind`; null when it does not fit. What is inside JSON is ISO 8601 always."""
    if kind.nested:
        return _nested(text, kind, values)
    if kind.name == "string":
        return text
    if kind.name == "binary":
        return f"CAST({text} AS BINARY)"
    pattern = formats.of(kind)
    if pattern:
        return strptime_sql(text, pattern, kind)
    exact = _scalar(f"trim(BOTH ' \\t' FROM {text})", kind)
    return usual_moment(text, kind, exact) if kind.name in MOMENTS else exact


def _scalar(bare: str, kind: DataType) -> str:
    match kind.name:
        case "boolean":
            word = f"lower({bare})"
            return (
                f"CASE WHEN {word} IN ('true', 't', 'yes', 'y', '1') THEN true"
                f" WHEN {word} IN ('false', 'f', 'no', 'n', '0') THEN false END"
            )
        case "float" | "double":
            return _real(bare, kind)
        case "date":
            value = f"try_cast(left({bare}, 10) AS DATE)"
        case "timestamp" | "timestamptz":
            moment = f"try_cast({moment_sql(bare)} AS {type_sql(kind)})"
            value = f"CASE WHEN {moment} BETWEEN {YEARS[kind.name]} THEN {moment} END"
        case "uuid":
            parts = text_sql("^(.{8})(.{4})(.{4})(.{4})(.{12})$")
            value = f"regexp_replace(replace(lower({bare}), '-', ''), {parts}, '$1-$2-$3-$4-$5')"
        case _:
            value = f"try_cast({bare} AS {type_sql(kind)})"
    return _where(bare, PATTERNS.get(kind.name) or decimal_pattern(kind), value)


def _where(bare: str, pattern: str, value: str) -> str:
    whole = text_sql(rf"\A(?:{pattern})\z")
    return f"CASE WHEN {bare} RLIKE {whole} THEN {value} END"


def _real(bare: str, kind: DataType) -> str:
    """Infinity only where it is written."""
    cast, infinity = f"try_cast({bare} AS {type_sql(kind)})", f"{type_sql(kind)}('infinity')"
    number = f"CASE WHEN abs({cast}) < {infinity} THEN {cast} END"
    word = f"try_cast(regexp_replace(lower({bare}), '^[+-]nan$', 'nan') AS {type_sql(kind)})"
    digits, words = text_sql(rf"\A{_NUMBER}\z"), text_sql(r"\A[+-]?(nan|inf|infinity)\z")
    return f"CASE WHEN {bare} RLIKE {digits} THEN {number} WHEN lower({bare}) RLIKE {words} THEN {word} END"


def _nested(text: str, kind: DataType, values: TaggedValues) -> str:
    v = values.variable()
    strange = values.unknown_inside(v, kind) or "false"
    body = f"CASE WHEN {tagged.is_value(v)} AND NOT {strange} THEN {values.value(v, kind)} END"
    read = bound(tagged.tagged(text), v, body)
    return (
        f"CASE WHEN {text} IS NOT NULL AND NOT ({tagged.broken(text)} OR {tagged.lone_surrogate(text)}) THEN {read} END"
    )
