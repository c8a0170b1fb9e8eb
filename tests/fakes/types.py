"""Types by their text, for tests."""

from __future__ import annotations

from app.datatypes import DataType, parse_schema


def parse_type(text: str) -> DataType:
    """The type that `text` describes. Raises InvalidSchemaText."""
    (column,) = parse_schema(f"x {text}")
    return column.type
