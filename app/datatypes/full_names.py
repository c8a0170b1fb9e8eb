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
        self._paths: dict[str, set[tuple[str, ...]]] = {}
        for column in columns:
            self.add(column)

    def clash(self, column: Column, above: tuple[str, ...] = ()) -> str:
        """The first full name of the column, or inside it, that something else has; empty where there is none. What is
        there already may stay, whatever it shares its name with.
        """
        mine: dict[str, set[tuple[str, ...]]] = {}
        for path in full_paths(column, above):
            name = ".".join(path)
            there, new = self._paths.get(name.lower(), set()), mine.setdefault(name.lower(), set())
            new.add(path)
            if len(new | there) > 1 and not new <= there:
                return name
        return ""

    def add(self, column: Column, above: tuple[str, ...] = ()) -> None:
        """It takes its names."""
        for path in full_paths(column, above):
            self._paths.setdefault(".".join(path).lower(), set()).add(path)


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
