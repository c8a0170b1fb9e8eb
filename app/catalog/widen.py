"""Add columns, and members of structs, that a table lacks. Nothing is ever changed or removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyiceberg.table import Transaction
from pyiceberg.table.update.schema import UpdateSchema

from app.catalog.schema import to_iceberg_type
from app.datatypes import Column, DataType, TableSchema
from app.errors import InvalidInput

_Path = tuple[str, ...]


def widen(transaction: Transaction, schema: TableSchema, columns: Sequence[Column]) -> bool:
    """Stage what `schema` lacks of `columns`; whether there was anything.

    A name that differs only in case from one beside it is left out: other engines could not tell the two apart.
    """
    missing = list(_missing(schema.columns, columns, (), spelled=False))
    if not missing:
        return False
    update = transaction.update_schema()
    for path, column in missing:
        _add(update, path, column)
    update.commit()  # into the transaction
    return True


def missing_paths(schema: TableSchema, columns: Sequence[Column]) -> list[tuple[_Path, Column]]:
    """What `schema` lacks of `columns`, each with its full path: what is in a list or map lies below `element` or
    `value`, as SQL wants it.
    """
    return list(_missing(schema.columns, columns, (), spelled=True))


def _add(update: UpdateSchema, path: _Path, column: Column) -> None:
    try:
        update.add_column(path, to_iceberg_type(column.type))
    except ValueError as error:
        raise InvalidInput(
            f"The column {'.'.join(path)} cannot be added: {error}.", hint="Rename it, or set on_new_columns to rescue."
        ) from error


def _missing(
    have: Sequence[Column], want: Sequence[Column], above: _Path, *, spelled: bool
) -> Iterator[tuple[_Path, Column]]:
    known = {column.name.lower(): column for column in have}
    for column in want:
        there = known.get(column.name.lower())
        if there is None:
            known[column.name.lower()] = column
            yield (*above, column.name), column
        elif there.name == column.name:
            yield from _inside(there.type, column.type, (*above, column.name), spelled=spelled)


def _inside(have: DataType, want: DataType, path: _Path, *, spelled: bool) -> Iterator[tuple[_Path, Column]]:
    """Members that a nested type lacks. The library addresses a list's or map's members by the list itself."""
    if have.name != want.name:
        return
    if have.name == "struct":
        yield from _missing(have.fields, want.fields, path, spelled=spelled)
    elif have.element and want.element:
        short = _struct(have.element) and not spelled
        below = path if short else (*path, have.element.name)
        yield from _inside(have.element.type, want.element.type, below, spelled=spelled)


def _struct(column: Column) -> bool:
    return column.type.name == "struct"
