"""Columns and their types, in the words of Iceberg, without Iceberg's library.

The readable form is what people write and what is stored:
`id bigint, at timestamptz, price decimal(10,2), tags array<string>, home struct<lat: double, lon: double>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from app.errors import InvalidSchemaText

_ALIASES = {
    "bool": "boolean",
    "integer": "int",
    "int32": "int",
    "smallint": "int",
    "tinyint": "int",
    "long": "bigint",
    "int64": "bigint",
    "real": "float",
    "float32": "float",
    "float64": "double",
    "text": "string",
    "varchar": "string",
    "bytes": "binary",
    "timestamp_ntz": "timestamp",
    "timestamp_tz": "timestamptz",
    "timestamp_ltz": "timestamptz",
    "list": "array",
    "numeric": "decimal",
}
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
_DUCKDB = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
    "string": "VARCHAR",
    "uuid": "UUID",
    "binary": "BLOB",
}
_MAX_PRECISION = 38
_MAX_DEPTH = 100


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


def duckdb_type(kind: DataType) -> str:
    """The same type as DuckDB writes it in SQL."""
    if kind.name == "decimal":
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind.name == "struct":
        return f"STRUCT({', '.join(f'{duckdb_name(f.name)} {duckdb_type(f.type)}' for f in kind.fields)})"
    if kind.name == "array" and kind.element:
        return f"{duckdb_type(kind.element.type)}[]"
    if kind.name == "map" and kind.key and kind.element:
        return f"MAP({duckdb_type(kind.key.type)}, {duckdb_type(kind.element.type)})"
    return _DUCKDB[kind.name]


def duckdb_name(name: str) -> str:
    """`name` as a quoted DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def duckdb_text(text: str) -> str:
    """`text` as a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"


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


# --- the readable form -----------------------------------------------------------------------

_TOKEN = re.compile(r"\s*(`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\"|[^\W\d]\w*|\d+|[<>(),:])")


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def fail(self, wanted: str) -> InvalidSchemaText:
        here = self.text[self.at :].strip()[:30]
        found = f"before {here!r}" if here else "at the end"
        return InvalidSchemaText(
            f"The schema text does not parse: {wanted} expected {found} (character {self.at + 1}).",
            hint="Write it like: id bigint, at timestamptz, tags array<string>.",
        )

    def peek(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        return match.group(1) if match else ""

    def take(self, wanted: str) -> str:
        match = _TOKEN.match(self.text, self.at)
        if not match or (wanted in "<>(),:" and match.group(1) != wanted):
            raise self.fail(repr(wanted) if wanted in "<>(),:" else wanted)
        self.at = match.end()
        return match.group(1)

    def number(self) -> int:
        if not self.peek().isdigit():
            raise self.fail("a number")
        return int(self.take("a number"))

    def name(self) -> str:
        token = self.peek()
        if not token or not (token[0].isalpha() or token[0] in '_`"'):
            raise self.fail("a name")
        if token[0] not in '`"':
            return self.take("a name")
        name = token[1:-1].replace(token[0] * 2, token[0])
        if not name:
            raise self.fail("a name that is not empty")
        self.take("a name")
        return name

    def kind(self) -> DataType:
        word = self.take("a type").lower()
        word = _ALIASES.get(word, word)
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail(f"at most {_MAX_DEPTH} levels of nesting")
        try:
            return self._kind(word)
        finally:
            self.depth -= 1

    def _kind(self, word: str) -> DataType:
        if word == "decimal":
            return self._decimal()
        if word == "array":
            self.take("<")
            item = self.kind()
            self.take(">")
            return array(item)
        if word == "map":
            self.take("<")
            key = self.kind()
            self.take(",")
            value = self.kind()
            self.take(">")
            return mapping(key, value)
        if word == "struct":
            self.take("<")
            members = self.columns(separator=":")
            self.take(">")
            return struct(*members)
        if word not in PRIMITIVES:
            raise InvalidSchemaText(
                f"{word!r} is not a type (character {self.at}).",
                hint=f"Types: {', '.join(PRIMITIVES)}, array<…>, map<…, …>, struct<name: type>.",
            )
        return primitive(word)

    def _decimal(self) -> DataType:
        precision, scale = 38, 18
        if self.peek() == "(":
            self.take("(")
            precision, scale = self.number(), 0
            if self.peek() == ",":
                self.take(",")
                scale = self.number()
            self.take(")")
        if not 0 < precision <= _MAX_PRECISION or scale > precision:
            raise InvalidSchemaText(
                f"decimal({precision},{scale}) is not possible.",
                hint=f"Precision is 1 to {_MAX_PRECISION}, scale 0 to the precision.",
            )
        return decimal(precision, scale)

    def columns(self, separator: str = "") -> tuple[Column, ...]:
        found: list[Column] = []
        while True:
            name = self.name()
            if separator and self.peek() == separator:
                self.take(separator)
            kind = self.kind()
            required = False
            if self.peek().lower() == "not":
                self.take("not")
                if self.peek().lower() != "null":
                    raise self.fail("'null' after 'not'")
                self.take("null")
                required = True
            if name in {column.name for column in found}:
                raise InvalidSchemaText(f"The name {name!r} stands twice.", hint="Give each column a name of its own.")
            found.append(Column(name, kind, required=required))
            if self.peek() != ",":
                return tuple(found)
            self.take(",")


def parse_schema(text: str) -> TableSchema:
    """The schema that `text` describes, without field ids. Raises InvalidSchemaText, naming the character."""
    reader = _Reader(text)
    columns = reader.columns()
    if reader.text[reader.at :].strip():
        raise reader.fail("',' or the end")
    return TableSchema(columns)


def parse_type(text: str) -> DataType:
    """The type that `text` describes. Raises InvalidSchemaText."""
    reader = _Reader(text)
    kind = reader.kind()
    if reader.text[reader.at :].strip():
        raise reader.fail("the end")
    return kind


# --- JSON (between processes, and in receipts) -----------------------------------------------


def schema_to_json(schema: TableSchema) -> list[dict[str, object]]:
    """Columns with their field ids, nested ones too, as plain JSON values."""
    return [_column_json(column) for column in schema]


def schema_from_json(data: list[dict[str, object]]) -> TableSchema:
    """What `schema_to_json` gave."""
    return TableSchema(tuple(_column_from(item) for item in data))


def _column_json(column: Column) -> dict[str, object]:
    kind = column.type
    data: dict[str, object] = {
        "name": column.name,
        "type": kind.name,
        "required": column.required,
        "id": column.field_id,
    }
    if kind.name == "decimal":
        data |= {"precision": kind.precision, "scale": kind.scale}
    if kind.fields:
        data["fields"] = [_column_json(item) for item in kind.fields]
    if kind.element:
        data["element"] = _column_json(kind.element)
    if kind.key:
        data["key"] = _column_json(kind.key)
    return data


def _column_from(data: dict[str, object]) -> Column:
    def inner(name: str) -> Column | None:
        value = data.get(name)
        return _column_from(value) if isinstance(value, dict) else None

    members = data.get("fields")
    kind = DataType(
        name=str(data["type"]),
        precision=int(str(data.get("precision", 0))),
        scale=int(str(data.get("scale", 0))),
        fields=tuple(_column_from(item) for item in members) if isinstance(members, list) else (),
        element=inner("element"),
        key=inner("key"),
    )
    field_id = data.get("id")
    return Column(
        name=str(data["name"]),
        type=kind,
        required=bool(data.get("required")),
        field_id=field_id if isinstance(field_id, int) else None,
    )
