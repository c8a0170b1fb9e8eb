"""What a schema becomes when files bring other columns or types. Pure: values in, values out.

Readers such as Spark do not tell `id` from `ID`. So a new column whose name equals another's but for case is never
added; its values stay in the rescued data. The same holds for names of the added row columns, and above the limit of
columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.datatypes import Column, DataType, TableSchema
from app.ingest.formats.contract import NewColumn
from app.ingest.formats.widest import plain, widest

__all__ = ["MAX_COLUMNS", "Change", "ChangeKind", "compare", "merge_new_columns", "plain", "widest"]

MAX_COLUMNS = 1_000  # what the parser holds in 1 GiB, its default: a wider table could not be loaded any more
MAX_NAME = 255


class ChangeKind(StrEnum):
    """What an incoming column is to the table.

    ADDED: the table lacks it. ABSENT: the files lack it. FITS: another type whose values all fit. DIFFERS: another
    type whose values may not fit. CASE: the name equals another's but for case.
    """

    ADDED = "added"
    ABSENT = "absent"
    FITS = "fits"
    DIFFERS = "differs"
    CASE = "case"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` are the names from the top-level column down; `element` and `value` stand for items."""

    kind: ChangeKind
    path: tuple[str, ...]
    table: DataType | None = None
    incoming: DataType | None = None


def compare(schema: TableSchema, incoming: Iterable[Column]) -> tuple[Change, ...]:
    """How `incoming` differs from the table's schema, members of structs included."""
    return tuple(_compare(schema.columns, tuple(incoming), ()))


def _compare(table: Sequence[Column], incoming: Sequence[Column], path: tuple[str, ...]) -> Iterable[Change]:
    known = {column.name: column for column in table}
    lowered = {column.name.lower() for column in table}
    for column in incoming:
        here = (*path, column.name)
        if column.name in known:
            yield from _compare_types(known[column.name].type, column.type, here)
        else:
            kind = ChangeKind.CASE if column.name.lower() in lowered else ChangeKind.ADDED
            yield Change(kind, here, incoming=column.type)
    names = {column.name for column in incoming}
    for column in table:
        if column.name not in names:
            yield Change(ChangeKind.ABSENT, (*path, column.name), table=column.type)


def _compare_types(table: DataType, incoming: DataType, path: tuple[str, ...]) -> Iterable[Change]:
    if table.name == incoming.name == "struct":
        yield from _compare(table.fields, incoming.fields, path)
    elif table.name == incoming.name and table.element and incoming.element:
        if table.key and incoming.key:
            yield from _compare_types(table.key.type, incoming.key.type, (*path, "key"))
        yield from _compare_types(table.element.type, incoming.element.type, (*path, table.element.name))
    elif plain(table) != plain(incoming):
        fits = plain(widest(table, incoming)) == plain(table)
        yield Change(ChangeKind.FITS if fits else ChangeKind.DIFFERS, path, table, incoming)


def merge_new_columns(
    table_schema: TableSchema,
    new_columns: Iterable[NewColumn],
    *,
    reserved: Iterable[str] = (),
    max_columns: int = MAX_COLUMNS,
) -> tuple[Column, ...]:
    """The columns to add, in the order of the files that brought them; all nullable.

    A struct of the table that got members comes as the table's column of that name with its whole type: members that
    were there keep their field ids, new ones have none. What is left out (see the head of this module) stays rescued.
    """
    ordered = sorted(new_columns, key=lambda new: new.file_id)
    columns = {column.name: column for column in table_schema}
    taken = {name.lower(): name for name in (*reserved, *columns)}
    changed: dict[str, Column] = {}
    fresh: dict[str, Column] = {}
    for new in ordered:
        if new.parent:
            top = changed.get(new.parent[0]) or columns.get(new.parent[0])
            grown = _with_member(top.type, new.parent[1:], new.column) if top else None
            if top and grown and grown != top.type:
                changed[top.name] = replace(top, type=grown)
            continue
        name = new.column.name
        if name in fresh:
            fresh[name] = Column(name, plain(widest(fresh[name].type, new.column.type)))
        elif _usable(name) and name.lower() not in taken and len(columns) + len(fresh) < max_columns:
            taken[name.lower()] = name
            fresh[name] = Column(name, plain(new.column.type))
    return (*changed.values(), *fresh.values())


def _usable(name: str) -> bool:
    return bool(name.strip()) and len(name) <= MAX_NAME and "\0" not in name


def _with_member(kind: DataType, path: Sequence[str], member: Column) -> DataType | None:
    """`kind` with the member added at the end of `path`; None when there is no struct there or the name is taken."""
    if kind.element and kind.name in {"array", "map"}:
        rest = path[1:] if path and path[0] == kind.element.name else path
        inner = _with_member(kind.element.type, rest, member)
        return replace(kind, element=replace(kind.element, type=inner)) if inner else None
    if kind.name != "struct":
        return None
    if path:
        at = next((i for i, field in enumerate(kind.fields) if field.name == path[0]), None)
        inner = _with_member(kind.fields[at].type, path[1:], member) if at is not None else None
        if at is None or inner is None:
            return None
        return replace(kind, fields=(*kind.fields[:at], replace(kind.fields[at], type=inner), *kind.fields[at + 1 :]))
    return _grown(kind, member)


def _grown(kind: DataType, member: Column) -> DataType | None:
    for at, field in enumerate(kind.fields):
        if field.name == member.name and field.field_id is None:  # added a moment ago by another file
            wider = Column(field.name, plain(widest(field.type, member.type)))
            return replace(kind, fields=(*kind.fields[:at], wider, *kind.fields[at + 1 :]))
    if not _usable(member.name) or member.name.lower() in {field.name.lower() for field in kind.fields}:
        return None
    return replace(kind, fields=(*kind.fields, Column(member.name, plain(member.type))))
