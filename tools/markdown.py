"""Markdown of generated pages."""

from __future__ import annotations

_NOTE = "<!-- Written by `make docs` from the code; change the code instead. -->"


def page(title: str, introduction: str, body: str) -> str:
    """A page that nobody is to change by hand."""
    return f"{_NOTE}\n\n# {title}\n\n{introduction}\n\n{body}\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table; a cell may hold bars and line ends."""
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
