"""Full names of a table's columns: Iceberg knows each, and each that stands inside another, by one text with dots.

So a column `user.name` cannot be beside a struct `user` that has a member `name`, nor `tags.element` beside a list
`tags`: no library takes such a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.datatypes.types import Column


def full_names(column: Column, above: str = "") -> Iterator[str]:
    """The column's, and those of all that stands inside it."""
    name = above + column.name
    yield name
    kind = column.type
    for inner in (*kind.fields, kind.key, kind.element):
        if inner is not None:
            yield from full_names(inner, f"{name}.")


def _lowered(column: Column) -> list[str]:
    """Many readers find names in any case."""
    return [name.lower() for name in full_names(column)]


def clash(columns: Iterable[Column]) -> str:
    """The first full name that stands for two, in whatever case; empty where there is none."""
    seen: set[str] = set()
    for column in columns:
        for name in full_names(column):
            if name.lower() in seen:
                return name
            seen.add(name.lower())
    return ""


def without_clashes(known: Iterable[Column], more: Iterable[Column]) -> tuple[Column, ...]:
    """Those of `more`, in their order, that can stand beside `known` and the others. One of a name that is known takes
    its place, or is left out.
    """
    there = {column.name: frozenset(_lowered(column)) for column in known}
    taken = {name for names in there.values() for name in names}
    kept = []
    for column in more:
        mine, old = _lowered(column), there.get(column.name, frozenset())
        if len(set(mine)) == len(mine) and not any(name in taken and name not in old for name in mine):
            there[column.name] = frozenset(mine)
            taken -= old
            taken.update(mine)
            kept.append(column)
    return tuple(kept)
