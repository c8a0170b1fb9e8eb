"""The type that holds the values of two."""

from __future__ import annotations

from dataclasses import replace

from app.datatypes import Column, DataType, array, decimal, mapping, primitive, struct

_DECIMAL_DIGITS = 38
_DIGITS = {"int": 10, "bigint": 19}
_WIDER = {
    frozenset({"int", "bigint"}): "bigint",
    frozenset({"float", "double"}): "double",
    frozenset({"int", "float"}): "double",
    frozenset({"int", "double"}): "double",
    frozenset({"bigint", "float"}): "double",
    frozenset({"bigint", "double"}): "double",
    frozenset({"decimal", "float"}): "double",
    frozenset({"decimal", "double"}): "double",
    frozenset({"date", "timestamp"}): "timestamp",
    frozenset({"date", "timestamptz"}): "timestamptz",
    frozenset({"timestamp", "timestamptz"}): "timestamptz",
}


def widest(a: DataType, b: DataType) -> DataType:
    """The narrowest type that holds the values of both, without field ids; string when there is no other.

    Integers beside floating point become double, as everywhere: above 2**53 that rounds.
    """
    if a.name == b.name == "struct":
        return _widest_struct(a, b)
    if a.name == b.name == "array" and a.element and b.element:
        return array(widest(a.element.type, b.element.type))
    if a.name == b.name == "map" and a.key and b.key and a.element and b.element:
        return mapping(widest(a.key.type, b.key.type), widest(a.element.type, b.element.type))
    if a.nested or b.nested:
        return primitive("string")
    if a.name == "decimal" or b.name == "decimal":
        both = _digits(a), _digits(b)
        if both[0] and both[1]:
            return _widest_decimal(both[0], both[1])
    if a.name == b.name:
        return primitive(a.name)
    return primitive(_WIDER.get(frozenset({a.name, b.name}), "string"))


def _digits(kind: DataType) -> tuple[int, int] | None:
    """Digits before and after the point; None for what is no exact number."""
    if kind.name == "decimal":
        return kind.precision - kind.scale, kind.scale
    return (_DIGITS[kind.name], 0) if kind.name in _DIGITS else None


def _widest_decimal(a: tuple[int, int], b: tuple[int, int]) -> DataType:
    whole, scale = max(a[0], b[0]), max(a[1], b[1])
    return decimal(whole + scale, scale) if whole + scale <= _DECIMAL_DIGITS else primitive("string")


def _widest_struct(a: DataType, b: DataType) -> DataType:
    others = {member.name: member for member in b.fields}
    members = []
    for member in a.fields:
        other = others.pop(member.name, None)
        kind = widest(member.type, other.type) if other else plain(member.type)
        members.append(Column(member.name, kind, required=bool(other and member.required and other.required)))
    taken = {member.name.lower() for member in members}
    for member in others.values():
        if member.name.lower() not in taken:
            taken.add(member.name.lower())
            members.append(Column(member.name, plain(member.type)))
    return struct(*members)


def plain(kind: DataType) -> DataType:
    """The type without field ids; a struct without members, which no table can hold, is a string."""
    if kind.name == "struct":
        members = tuple(Column(member.name, plain(member.type), required=member.required) for member in kind.fields)
        return struct(*members) if members else primitive("string")
    if kind.name == "array" and kind.element:
        return array(plain(kind.element.type))
    if kind.name == "map" and kind.key and kind.element:
        return mapping(plain(kind.key.type), plain(kind.element.type))
    return replace(kind, fields=())
