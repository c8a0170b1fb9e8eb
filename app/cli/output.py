"""What a command answers: text for people, or one JSON document; results on stdout, all else on stderr."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from enum import Enum
from typing import TYPE_CHECKING, Any, TextIO

from app.cli.text import safe

if TYPE_CHECKING:
    from rich.console import Console

_COLORS = {
    "SUCCESS": "green",
    "ok": "green",
    "RUNNING": "cyan",
    "PROCESSING": "cyan",
    "PARTIAL": "yellow",
    "FAILED": "yellow",
    "SKIPPED": "yellow",
    "warning": "yellow",
    "CANCELLED": "yellow",
    "QUARANTINED": "red",
    "broken": "red",
    "blocked": "red",
}


class Output:
    """One command's answer. `answer` is called once, or, where a command goes on, once for each result."""

    def __init__(self, as_json: bool, *, compact: bool = False) -> None:
        self.as_json = as_json
        self._indent = None if compact else 2

    def answer(self, document: object, render: Callable[[], None]) -> None:
        """The document where JSON is asked for, else what `render` writes."""
        if self.as_json:
            sys.stdout.write(json.dumps(plain(document), indent=self._indent, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            render()

    def line(self, text: str = "", style: str = "") -> None:
        """One line of the answer. `text` is safe already, or the program's own."""
        _console(sys.stdout).print(_text(text, style))

    def note(self, text: str) -> None:
        """Something to know on the way; never part of the answer, and not said beside JSON. Raises nothing when
        standard error cannot be written.
        """
        if not self.as_json:
            _aside(_text(safe(text), "dim"))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
        """Columns as wide as what they hold; nothing is cut, so that ids can be copied. `right` are aligned so."""
        from rich.cells import cell_len

        cells = [[safe(value) for value in row] for row in rows]
        lines = [list(head), *cells]
        widths = [max(cell_len(line[at]) for line in lines) for at in range(len(head))]
        console = _console(sys.stdout)
        for place, line in enumerate(lines):
            text = _text("")
            for at, cell in enumerate(line):
                space = " " * (widths[at] - cell_len(cell))
                last = at == len(line) - 1
                text.append(space + cell if at in right else cell, "bold" if place == 0 else _COLORS.get(cell, ""))
                text.append("" if last else (space if at not in right else "") + "  ")
            text.rstrip()
            console.print(text)

    def fields(self, pairs: Sequence[tuple[str, object]]) -> None:
        """`name  value`, one a line; what is None or empty is left out."""
        shown = [(name, safe(value)) for name, value in pairs if value not in (None, "")]
        width = max((len(name) for name, _ in shown), default=0)
        console = _console(sys.stdout)
        for name, value in shown:
            text = _text(f"{name:<{width}}  ", "bold")
            text.append(value, _COLORS.get(value, "not bold"))
            console.print(text)


def plain(value: object) -> Any:
    """The value in what JSON has; moments in ISO 8601, numbers that JSON lacks as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    # A text with lone surrogates (a file name that is not UTF-8) cannot be written; they become escapes.
    return str(value).encode("utf-8", "backslashreplace").decode()


def _console(stream: TextIO) -> Console:
    """Made for each line: `sys.stdout` may be another one by then. Never wraps, highlights or reads markup."""
    from rich.console import Console

    return Console(file=stream, soft_wrap=True, highlight=False, markup=False, emoji=False)


def _aside(text: Any) -> None:
    """A line on standard error, which may be a closed pipe, a terminal that hung up or a file on a full disk."""
    from app.cli.asides import Asides

    with suppress(OSError, ValueError):
        Asides(file=sys.stderr, soft_wrap=True, highlight=False, markup=False, emoji=False).print(text)


def _text(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style)


def error_line(message: str, hint: str) -> None:
    """`Error: …` and `Next: …` on stderr."""
    text = _text("Error: ", "bold red")
    text.append(safe(message), "not bold default")
    _aside(text)
    if hint:
        text = _text("Next: ", "bold")
        text.append(safe(hint), "not bold")
        _aside(text)
