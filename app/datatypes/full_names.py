"""Full names of a table's columns: Iceberg knows each, and each that stands inside another, by one text with dots.

So a column `user.name` cannot be beside a struct `user` that has a member `name`, nor `tags.element` beside a list
`tags`: no library takes such a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.datatypes.types import Column


def full_paths(column: Column, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names from the table down to the column, and those of all that stands inside it."""
    path = (*above, column.name)
    yield path
    kind = column.type
    for inner in (*kind.fields, kind.key, kind.element):
        if inner is not None:
            yield from full_paths(inner, path)


class FullNames:
    """Which full names are taken, in any case, as many readers find them; and by what."""

    def __init__(self, columns: Iterable[Column] = ()) -> None:
        self._paths: dict[str, tuple[str, ...]] = {}
        for column in columns:
            self.add(column)

    def clash(self, column: Column, above: tuple[str, ...] = ()) -> str:
        """The first full name of the column, or inside it, that something else has; empty where there is none."""
        mine: dict[str, tuple[str, ...]] = {}
        for path in full_paths(column, above):
            lowered, name = _lowered(path)
            if mine.setdefault(name, lowered) != lowered or self._paths.get(name, lowered) != lowered:
                return ".".join(path)
        return ""

    def add(self, column: Column, above: tuple[str, ...] = ()) -> None:
        """It takes its names; what has one of them already keeps it."""
        for path in full_paths(column, above):
            lowered, name = _lowered(path)
            self._paths.setdefault(name, lowered)


def _lowered(path: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    name = ".".join(path).lower()
    return tuple(part.lower() for part in path), name


def clash(columns: Iterable[Column]) -> str:
    """The first full name that stands for two, in whatever case; empty where there is none."""
    names = FullNames()
    for column in columns:
        if name := names.clash(column):
            return name
        names.add(column)
    return ""


def without_clashes(known: Iterable[Column], more: Iterable[Column]) -> tuple[Column, ...]:
    """Those of `more`, in their order, that can stand beside `known` and the others. One of a name that is known takes
    its place.
    """
    names, kept = FullNames(known), []
    for column in more:
        if not names.clash(column):
            names.add(column)
            kept.append(column)
    return tuple(kept)
