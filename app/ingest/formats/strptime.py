"""strptime formats of dates and timestamps, as DuckDB reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import duckdb

from app.datatypes import DataType, duckdb_text, duckdb_type
from app.errors import InvalidInput

_ZONED = re.compile(r"(?<!%)(?:%%)*%[zZ]")


def check_strptime(options: Mapping[str, object], key: str) -> str:
    """The format that the option says, or empty. Raises InvalidInput, naming the option, for what is none."""
    text = str(options.get(key) or "")
    if not text:
        return ""
    if "%" not in text:
        raise InvalidInput(
            f"The option {key} is {text!r}, which names no part of a time.", hint="Write it like %d.%m.%Y."
        )
    try:
        with duckdb.connect() as connection:
            connection.execute("SELECT try_strptime('', ?)", [text]).fetchall()
    except duckdb.Error as exc:
        reason = str(exc).splitlines()[0]
        raise InvalidInput(f"The option {key} is {text!r}: {reason}", hint="Write it like %d.%m.%Y %H:%M:%S.") from exc
    return text


def strptime_sql(text: str, pattern: str, kind: DataType) -> str:
    """SQL for `text` read by `pattern` as a date, timestamp or timestamptz; null when that would lose a part of it.

    A pattern with a zone fits no column without one, and a date takes no time but midnight. DuckDB would also read the
    words `epoch` and `infinity` by any pattern.
    """
    target = duckdb_type(kind)
    if _ZONED.search(pattern) and kind.name != "timestamptz":
        return f"CAST(NULL AS {target})"
    read = f"try_strptime({text}, {duckdb_text(pattern)})"
    same = "" if kind.name == "timestamptz" and "%n" not in pattern else f" AND CAST({read} AS {target}) = {read}"
    return f"CASE WHEN regexp_matches({text}, '[0-9]'){same} THEN CAST({read} AS {target}) END"
