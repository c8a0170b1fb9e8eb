"""Spark SQL text: names, literals, and bindings."""

from __future__ import annotations

from collections.abc import Mapping

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


def names_sql(names: list[str]) -> str:
    return f"array({', '.join(map(text_sql, names))})" if names else "CAST(array() AS ARRAY<STRING>)"


def joined(terms: list[str], operator: str, nothing: str) -> str:
    return f" {operator} ".join(terms) or nothing
