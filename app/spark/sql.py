"""SQL text for Spark: values and names are quoted here and nowhere else.

`spark.sql(args=…)` would send values apart from the text, but fails on Spark 4.1 with Iceberg.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

from app.errors import InvalidInput

_INT = 2**31
_LONG = 2**63


def literal(value: object) -> str:
    """The value as SQL, of the type that Spark has for it: text, numbers, truth, bytes, dates, moments, NULL.

    A moment without a zone is a TIMESTAMP_NTZ. Raises InvalidInput for a text that no SQL can hold (half a character
    of UTF-16), and TypeError for a value of another type.
    """
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return f"TIMESTAMP_NTZ'{value.isoformat(sep=' ')}'"
        return f"TIMESTAMP_LTZ'{value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')} UTC'"
    if isinstance(value, date):
        return f"DATE'{value.isoformat()}'"
    message = f"no SQL for {type(value).__name__}"
    raise TypeError(message)


def identifier(*parts: str) -> str:
    """A name of one or more parts, each quoted whatever it holds. Raises InvalidInput for what no name can be."""
    for part in parts:
        if not part or "\x00" in part:
            raise InvalidInput(f"{part!r} cannot be a name in SQL.", hint="Choose another name.")
        _storable(part)
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def _text(value: str) -> str:
    """Only plain ASCII stands as it is.

    A backslash begins an escape, and `${…}` would be replaced by what the server's environment or settings hold: a
    file may be named `${env:SECRET}`.
    """
    _storable(value)
    return "'" + "".join(one if one.isascii() and one.isprintable() and one not in "'\\$" else _escaped(one)
                         for one in value) + "'"  # fmt: skip


def _escaped(one: str) -> str:
    code = ord(one)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"  # noqa: PLR2004 - what four digits hold


def _storable(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{value!r} is not valid UTF-8, and cannot be given to Spark.", hint="Rename it, or load it embedded."
        ) from None


def _number(value: float | Decimal) -> str:
    if isinstance(value, int):
        if -_INT <= value < _INT:
            return str(value)
        return f"{value}L" if -_LONG < value < _LONG else f"{value}BD"
    if isinstance(value, Decimal):
        if not value.is_finite():
            message = f"no SQL for {value}"
            raise TypeError(message)
        return f"{value:f}BD"
    if math.isfinite(value):
        return f"{value!r}D"
    return f"double('{'NaN' if math.isnan(value) else 'Infinity' if value > 0 else '-Infinity'}')"
