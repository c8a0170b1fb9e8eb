"""Moments written the usual way as Spark SQL: most are, and Spark's cast alone reads them as the exact way does."""

from __future__ import annotations

from app.datatypes import DataType
from app.ingest.formats.spark.text import text_sql, type_sql

_USUAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,6})?"
_SHAPES = {"timestamp": _USUAL + r"\z", "timestamptz": _USUAL + r"(?:Z|[+-][0-9]{2}:[0-9]{2})?\z"}
MOMENTS = frozenset(_SHAPES)


def usual_moment(text: str, kind: DataType, otherwise: str = "NULL") -> str:
    """SQL for `text`, which stands in it more than once, as one of MOMENTS; `otherwise` for other ways to write it.

    The years at the edges are among these: an offset may lead beyond them. A usual text that is no moment is null.
    """
    shape = text_sql(_SHAPES[kind.name])
    usual = f"{text} BETWEEN '0002' AND '9999' AND {text} RLIKE {shape}"
    return f"CASE WHEN {usual} THEN try_cast({text} AS {type_sql(kind)}) ELSE {otherwise} END"
