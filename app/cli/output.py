"""What a command answers: text for people, or one JSON document; results on stdout, all else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from app.cli.place import repeated
from app.cli.plain import plain
from app.cli.text import cell, safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

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
    "LOST": "red",
    "QUARANTINED": "red",
    "broken": "red",
    "blocked": "red",
}


class Output:
    """One command's answer. `answer` is called once, or, where a command goes on, once for each result."""

    def __init__(self, as_json: bool, *, compact: bool = False) -> None:
        self.as_json = as_json
        self.unheard = False  # the reader of standard output has gone
        self._indent = None if compact else 2

    def answer(self, document: object, render: Callable[[], None]) -> None:
        """The document where JSON is asked for, else what `render` writes."""
        if self.as_json:
            self._write(json.dumps(plain(document), indent=self._indent, ensure_ascii=False) + "\n")
        else:
            render()

    def document(self, text: str) -> None:
        """A text that programs read, such as YAML: as it is."""
        self._write(text)

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self.unheard = True

    def _print(self, text: Text) -> None:
        console = _console(sys.stdout)
        console.print(text)
        self.unheard = self.unheard or console.quiet

    def line(self, text: str = "", style: str = "") -> None:
        """One line of the answer. `text` is safe already, or the program's own."""
        self._print(_text(repeated(text), style))

    def note(self, text: str) -> None:
        """Something to know on the way; never part of the answer, and not said beside JSON. Raises nothing when
        standard error cannot be written.
        """
        if not self.as_json:
            _aside(_text(repeated(safe(text)), "dim"))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
        """Columns as wide as what they hold; nothing is cut, so that ids can be copied. `right` are aligned so."""
        from rich.cells import cell_len

        cells = [[cell(value) for value in row] for row in rows]
        lines = [list(head), *cells]
        widths = [max(cell_len(line[at]) for line in lines) for at in range(len(head))]
        for place, line in enumerate(lines):
            text = _text("")
            for at, shown in enumerate(line):
                space = " " * (widths[at] - cell_len(shown))
                last = at == len(line) - 1
                text.append(space + shown if at in right else shown, "bold" if place == 0 else _COLORS.get(shown, ""))
                text.append("" if last else (space if at not in right else "") + "  ")
            text.rstrip()
            self._print(text)

    def fields(self, pairs: Sequence[tuple[str, object]]) -> None:
        """`name  value`, one a line; what is None or empty is left out."""
        shown = [(name, safe(value)) for name, value in pairs if value not in (None, "")]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            text = _text(f"{name:<{width}}  ", "bold")
            text.append(value, _COLORS.get(value, "not bold"))
            self._print(text)


def _console(stream: TextIO) -> Console:
    """Made for each line: `sys.stdout` may be another one by then. Never wraps, highlights or reads markup, and falls
    silent when its reader goes away: `autoloader … | head` has then heard what it wanted.
    """
    from app.cli.asides import Asides

    return Asides(file=stream, soft_wrap=True, highlight=False, markup=False, emoji=False)


def _aside(text: Any) -> None:
    """A line on standard error, which may be a closed pipe, a terminal that hung up or a file on a full disk."""
    with suppress(OSError, ValueError):
        _console(sys.stderr).print(text)


def _text(text: str, style: str = "") -> Text:
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
