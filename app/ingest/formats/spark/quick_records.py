"""Clean JSON records in one step: Spark's own typed parser, where it is proved that the exact layers give the same.

Most records are clean, and `json_records` proves of each value what the typed parser shows at once. It is lenient,
though: it passes over unknown and repeated keys, prints a number into a text column in a way of its own, and knows no
end of a record. So a record is taken only if all of this holds, and any other goes the exact way as a whole:

- The parser found nothing to complain of.
- No infinite number; no zero that may have had a sign; no null in an array; no null where one is not allowed.

And this, but for records whose unknown keys are ignored: see `record_shape`, which proves the same by one expression.

- One object and nothing beside it: the text begins and ends with a brace, and has no more closing ones than the
  object and the structs in it need. So the last one is the object's own; in a string they only make too many.
- Every key is known, stands once and has its value: the text has as many `":` as there are values that are not null,
  and keys that are seen with a null. In a string these two characters only make the count too large. Blanks before
  the colon are excluded, and a name that two places of the schema share counts for no null.
  Where no text column may hold what was no string, and no backslash is there, the quotes alone count the keys: each
  has two, and each string; to count them is the dearest of all that is looked at here.
- What is in a text column was a string: the text has as many quotes as keys and strings need. A backslash before a
  quote that ends a string only makes the count too small. So types that take a string for a number are excluded, and
  texts that begin like an array: strings in it count for one that is missing.
- No replacement character, for it may stand for what is no UTF-8; no escape of half a character.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.datatypes import Column, DataType, TableSchema
from app.ingest.formats.spark.json_values import TaggedValues
from app.ingest.formats.spark.moments import MOMENTS, usual_moment
from app.ingest.formats.spark.record_shape import record_shape
from app.ingest.formats.spark.text import fenced, summed, text_sql, type_sql
from app.spark import identifier

_TYPED = frozenset({"string", "boolean", "int", "bigint", "double"})
_TEXTS = frozenset({"date", "timestamp", "timestamptz", "uuid", "binary"})
_PARSED, _MARK, _KEYS = "q", "u", "n"
CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class _Place:
    """A column or a struct's member, at any depth; `number` is its own among all."""

    column: Column
    sql: str
    number: int
    members: tuple[_Place, ...] = ()

    @property
    def kind(self) -> DataType:
        return self.column.type

    @property
    def item(self) -> str:
        """The type of an array's elements; empty for what is no array."""
        return self.kind.element.type.name if self.kind.name == "array" and self.kind.element else ""

    @property
    def is_text(self) -> bool:
        return self.kind.name in _TEXTS

    def walk(self) -> Iterator[_Place]:
        yield self
        for member in self.members:
            yield from member.walk()


