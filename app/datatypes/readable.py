"""The readable form of a schema, read: what people write, and what is stored."""

from __future__ import annotations

import re

from app.datatypes.types import PRIMITIVES, Column, DataType, TableSchema, array, decimal, mapping, primitive, struct
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
_MAX_PRECISION = 38
_MAX_DEPTH = 100
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
