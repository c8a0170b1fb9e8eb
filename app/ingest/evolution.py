"""What a schema becomes when files bring other columns. Pure: values in, values out.

Readers such as Spark do not tell `id` from `ID`. So a new column whose name equals another's but for case is never
added; its values stay in the rescued data. Of new ones that differ only in case, the one that most records have is
added: a slip in one record must not cost the others their column. Names of the added row columns count as others, and
above the limit of columns nothing is added; nor is `user.name` beside a struct `user` with a member `name`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.datatypes import Column, DataType, FullNames, TableSchema, without_clashes
from app.ingest.formats.contract import NewColumn
from app.ingest.formats.widest import plain, widest
from app.values import Twin

MAX_COLUMNS = 1_000  # what the parser holds in 1 GiB, its default: a wider table could not be loaded any more
MAX_NAME = 255


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
    new_columns = list(new_columns)
    lost = _lost(new_columns)
    ordered = sorted((new for new in new_columns if _place(new) not in lost), key=lambda new: new.file_id)
    columns = {column.name: column for column in table_schema}
    taken = {name.lower(): name for name in (*reserved, *columns)}
    changed: dict[str, Column] = {}
    fresh: dict[str, Column] = {}
    names = FullNames(table_schema)
    for new in ordered:
        if new.parent:
            top = changed.get(new.parent[0]) or columns.get(new.parent[0])
            grown = _with_member(top.type, new.parent[1:], new.column) if top else None
            # Each for itself: a name that cannot be costs no other member of its struct.
            if top and grown and grown != top.type and not names.clash(new.column, new.parent):
                names.add(new.column, new.parent)
                changed[top.name] = replace(top, type=grown)
            continue
        name = new.column.name
        if name in fresh:
            fresh[name] = Column(name, plain(widest(fresh[name].type, new.column.type)))
        elif is_usable(name) and name.lower() not in taken and len(columns) + len(fresh) < max_columns:
            taken[name.lower()] = name
            fresh[name] = Column(name, plain(new.column.type))
    return without_clashes(table_schema, (*changed.values(), *fresh.values()))


def twins_of(new_columns: Iterable[NewColumn]) -> tuple[Twin, ...]:
    """The names that `merge_new_columns` leaves out for one that differs from them only in case, in order."""
    lost = _lost(new_columns)
    return tuple(lost[place] for place in sorted(lost))


def told_twins(table_schema: TableSchema, new_columns: Iterable[NewColumn]) -> tuple[Twin, ...]:
    """Of `twins_of` those whose other name becomes a column, or a struct's member, of the table: of the rest neither
    name does, for what the table has.
    """
    new_columns = list(new_columns)
    columns = {column.name: column for column in table_schema}
    added = {column.name for column in merge_new_columns(table_schema, new_columns)}
    true = {".".join(_place(new)) for new in new_columns if _gets_in(new, columns, added)}
    return tuple(twin for twin in twins_of(new_columns) if twin.kept in true)


def _gets_in(new: NewColumn, columns: dict[str, Column], added: set[str]) -> bool:
    if not new.parent:
        return new.column.name in added
    top = columns.get(new.parent[0])
    return top is not None and _with_member(top.type, new.parent[1:], new.column) is not None


def _place(new: NewColumn) -> tuple[str, ...]:
    return *new.parent, new.column.name


def _lost(new_columns: Iterable[NewColumn]) -> dict[tuple[str, ...], Twin]:
    """Of names that differ only in case all but the one with the most records; of several, the first by name."""
    records: Counter[tuple[str, ...]] = Counter()
    for new in new_columns:
        records[_place(new)] += new.records
    kept: dict[tuple[str, ...], tuple[str, ...]] = {}
    ordered = sorted(records, key=lambda place: (-records[place], place))
    for place in ordered:
        kept.setdefault((*place[:-1], place[-1].lower()), place)
    lost = {}
    for place in ordered:
        winner = kept[*place[:-1], place[-1].lower()]
        if winner != place:
            lost[place] = Twin(".".join(place), records[place], ".".join(winner), records[winner])
    return lost


def is_usable(name: str) -> bool:
    """Whether a new column, or a struct's new member, may have that name."""
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
    if not is_usable(member.name) or member.name.lower() in {field.name.lower() for field in kind.fields}:
        return None
    return replace(kind, fields=(*kind.fields, Column(member.name, plain(member.type))))