@dataclass(frozen=True, slots=True)
class QuickRecords:
    """The expressions for one schema that `of` takes."""

    schema: TableSchema
    limit: int
    values: TaggedValues
    top: tuple[_Place, ...]
    key_order: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, schema: TableSchema, max_record_bytes: int, values: TaggedValues, key_order: Sequence[str] | None = None
    ) -> QuickRecords | None:
        """None for a schema with a type that is not proved here. `key_order`: records with unknown keys are taken, too,
        if their keys stand in this order, of the columns and others.
        """
        if not schema.columns or not all(map(_is_provable, schema)):
            return None
        count = iter(range(1 << 30))

        def placed(column: Column, parent: str) -> _Place:
            sql = f"{parent}.{identifier(column.name)}"
            inner = column.type.fields if column.type.name == "struct" else ()
            number = next(count)
            return _Place(column, sql, number, tuple(placed(member, sql) for member in inner))

        top = tuple(placed(column, _PARSED) for column in schema)
        return cls(schema, max_record_bytes, values, top, None if key_order is None else tuple(key_order))

    def layers(self) -> list[list[str]]:
        """From `value` and whatever else there is to all of this and CLEAN, never null; of a clean record `value_of`
        tells its columns.
        """
        bad = self._bad
        kind = f"struct<{', '.join(_declared(place) for place in self.top)}, {bad}: string>"
        options = f"map({_STRICT}, 'columnNameOfCorruptRecord', '{bad}')"
        shape = ""
        if self.key_order is not None:
            shape = record_shape(self.schema.columns, _TEXTS | {"string"}, self.key_order)
        shaped = f"value RLIKE {text_sql(shape)}" if shape else "false"
        usual = f"octet_length(value) <= {self.limit} AND (shaped OR plain OR {_NO_ODD_TEXT})"
        plain = f"value RLIKE {text_sql(_PLAIN if self._is_flat else _PLAIN_NESTED)} AND NOT contains(value, ' :')"
        texts = [f"{self._converted(place)} AS {_PARSED}{place.number}" for place in self._places() if place.is_text]
        return [
            ["*", f"{shaped} AS shaped"],
            ["*", f"NOT shaped AND {plain} AS plain"],
            ["*", f"CASE WHEN {usual} THEN from_json(value, {text_sql(kind)}, {options}) END AS {_PARSED}"],
            ["*", f"CASE WHEN NOT shaped AND {_PARSED} IS NOT NULL THEN {self._count()} END AS {_MARK}", *texts],
            ["*", f"CASE WHEN {_MARK} IS NOT NULL THEN {self._keys()} END AS {_KEYS}"],
            ["*", f"coalesce({' AND '.join(self._proof())}, false) AS {CLEAN}"],
        ]

    @property
    def count(self) -> int:
        """How many columns and members of structs there are."""
        return sum(1 for _ in self._places())

    @property
    def _bad(self) -> str:
        """Where the parser says that it refused something; no column has this name."""
        longest = max((len(column.name) for column in self.schema), default=0)
        return "z" * (longest + 1)

    def value_of(self, number: int) -> str:
        """SQL for the column of that number in the schema."""
        return self._value(self.top[number])

    # --- the values

    def _places(self) -> Iterator[_Place]:
        for place in self.top:
            yield from place.walk()

    def _converted(self, place: _Place) -> str:
        x, kind = place.sql, place.kind
        if kind.name in MOMENTS:
            return usual_moment(x, kind)
        return f"CASE WHEN {x} IS NOT NULL THEN {self.values.of_text(x, kind)} END"

    def _value(self, place: _Place) -> str:
        if place.is_text:
            return f"{_PARSED}{place.number}"
        if not any(inner.is_text for inner in place.walk()):
            return place.sql
        pairs = ", ".join(f"{text_sql(member.column.name)}, {self._value(member)}" for member in place.members)
        return f"CAST(CASE WHEN {place.sql} IS NOT NULL THEN named_struct({pairs}) END AS {type_sql(place.kind)})"

    # --- the proof

    def _count(self) -> str:
        """A struct: `k` keys with a value, `s` strings that text columns need, `o` closing braces that objects need."""
        keys = summed([f"CAST({place.sql} IS NOT NULL AS INT)" for place in self._places()])
        strings = [f"CAST({p.sql} IS NOT NULL AS INT)" for p in self._places() if p.is_text or p.kind.name == "string"]
        strings += [f"greatest(size({p.sql}), 0)" for p in self._places() if p.item == "string"]
        objects = ["1", *(f"CAST({p.sql} IS NOT NULL AS INT)" for p in self._places() if p.members)]
        needed = f"'k', {keys}, 's', {summed(strings)}, 'o', {summed(objects)}"
        braces = _bytes_of("}")
        if self._is_flat:
            braces = f"CASE WHEN plain THEN 1 ELSE {braces} END"
        odd = f"NOT plain AND contains({fenced('value')}, {text_sql(_BACKSLASH)})"
        escaped = f"CASE WHEN {odd} THEN {_bytes_of(_ESCAPED)} ELSE 0 END"
        seen = f"'b', {escaped}, 'q', {_bytes_of(_QUOTE)}, 'c', {braces}"
        return f"named_struct({needed}, {seen})"

    @property
    def _is_flat(self) -> bool:
        return not any(place.members for place in self._places())

    def _keys(self) -> str:
        return f"CASE WHEN {self._sure()} THEN {_MARK}.q - 2 * {_MARK}.s ELSE {_bytes_of(_COLON)} END"

    def _sure(self) -> str:
        """SQL, never null: the quotes alone tell how many keys there are."""
        if any(place.item == "string" for place in self._places()):
            return "false"
        texts = [place.sql for place in self._places() if place.kind.name in {"string", "binary"}]
        return " AND ".join(["plain", *(f"coalesce(NOT ({_may_be_no_string(x)}), true)" for x in texts)])

    def _proof(self) -> Iterator[str]:
        yield f"{_PARSED} IS NOT NULL"
        yield f"{_PARSED}.{self._bad} IS NULL"
        yield f"(shaped OR {' AND '.join(self._counted())})"
        for place in self._places():
            if proof := self._fits(place):
                yield f"({place.sql} IS NULL OR {proof})"
        for place in self.top:
            if place.column.required:
                yield f"{place.sql} IS NOT NULL"

    def _counted(self) -> Iterator[str]:
        m = _MARK
        yield f"({_KEYS} = 2 * {m}.k OR {_KEYS} = 2 * ({m}.k + {self._nulls()}))"
        yield f"{m}.c = {m}.o"
        yield f"2 * {m}.q - {m}.b = 2 * {_KEYS} + 4 * {m}.s"
        for place in self._places():
            x = self.values.variable()
            if place.kind.name == "string":
                yield f"({place.sql} IS NULL OR NOT ({_is_odd_text(place.sql)}))"
            elif place.item == "string":
                yield f"({place.sql} IS NULL OR NOT exists({place.sql}, {x} -> {_is_odd_text(x)}))"

    def _nulls(self) -> str:
        names = Counter(place.column.name for place in self._places())
        terms = []
        for place in self._places():
            name = place.column.name
            if names[name] == 1 and not set(name) & {'"', "\\"}:
                seen = " OR ".join(f"contains(value, {text_sql(text)})" for text in _null_under(name))
                terms.append(f"CASE WHEN {place.sql} IS NULL AND ({seen}) THEN 1 ELSE 0 END")
        return summed(terms)

    def _fits(self, place: _Place) -> str:
        """SQL: this value, which is not null, is what the exact way gives; empty where nothing is to be shown."""
        if place.is_text:
            return f"{_PARSED}{place.number} IS NOT NULL"
        if place.kind.name == "array":
            x = self.values.variable()
            odd = f" OR {_is_odd_double(x)}" if place.item == "double" else ""
            return f"NOT exists({place.sql}, {x} -> {x} IS NULL{odd})"
        return f"NOT ({_is_odd_double(place.sql)})" if place.kind.name == "double" else ""


