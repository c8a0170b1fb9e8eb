"""Spark SQL text: names, literals, and bindings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.datatypes import DataType
from app.spark import identifier, literal

# Over `value`, a text that Spark read: without a byte order mark; whether bytes of it were no UTF-8 (Spark keeps them).
BYTES = "CAST(value AS BINARY)"
UNMARKED = "CASE WHEN startswith(value, '\\ufeff') THEN substring(value, 2) ELSE value END"
FOREIGN = f"encode(decode({BYTES}, 'UTF-8'), 'UTF-8') <> {BYTES}"
_TYPES = {"timestamp": "TIMESTAMP_NTZ", "timestamptz": "TIMESTAMP", "uuid": "STRING"}


def text_sql(text: str) -> str:
    """`text` as a Spark string literal."""
    return literal(text)


def type_sql(kind: DataType, names: Mapping[str, str] = _TYPES) -> str:
    """The type as Spark writes it, `names`: those it calls otherwise. A UUID is text to it; it has no `time`."""
    if kind.name == "decimal":
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind.name == "struct":
        return f"STRUCT<{', '.join(f'{identifier(m.name)}: {type_sql(m.type, names)}' for m in kind.fields)}>"
    if kind.name == "array" and kind.element:
        return f"ARRAY<{type_sql(kind.element.type, names)}>"
    if kind.name == "map" and kind.key and kind.element:
        return f"MAP<{type_sql(kind.key.type, names)}, {type_sql(kind.element.type, names)}>"
    return names.get(kind.name, kind.name.upper())


def bound(value: str, name: str, body: str) -> str:
    """SQL for `body`, in which the variable `name` stands for `value`: computed once, and only where needed."""
    return f"transform(array({value}), {name} -> {body})[0]"


def fenced(text: str) -> str:
    """SQL for the column `text`, a string: one that keeps its step out of the code that Spark makes of several steps.

    Code that is too large for the JVM to compile is thrown away with that of all steps beside it, and each of them then
    copies its rows. A step of many columns is too large; with a function in it that has no code it stands alone.
    """
    return f"CASE WHEN octet_length({text}) < 0 THEN transform(array({text}), same -> same)[0] ELSE {text} END"


def names_sql(names: list[str]) -> str:
    return f"array({', '.join(map(text_sql, names))})" if names else "CAST(array() AS ARRAY<STRING>)"


def joined(terms: list[str], operator: str, nothing: str) -> str:
    return f" {operator} ".join(terms) or nothing


def summed(terms: Sequence[str]) -> str:
    """SQL for the sum, 0 of none. Halves are added, not one after the other: Spark recurses as deep as a sum is nested,
    and a thousand columns overflow its stack.
    """
    if len(terms) <= 1:
        return terms[0] if terms else "0"
    half = len(terms) // 2
    return f"({summed(terms[:half])} + {summed(terms[half:])})"
