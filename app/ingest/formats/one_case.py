"""Names that differ only in case: of new ones one becomes a column; none is that of a column in other letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.datatypes import can_be_named
from app.values import Twin

_SHOWN, _SHOWN_TEXT = 5, 200


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


def of_another_table(path: str, names: Sequence[str], known: Sequence[str], where: str) -> str:
    """Why a file with these columns is not loaded, as a sentence; empty where the table knows one of them, or none yet.

    `where`: in which words its columns are shown.
    """
    if not known or set(known) & set(names):
        return ""
    lowered = {name.lower(): name for name in known}
    alike = [f"{name} for {lowered[name.lower()]}" for name in names if name.lower() in lowered]
    why = f" Names match with their case: it has {', '.join(alike[:_SHOWN])[:_SHOWN_TEXT]}." if alike else ""
    return f"{path} has none of the table's columns; {where}: {', '.join(names[:_SHOWN])[:_SHOWN_TEXT]}.{why}"
