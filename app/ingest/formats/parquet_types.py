"""The types that DuckDB gives the columns of a Parquet file, and what they are in the table's words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from app.datatypes import Column, DataType, array, can_be_named, decimal, mapping, primitive, struct

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

_NAMES = {
    "boolean": "boolean",
    "tinyint": "int",
    "smallint": "int",
    "integer": "int",
    "utinyint": "int",
    "usmallint": "int",
    "uinteger": "bigint",
    "bigint": "bigint",
    "float": "float",
    "double": "double",
    "date": "date",
    "time": "time",
    "time_ns": "time",
    "timestamp": "timestamp",
    "timestamp_s": "timestamp",
    "timestamp_ms": "timestamp",
    "timestamp_ns": "timestamp",
    "timestamp with time zone": "timestamptz",
    "timestamptz_ns": "timestamptz",
    "timestamp_ns with time zone": "timestamptz",
    "uuid": "uuid",
    "blob": "binary",
    "varchar": "string",
}
_WHOLE = {"ubigint": 20, "hugeint": 38, "uhugeint": 38}  # digits: kept as decimals


@dataclass(frozen=True, slots=True)
class SourceType:
    """One column's type in a file. `duck` is DuckDB's name of it; members are those of structs, lists (one) and
    maps (key, value). `type` is what the table would call it; None when all its values are null.
    """

    duck: str
    type: DataType | None
    members: tuple[tuple[str, SourceType], ...] = ()

    def within(self, target: DataType) -> SourceType:
        """The type without the members of structs that `target` lacks, at any depth; `duck` stays as it is."""
        if not self.is_like(target):
            return self
        inner = {column.name: column.type for column in target.fields}
        inner |= {"element": target.element.type} if target.name == "array" and target.element else {}
        if target.name == "map" and target.key and target.element:
            inner = {"key": target.key.type, "value": target.element.type}
        return replace(
            self, members=tuple((name, kind.within(inner[name])) for name, kind in self.members if name in inner)
        )

    def is_like(self, target: DataType) -> bool:
        """Whether both are structs, lists or maps."""
        if self.duck.endswith("]"):
            return target.name == "array"
        return target.name == {"STRUCT": "struct", "MAP": "map"}.get(self.duck.partition("(")[0])

    def member(self, name: str) -> SourceType | None:
        return next((kind for known, kind in self.members if known == name), None)


def source_type(kind: DuckDBPyType) -> SourceType:
    """What `kind` is; a type that no table has is a string."""
    duck = str(kind)
    if kind.id == "struct":
        members = tuple((name, source_type(member)) for name, member in _children(kind))
        fields = tuple(Column(name, member.type) for name, member in members if member.type and can_be_named(name))
        return SourceType(duck, struct(*fields) if fields else None, members)
    if kind.id in {"list", "array"}:
        item = source_type(_children(kind)[0][1])
        return SourceType(duck, array(item.type) if item.type else None, (("element", item),))
    if kind.id == "map":
        key, value = (source_type(child) for _, child in _children(kind))
        whole = mapping(key.type, value.type) if key.type and value.type else None
        return SourceType(duck, whole, (("key", key), ("value", value)))
    return SourceType(duck, _plain(kind))


def _children(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    return cast("list[tuple[str, DuckDBPyType]]", kind.children)


def _plain(kind: DuckDBPyType) -> DataType | None:
    if kind.id == "decimal":
        facts = dict(kind.children)
        return decimal(int(str(facts["precision"])), int(str(facts["scale"])))
    if kind.id in _WHOLE:
        return decimal(_WHOLE[kind.id], 0)
    if kind.id in {"null", "sqlnull"} or str(kind) == '"NULL"':
        return None
    return primitive(_NAMES.get(kind.id) or _NAMES.get(str(kind).lower()) or "string")
