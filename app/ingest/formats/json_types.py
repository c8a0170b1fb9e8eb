"""The type that JSON values show: the narrowest one that all of them fit.

Integers are bigint; beyond 64 bits decimal(38,0). Integers and fractions together are double. Strings that are all
dates, timestamps or timestamps with a zone are that; dates among timestamps make timestamps. An object with more keys
than a person would give columns is a map when its values agree. What does not agree, and what was only ever null, is
string (a string column keeps the JSON text of any value).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from app.datatypes import Column, DataType, array, decimal, mapping, primitive, struct
from app.ingest.formats.one_case import one_case_each
from app.values import Twin

_MAX_MEMBERS = 200  # an object with more keys is a map
_MAX_DEPTH = 30  # deeper values are kept as JSON text
_BIGINT = 2**63
_HUGE = 10**38
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d(?::?\d\d)?)?")


@dataclass(slots=True)
class Shape:
    """What was seen at one place, in `count` records: the `kinds` of values are type names, `object` and `array`."""

    kinds: set[str] = field(default_factory=set)
    members: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    count: int = 0
    last: int = -1  # the record that was counted last

    def add(self, value: object, options: Mapping[str, object], record: int, depth: int = 0) -> str:
        """Take `value` into account; answers its own kind (`null` for None).

        Values of one `record` come one after the other: a list of many elements is one record all the same.
        """
        if value is None:
            return "null"
        kind = "string" if depth > _MAX_DEPTH else kind_of(value, options)
        self.kinds.add(kind)
        self.count += record != self.last
        self.last = record
        if isinstance(value, dict) and kind == "object":
            for name, inner in value.items():
                self.members.setdefault(name, Shape()).add(inner, options, record, depth + 1)
        if isinstance(value, list) and kind == "array":
            self.item = self.item or Shape()
            for inner in value:
                self.item.add(inner, options, record, depth + 1)
        return kind

    @property
    def type(self) -> DataType:
        if self.kinds == {"object"}:
            return self._object()
        if self.kinds == {"array"}:
            return array(self.item.type if self.item else primitive("string"))
        return widest(self.kinds)

    def _object(self) -> DataType:
        if len(self.members) > _MAX_MEMBERS:
            return mapping(primitive("string"), self._values().type)
        columns = columns_of(self.members)
        return struct(*columns) if columns else primitive("string")

    def _values(self) -> Shape:
        """Of an object that is a map."""
        whole = Shape()
        for member in self.members.values():
            whole.join(member)
        return whole

    def twins(self, path: tuple[str, ...]) -> Iterator[Twin]:
        """What `twins_of` says, of the structs that the type at `path` has in it."""
        if self.kinds == {"array"} and self.item:
            yield from self.item.twins((*path, "element"))
        elif self.kinds == {"object"} and len(self.members) > _MAX_MEMBERS:
            yield from self._values().twins((*path, "value"))
        elif self.kinds == {"object"}:
            yield from twins_of(self.members, path)

    def join(self, other: Shape) -> None:
        """Take into account all that `other` saw. A record that both saw counts twice."""
        self.kinds |= other.kinds
        self.count += other.count
        for name, member in other.members.items():
            self.members.setdefault(name, Shape()).join(member)
        if other.item:
            self.item = self.item or Shape()
            self.item.join(other.item)


def columns_of(members: Mapping[str, Shape]) -> tuple[Column, ...]:
    """Those that can be columns beside each other: see `one_case_each`."""
    names, _ = one_case_each({name: member.count for name, member in members.items()})
    return tuple(Column(name, members[name].type) for name in names)


def twins_of(members: Mapping[str, Shape], above: tuple[str, ...] = ()) -> Iterator[Twin]:
    """The names that `columns_of` and the types of its columns leave out for their case; inside of structs by path."""
    names, twins = one_case_each({name: member.count for name, member in members.items()})
    for twin in twins:
        yield replace(twin, name=".".join((*above, twin.name)), kept=".".join((*above, twin.kept)))
    for name in names:
        yield from members[name].twins((*above, name))


def widest(kinds: set[str]) -> DataType:
    """The type that holds values of all these kinds; string when there is none but that."""
    if len(kinds) == 1 and not kinds & {"object", "array", "huge", "giant"}:
        return primitive(next(iter(kinds)))
    if kinds and kinds <= {"bigint", "huge"}:
        return decimal(38, 0)
    if kinds and kinds <= {"bigint", "huge", "giant", "double"} and "double" in kinds:
        return primitive("double")
    if kinds == {"date", "timestamp"}:
        return primitive("timestamp")
    return primitive("string")


def kind_of(value: object, options: Mapping[str, object]) -> str:
    """The kind of one value that is not None. `huge` is an integer beyond 64 bits, `giant` one beyond 38 digits."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "bigint" if -_BIGINT <= value < _BIGINT else "huge" if abs(value) < _HUGE else "giant"
    if isinstance(value, float):
        return "double"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return _text_kind(str(value), options)


def _text_kind(text: str, options: Mapping[str, object]) -> str:
    for name, kind in (("timestamp_format", "timestamp"), ("date_format", "date")):
        pattern = options.get(name)
        if pattern and _strptime(text, str(pattern)):
            return "timestamptz" if kind == "timestamp" and "%z" in str(pattern) else kind
    if _DATE.fullmatch(text) and not options.get("date_format"):
        return "date" if _real(date, text) else "string"
    found = None if options.get("timestamp_format") else _STAMP.fullmatch(text)
    if not found or not _real(datetime, text[:16]):
        return "string"
    return "timestamptz" if found.group(2) else "timestamp"


def _strptime(text: str, pattern: str) -> bool:
    try:
        datetime.strptime(text, pattern)  # noqa: DTZ007 only whether it parses
    except ValueError:
        return False
    return True


def _real(kind: type[date], text: str) -> bool:
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True
