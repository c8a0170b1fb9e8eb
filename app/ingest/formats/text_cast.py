"""CSV and Parquet text as a value of any type: scalars by `strict_text`, structs, arrays and maps from their JSON.

Nested text is taken whole or not at all: an element that does not fit, a key that the struct lacks or one that stands
twice, and the result is null.
"""

from __future__ import annotations

from app.datatypes import DataType, duckdb_text
from app.ingest.formats.json_numbers import marked_if_odd
from app.ingest.formats.json_values import Values, names_sql, pointer
from app.ingest.formats.strict_text import ISO, TextFormats, strict_cast


def text_cast(text: str, kind: DataType, formats: TextFormats = ISO, loose: str = "") -> str:
    """SQL for `text` as `kind`, null when it does not fit; the arguments are those of `strict_cast`."""
    return _nested(text, kind) if kind.nested else strict_cast(text, kind, formats, loose)


def _nested(text: str, kind: DataType) -> str:
    values = Values.of({}, text, "true")
    strange = _other_keys(text, kind, values)
    sound = f"json_valid({text})" + (f" AND NOT coalesce({strange}, false)" if strange else "")
    name = values.variable()
    # By a lambda the marked text stands once.
    value = f"list_transform([{marked_if_odd(text)}], lambda {name}: {values.element(name, kind)})[1]"
    return f"CASE WHEN {sound} THEN {value} END"


def _other_keys(raw: str, kind: DataType, values: Values) -> str:
    """SQL: an object in the JSON `raw` has keys that its struct lacks; empty when there is no struct in `kind`."""
    if kind.name == "struct":
        keys = f"json_keys({raw})"
        parts = [f"NOT list_has_all({names_sql(kind.fields)}, {keys})", f"len({keys}) <> len(list_distinct({keys}))"]
        for member in kind.fields:
            inner = f"json_extract({raw}, {duckdb_text(pointer(member.name))})"
            if deeper := _other_keys(inner, member.type, values):
                parts.append(f"coalesce({deeper}, false)")
        return f"({' OR '.join(parts)})"
    if kind.element is None:
        return ""
    name = values.variable()
    deeper = _other_keys(name, kind.element.type, values)
    items = f"from_json({raw}, '[\"JSON\"]')" if kind.name == "array" else f"json_extract({raw}, '$.*')"
    return f"list_bool_or(list_transform({items}, lambda {name}: {deeper}))" if deeper else ""
