"""How a text that was typed becomes the value of an ingestion's field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from app.errors import InvalidInput


def same(value: Any) -> Any:
    """As it was typed."""
    return value


def moment(value: str) -> str:
    """A time of ISO 8601; without a zone it is this machine's. Raises InvalidInput."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidInput(f"{value!r} is not a time.", hint="Write for example 2026-01-31T00:00:00Z.") from error
    return (found if found.tzinfo else found.astimezone()).isoformat()


def start(value: str) -> str:
    """`everything`, `now`, or a time. Raises InvalidInput."""
    return value if value in {"everything", "now"} else moment(value)


def character(value: str) -> str:
    """One character; a tab by its name too."""
    return "\t" if value in {"\\t", "tab"} else value


def parted(values: Sequence[str]) -> list[str]:
    """`day(at), bucket(16, id)` → two; a comma inside brackets parts nothing."""
    found: list[str] = []
    for value in values:
        depth, part = 0, ""
        for char in value:
            depth += (char == "(") - (char == ")")
            if char == "," and depth == 0:
                found.append(part.strip())
                part = ""
            else:
                part += char
        found.append(part.strip())
    return [part for part in found if part]


def pairs(values: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping. Raises InvalidInput."""
    found: dict[str, str] = {}
    for value in values:
        key, sign, rest = value.partition("=")
        if not sign or not key.strip():
            raise InvalidInput(f"{key!r} is not KEY=VALUE.", hint="Write for example region=eu-central-1.")
        found[key.strip()] = rest
    return found


def row_columns(values: Sequence[str]) -> dict[str, str | None]:
    """`KEY=NAME` texts as a mapping, None for an empty name. Raises InvalidInput."""
    return {key: value or None for key, value in pairs(values).items()}
