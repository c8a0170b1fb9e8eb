"""The type that JSON values show: the narrowest one that all of them fit.

Integers are bigint; beyond 64 bits decimal(38,0). Integers and fractions together are double. Strings that are all
dates, timestamps or timestamps with a zone are that; dates among timestamps make timestamps. An object with more keys
than a person would give columns is a map when its values agree. What does not agree, and what was only ever null, is
string (a string column keeps the JSON text of any value).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from app.datatypes import Column, DataType, array, can_be_named, decimal, mapping, primitive, struct

_MAX_MEMBERS = 200  # an object with more keys is a map
_MAX_DEPTH = 30  # deeper values are kept as JSON text
_BIGINT = 2**63
_HUGE = 10**38
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d(?::?\d\d)?)?")


@dataclass(slots=True)
class Shape:
    """What was seen at one place: `count` values, whose `kinds` are type names, `object` and `array`."""

    kinds: set[str] = field(default_factory=set)
    members: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    count: int = 0

    def add(self, value: object, options: Mapping[str, object], depth: int = 0) -> str:
        """Take `value` into account; answers its own kind (`null` for None)."""
        if value is None:
            return "null"
        kind = "string" if depth > _MAX_DEPTH else kind_of(value, options)
        self.kinds.add(kind)
        self.count += 1
        if isinstance(value, dict) and kind == "object":
            for name, inner in value.items():
                self.members.setdefault(name, Shape()).add(inner, options, depth + 1)
        if isinstance(value, list) and kind == "array":
            self.item = self.item or Shape()
            for inner in value:
                self.item.add(inner, options, depth + 1)
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
            whole = Shape()
            for member in self.members.values():
                whole.join(member)
            return mapping(primitive("string"), whole.type)
        columns = [Column(name, member.type) for name, member in spoken_once(self.members)]
        return struct(*columns) if columns else primitive("string")

    def join(self, other: Shape) -> None:
        """Take into account all that `other` saw."""
        self.kinds |= other.kinds
        self.count += other.count
        for name, member in other.members.items():
            self.members.setdefault(name, Shape()).join(member)
        if other.item:
            self.item = self.item or Shape()
            self.item.join(other.item)


def spoken_once(members: Mapping[str, Shape]) -> Iterator[tuple[str, Shape]]:
    """Members that can be columns: those with a possible name, and of names that differ only in case the one with the
    most values (of several the first that was seen), in the place of the first of them.
    """
    kept: dict[str, str] = {}
    for name in filter(can_be_named, members):
        other = kept.setdefault(name.lower(), name)
        if members[name].count > members[other].count:
            kept[name.lower()] = name
    for name in kept.values():
        yield name, members[name]


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
