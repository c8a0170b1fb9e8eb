"""strptime formats of dates and timestamps, as DuckDB reads them."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from app.errors import InvalidInput


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
