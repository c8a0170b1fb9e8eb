"""Moments as Spark SQL. Most are written the usual way, and Spark's cast alone reads these as the exact way does."""

from __future__ import annotations

from app.datatypes import DataType
from app.ingest.formats.spark.text import text_sql, type_sql

_USUAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,6})?"
_SHAPES = {"timestamp": _USUAL + r"\z", "timestamptz": _USUAL + r"(?:Z|[+-][0-9]{2}:[0-9]{2})?\z"}
MOMENTS = frozenset(_SHAPES)
YEARS = {
    "timestamp": "TIMESTAMP_NTZ'0001-01-01 00:00:00' AND TIMESTAMP_NTZ'9999-12-31 23:59:59.999999'",
    "timestamptz": "TIMESTAMP'0001-01-01 00:00:00+00:00' AND TIMESTAMP'9999-12-31 23:59:59.999999+00:00'",
}


def usual_moment(text: str, kind: DataType, otherwise: str = "NULL") -> str:
    """SQL for `text`, which stands in it more than once, as one of MOMENTS; `otherwise` for other ways to write it.

    The years at the edges are among these: an offset may lead beyond them. A usual text that is no moment is null.
    """
    shape = text_sql(_SHAPES[kind.name])
    usual = f"{text} BETWEEN '0002' AND '9999' AND {text} RLIKE {shape}"
    bare = text
    if kind.name == "timestamptz":  # Spark compiles regular expressions for each zone; without one it is the session's
        bare = f"CASE WHEN endswith({text}, 'Z') THEN replace({text}, 'Z', '') ELSE {text} END"
    return f"CASE WHEN {usual} THEN try_cast({bare} AS {type_sql(kind)}) ELSE {otherwise} END"


def moment_sql(text: str) -> str:
    """SQL: a moment's text as Spark's cast reads it. It wants seconds before a zone, and no space there."""
    zoned = f"regexp_replace({text}, ' ?(Z|UTC)$', 'Z')"
    return f"regexp_replace({zoned}, '^(.{{16}})(?!:)', '$1:00')"
