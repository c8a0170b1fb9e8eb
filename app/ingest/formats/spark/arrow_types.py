"""The types of a Parquet file's columns, by its footer, as the table calls them."""

from __future__ import annotations

import pyarrow as pa

from app.datatypes import Column, DataType, array, decimal, mapping, primitive, struct

_PLAIN: tuple[tuple[pa.DataType, str], ...] = (
    (pa.bool_(), "boolean"),
    (pa.int8(), "int"),
    (pa.int16(), "int"),
    (pa.int32(), "int"),
    (pa.int64(), "bigint"),
    (pa.float32(), "float"),
    (pa.float64(), "double"),
    (pa.date32(), "date"),
    (pa.string(), "string"),
    (pa.large_string(), "string"),
    (pa.binary(), "binary"),
    (pa.large_binary(), "binary"),
)
_PRECISE = frozenset({"ms", "us"})


def known_type(kind: pa.DataType) -> DataType | None:
    """The type; None for one that Spark reads otherwise, or not at all: nanoseconds, times, unsigned numbers."""
    plain = next((name for arrow, name in _PLAIN if arrow.equals(kind)), None)
    if plain:
        return primitive(plain)
    if pa.types.is_timestamp(kind) and kind.unit in _PRECISE:
        return primitive("timestamptz" if kind.tz else "timestamp")
    if pa.types.is_decimal128(kind):
        return decimal(kind.precision, kind.scale)
    if pa.types.is_dictionary(kind):
        return known_type(kind.value_type)
    return _nested(kind)


def _nested(kind: pa.DataType) -> DataType | None:
    if pa.types.is_struct(kind):
        members = [(field.name, known_type(field.type)) for field in kind]
        if members and all(inner for _, inner in members):
            return struct(*(Column(name, inner) for name, inner in members if inner))
        return None
    if pa.types.is_map(kind):
        key, value = known_type(kind.key_type), known_type(kind.item_type)
        return mapping(key, value) if key and value else None
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        item = known_type(kind.value_type)
        return array(item) if item else None
    return None
