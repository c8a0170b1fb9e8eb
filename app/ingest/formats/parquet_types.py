"""The types that DuckDB gives the columns of a Parquet file, and what they are in the table's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.datatypes import Column, DataType, array, can_be_named, decimal, mapping, primitive, struct
from app.ingest.formats.parquet_names import STRUCTS, Node, children, members_of, own_names

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
_HOLDERS = STRUCTS | {"list", "array", "map"}
_NAMELESS = "TUPLE("
_WHOLE = {"ubigint": 20, "hugeint": 38, "uhugeint": 38}  # digits: kept as decimals


@dataclass(frozen=True, slots=True)
class Member:
    """Of a struct, a list (one) or a map (key, value). `slot` is DuckDB's name of it, which may be another; `place`
    counts from 1. One that is not `own` has a stand-in for a name: no column is meant by it.
    """

    name: str
    kind: SourceType
    slot: str
    place: int = 1
    own: bool = True


@dataclass(frozen=True, slots=True)
class SourceType:
    """One column's type in a file. `duck` is DuckDB's name of it; members have the file's own names. `type` is what the
    table would call it, one column of those that differ only in case; None when all its values are null. `cut`: members
    were left out, and DuckDB's value has more.
    """

    duck: str
    type: DataType | None
    members: tuple[Member, ...] = ()
    cut: bool = False

    @property
    def renamed(self) -> bool:
        """Whether DuckDB would tell other members, or by other names, or JSON read anew, at any depth."""
        return (
            self.cut
            or self.duck == "JSON"
            or self.duck.startswith(_NAMELESS)
            or any(member.name != member.slot or member.kind.renamed for member in self.members)
        )

    @property
    def odd(self) -> bool:
        """Whether DuckDB may write a number of it as JSON that is none: `NaN`, or a decimal as `.5`."""
        if self.duck.startswith("DECIMAL(") and not self.members:
            digits, scale = self.duck.removeprefix("DECIMAL(").rstrip(")").split(",")
            return int(digits) == int(scale)
        return self.duck in {"FLOAT", "DOUBLE", "JSON"} or any(member.kind.odd for member in self.members)

    def within(self, target: DataType) -> SourceType:
        """The type without the members of structs that `target` lacks, at any depth; `duck` stays as it is."""
        if not self.is_like(target):
            return self
        inner = {column.name: column.type for column in target.fields}
        inner |= {"element": target.element.type} if target.name == "array" and target.element else {}
        if target.name == "map" and target.key and target.element:
            inner = {"key": target.key.type, "value": target.element.type}
        kept = [one for one in self.members if one.name in inner and one.own]
        members = tuple(replace(one, kind=one.kind.within(inner[one.name])) for one in kept)
        return replace(self, members=members, cut=len(kept) < len(self.members))

    def is_like(self, target: DataType) -> bool:
        """Whether both are structs, lists or maps."""
        if self.duck.endswith("]"):
            return target.name == "array"
        return target.name == {"STRUCT": "struct", "TUPLE": "struct", "MAP": "map"}.get(self.duck.partition("(")[0])

    def member(self, name: str) -> Member | None:
        return next((one for one in self.members if one.name == name and one.own), None)


def source_type(kind: DuckDBPyType, node: Node | None = None) -> SourceType:
    """What `kind` is; a type that no table has is a string. `node` is where the file has it."""
    duck = str(kind)
    nodes = members_of(kind, node) if kind.id in _HOLDERS else ()
    inner = (
        [(slot, source_type(child, place)) for (slot, child), place in zip(children(kind), nodes, strict=True)]
        if nodes
        else []
    )
    if kind.id in STRUCTS:
        names = own_names(kind, node)
        pairs = enumerate(zip(names, inner, strict=True), start=1)
        members = tuple(Member(name, child, slot, place, own) for place, ((name, own), (slot, child)) in pairs)
        return SourceType(duck, _struct(members), members)
    if kind.id in {"list", "array"}:
        ((_, item),) = inner
        return SourceType(duck, array(item.type) if item.type else None, (Member("element", item, "element"),))
    if kind.id == "map":
        (_, key), (_, value) = inner
        whole = mapping(key.type, value.type) if key.type and value.type else None
        return SourceType(duck, whole, (Member("key", key, "key"), Member("value", value, "value")))
    return SourceType(duck, _plain(kind))


def _struct(members: Sequence[Member]) -> DataType | None:
    fields: dict[str, Column] = {}
    for one in members:
        if one.kind.type and one.own and can_be_named(one.name):
            fields.setdefault(one.name.lower(), Column(one.name, one.kind.type))
    return struct(*fields.values()) if fields else None


def _plain(kind: DuckDBPyType) -> DataType | None:
    if kind.id == "decimal":
        facts = dict(kind.children)
        return decimal(int(str(facts["precision"])), int(str(facts["scale"])))
    if kind.id in _WHOLE:
        return decimal(_WHOLE[kind.id], 0)
    if kind.id in {"null", "sqlnull"} or str(kind) == '"NULL"':
        return None
    return primitive(_NAMES.get(kind.id) or _NAMES.get(str(kind).lower()) or "string")
