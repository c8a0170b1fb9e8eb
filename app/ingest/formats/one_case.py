"""Of names that differ only in case, which readers such as Spark do not tell apart, one becomes a column."""

from __future__ import annotations

from collections.abc import Mapping

from app.datatypes import can_be_named
from app.values import Twin


def one_case_each(records: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[Twin, ...]]:
    """The names that become columns, and those that do not because they differ only in case from one that does.

    `records` says in how many records each name is. Of names that differ only in case the one with the most becomes a
    column (of as many the first), in the place of the first of them. Names that no column can have are in neither.
    """
    names = [name for name in records if can_be_named(name)]
    kept: dict[str, str] = {}
    for name in names:
        other = kept.setdefault(name.lower(), name)
        if records[name] > records[other]:
            kept[name.lower()] = name
    winners = ((name, kept[name.lower()]) for name in names)
    twins = (Twin(name, records[name], other, records[other]) for name, other in winners if name != other)
    return tuple(kept.values()), tuple(twins)