def _is_provable(column: Column) -> bool:
    kind = column.type
    if "\ufffd" in column.name:  # which is how bytes that are no UTF-8 come to the parser
        return False
    if kind.name == "struct":
        return bool(kind.fields) and all(map(_is_provable, kind.fields))
    if kind.name == "array":
        return kind.element is not None and kind.element.type.name in _TYPED
    return kind.name in _TYPED | _TEXTS


def _declared(place: _Place) -> str:
    return f"{identifier(place.column.name)}: {_read_type(place.kind)}"


def _read_type(kind: DataType) -> str:
    """As what the parser is to read it: moments and the like as their text."""
    if kind.name == "struct":
        return f"struct<{', '.join(f'{identifier(m.name)}: {_read_type(m.type)}' for m in kind.fields)}>"
    if kind.name == "array" and kind.element:
        return f"array<{_read_type(kind.element.type)}>"
    return type_sql(kind) if kind.name in _TYPED else "string"


def _is_odd_text(value: str) -> str:
    return f"contains({value}, '\\ufffd') OR startswith({value}, '[')"


def _is_odd_double(value: str) -> str:
    signed = " OR ".join(f"contains(value, '{before}-0')" for before in (":", "[", ",", " "))
    return f"abs({value}) = double('infinity') OR {value} = 0 AND ({signed})"


def _may_be_no_string(text: str) -> str:
    """SQL: the parser may have made this text of a number, a boolean, an object or an array."""
    number = f"{text} >= '-' AND {text} < ':'"
    return f"{number} OR startswith({text}, '{{') OR startswith({text}, '[') OR {text} IN ('true', 'false')"


def _null_under(name: str) -> list[str]:
    return [f'"{name}":{blank}null' for blank in ("", " ")]


def _bytes_of(text: str) -> str:
    """SQL: how many bytes the occurrences of `text` in the record have."""
    return f"octet_length(value) - octet_length(replace(value, {text_sql(text)}, ''))"


_COLON, _QUOTE, _ESCAPED, _BACKSLASH = '":', '"', '\\"', "\\"
_STRICT = "'allowSingleQuotes', 'false', 'allowNonNumericNumbers', 'false'"
# Most records are plain, which one regular expression tells faster than a search for each odd text.
_PLAIN = r"\A\{[^\t\r\\}]*\}\z"
_PLAIN_NESTED = r"\A\{[^\t\r\\]*\}\z"
_ODD_TEXTS = (" :", "\t", "\r", "\\ud", "\\uD")
_NO_ODD_TEXT = " AND ".join(
    [
        "startswith(value, '{')",
        "endswith(value, '}')",
        *(f"NOT contains(value, {text_sql(text)})" for text in _ODD_TEXTS),
    ]
)
