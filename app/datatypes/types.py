"""A type, a column, the columns of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

PRIMITIVES = (
    "boolean",
    "int",
    "bigint",
    "float",
    "double",
    "decimal",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "string",
    "uuid",
    "binary",
)


@dataclass(frozen=True, slots=True)
class DataType:
    """A type. `name` is one of PRIMITIVES, `struct`, `array` or `map`.

    `fields` are a struct's members; `element` is an array's item or a map's value (its `name` is
    `element` or `value`), `key` a map's key. Nested columns carry their own field ids.
    """

    name: str
    precision: int = 0
    scale: int = 0
    fields: tuple[Column, ...] = ()
    element: Column | None = None
    key: Column | None = None

    @property
    def nested(self) -> bool:
        return self.name in {"struct", "array", "map"}

    def __str__(self) -> str:
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "struct":
            return f"struct<{', '.join(f'{quote_name(f.name)}: {f.type}{_null(f)}' for f in self.fields)}>"
        if self.name == "array" and self.element:
            return f"array<{self.element.type}>"
        if self.name == "map" and self.key and self.element:
            return f"map<{self.key.type}, {self.element.type}>"
        return self.name


@dataclass(frozen=True, slots=True)
class Column:
    """A column or a member of a struct. `field_id` is Iceberg's, None until the table knows the column."""

    name: str
    type: DataType
    required: bool = False
    field_id: int | None = None

    def __str__(self) -> str:
        return f"{quote_name(self.name)} {self.type}{_null(self)}"


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a table, in order. `str()` gives the readable form."""

    columns: tuple[Column, ...] = field(default=())

    def __str__(self) -> str:
        return ", ".join(str(column) for column in self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def find(self, name: str) -> Column | None:
        """The column of exactly that name."""
        return next((column for column in self.columns if column.name == name), None)

    def twins(self) -> tuple[str, str] | None:
        """The first two names that differ only in case."""
        seen: dict[str, str] = {}
        for name in self.names:
            other = seen.setdefault(name.lower(), name)
            if other != name:
                return other, name
        return None

    def without(self, names: frozenset[str] | set[str]) -> TableSchema:
        return replace(self, columns=tuple(c for c in self.columns if c.name not in names))


def primitive(name: str) -> DataType:
    return DataType(name)


def decimal(precision: int, scale: int) -> DataType:
    return DataType("decimal", precision=precision, scale=scale)


def array(item: DataType) -> DataType:
    return DataType("array", element=Column("element", item))


def struct(*fields: Column) -> DataType:
    return DataType("struct", fields=fields)


def mapping(key: DataType, value: DataType) -> DataType:
    return DataType("map", key=Column("key", key, required=True), element=Column("value", value))


def quote_name(name: str) -> str:
    """`name` as the readable form writes it: in backticks when it is not a plain word."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name) else "`" + name.replace("`", "``") + "`"


_NO_NAME = re.compile("[\0\ud800-\udfff]")


def can_be_named(name: str) -> bool:
    """Whether a column can have this name. NUL, half a surrogate pair and nothing at all fit into no catalog or ledger:
    values under such names are rescued.
    """
    return bool(name) and not _NO_NAME.search(name)


def _null(column: Column) -> str:
    return " not null" if column.required else ""
