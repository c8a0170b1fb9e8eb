"""Values as people read them, safe for a terminal: file names and errors are strangers' texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from app.cli.plain import plain
from app.log import one_line, redact

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def safe(value: object) -> str:
    """One line without control characters; empty for None."""
    return "" if value is None else one_line(str(value))


def cell(value: object) -> str:
    """`safe`; what is nested, and bytes, as `--json` has them. A map may come as a list of its pairs."""
    if isinstance(value, dict | list | tuple):
        return safe(json.dumps(plain(value), ensure_ascii=False))
    return safe(value.hex() if isinstance(value, bytes) else value)


def told(value: object) -> str:
    """`safe`, and without anything that looks like a secret: for errors."""
    return safe(redact(str(value)))


def size(count: int | None) -> str:
    """`38.1 MB`; decimal units."""
    if count is None:
        return ""
    amount = float(count)
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 - the next unit
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return ""


def number(count: int | None) -> str:
    """`336,000`; empty for None."""
    return "" if count is None else f"{count:,}"


def plural(count: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def moment(value: datetime | None) -> str:
    """Local time to the second."""
    return "" if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def seconds(amount: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if amount is None:
        return ""
    if amount < 10:  # noqa: PLR2004
        return f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def shell(word: str) -> str:
    """The word as it can be typed into a shell."""
    import shlex

    return shlex.quote(word)


def listed(counts: dict[str, int]) -> str:
    """`3 hidden, 2 excluded`, the most frequent first."""
    ordered: Sequence[tuple[str, int]] = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {safe(reason)}" for reason, count in ordered)
