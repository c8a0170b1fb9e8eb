"""Names in a Parquet file as the file has them, at any depth.

DuckDB renames columns, and members of structs, that differ only in case from one before them (`amount` behind `Amount`
is `amount_1`), and finds them in any case. So a value is asked for by DuckDB's name and told by its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import duckdb

from app.datatypes import duckdb_text

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType


STRUCTS = frozenset({"struct", "tuple"})  # DuckDB's tuple is a struct whose only member has no name


@dataclass(frozen=True, slots=True)
class Node:
    """A column or group of the file's schema."""

    name: str
    children: tuple[Node, ...] = ()


def roots(connection: duckdb.DuckDBPyConnection, path: str, told: Sequence[str]) -> tuple[Node, ...]:
    """The file's top-level columns; by their names alone, as DuckDB has `told` them, where it makes other columns of
    the schema than there are. Raises duckdb.Error.
    """
    rows = connection.execute(f"SELECT name, num_children FROM parquet_schema([{duckdb_text(path)}])").fetchall()
    left = iter(rows)
    found = _group(left, next(left)[1])
    return found if len(found) == len(told) else tuple(map(Node, told))


def _group(rows: Iterator[tuple[str, int | None]], count: int | None) -> tuple[Node, ...]:
    """The rows are in depth-first order."""
    return tuple(Node(name, _group(rows, inner)) for name, inner in (next(rows) for _ in range(count or 0)))


def children(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """Names and types inside a struct, list or map, by DuckDB's names."""
    return cast("list[tuple[str, DuckDBPyType]]", kind.children)


def own_names(kind: DuckDBPyType, node: Node | None) -> list[tuple[str, bool]]:
    """The names of a struct's members, no two alike, and whether the file has them so: of several of one name only the
    first has it, and the others a stand-in. DuckDB's names where `node` is not it.
    """
    told = [name for name, _ in children(kind)]
    if not node or not _is(node, kind):
        return [(name, True) for name in told]
    own, given = {child.name for child in node.children}, dict[str, bool]()
    for child, stand_in in zip(node.children, told, strict=True):
        name, is_own = child.name, child.name not in given
        if not is_own:
            name = stand_in
            while name in own or name in given:
                name += "_1"
        given[name] = is_own
    return list(given.items())


def members_of(kind: DuckDBPyType, node: Node | None) -> tuple[Node | None, ...]:
    """The node of each child of a struct, list or map; None where it cannot be told."""
    inner = [child for _, child in children(kind)]
    if node is None:
        return (None,) * len(inner)
    if kind.id in STRUCTS:
        return node.children if _is(node, kind) else (None,) * len(inner)
    repeated = node.children[0] if node.children else node
    if kind.id == "map":
        return repeated.children if len(repeated.children) == len(inner) else (None,) * len(inner)
    # A list of today has its items in a group of one inside a group of one; older ones lack one of these, or both.
    item = repeated.children if len(repeated.children) == 1 else ()
    return (next((one for one in (*item, repeated, node) if _is(one, inner[0])), None),)


def _is(node: Node, kind: DuckDBPyType) -> bool:
    """Whether the type may be what DuckDB made of the node."""
    if kind.id not in STRUCTS:
        return bool(node.children) == (kind.id in {"list", "array", "map"})
    told = children(kind)
    return len(told) == len(node.children) and all(
        name == child.name or name.startswith(f"{child.name}_")
        for (name, _), child in zip(told, node.children, strict=True)
    )
