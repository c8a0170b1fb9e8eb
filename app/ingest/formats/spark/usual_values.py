"""The usual way to write a value: Spark's own cast is taken, where it is proved that the exact way gives the same.

The exact way trims a text, matches a regular expression and casts it; most of what that costs is not the cast. A text
takes the short way when

- a whole number, a day or a decimal is printed as it came: so it has no plus, no leading zero and no blank;
- a real number is finite, begins with a digit, sign or point and ends with a digit or point, and has no `x`: of what
  Java takes for a number, only hexadecimal ones, suffixes (`1d`) and blanks around it are excluded by that;
- a boolean is `true` or `false`.
"""

from __future__ import annotations

from app.datatypes import DataType
from app.ingest.formats.spark.text import type_sql

_PRINTED = frozenset({"int", "bigint", "date", "decimal"})
_REALS = frozenset({"float", "double"})


def cast_beforehand(text: str, kind: DataType) -> str:
    """SQL for what `usual_value` asks for as `cast`; empty for types that need none."""
    return f"try_cast({text} AS {type_sql(kind)})" if kind.name in _PRINTED | _REALS else ""


def usual_value(text: str, kind: DataType, cast: str, exact: str) -> str:
    """SQL for the column `text` as `kind`, which is `exact` for what is not written the usual way.

    `cast` is the column of `cast_beforehand`. Types that are not known here are `exact`.
    """
    if kind.name in _PRINTED:
        return f"CASE WHEN {_is_printed(text, kind, cast)} THEN {cast} ELSE {exact} END"
    if kind.name in _REALS:
        return f"CASE WHEN {_is_plain_real(text, kind, cast)} THEN {cast} ELSE {exact} END"
    if kind.name == "boolean":
        return f"CASE WHEN {text} = 'true' THEN true WHEN {text} = 'false' THEN false ELSE {exact} END"
    return exact


def _is_printed(text: str, kind: DataType, cast: str) -> str:
    printed = f"CAST({cast} AS STRING) = {text}"
    if kind.name == "date":  # four digits of a year that is no other era's
        return f"{printed} AND octet_length({text}) = 10 AND {text} >= '0001'"
    if kind.name == "decimal":  # a tiny one is printed with an exponent, which the exact way refuses
        return f"{printed} AND NOT contains({text}, 'E')"
    return printed


def _is_plain_real(text: str, kind: DataType, cast: str) -> str:
    begins = f"{text} >= '+' AND {text} < ':'"
    ends = f"right({text}, 1) BETWEEN '.' AND '9'"
    finite = f"abs({cast}) < {type_sql(kind)}('infinity')"
    return f"{finite} AND {begins} AND {ends} AND NOT contains({text}, 'x') AND NOT contains({text}, 'X')"
