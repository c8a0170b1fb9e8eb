"""A schema as plain JSON values: between processes, and in receipts."""

from __future__ import annotations

from app.datatypes.types import Column, DataType, TableSchema


def schema_to_json(schema: TableSchema) -> list[dict[str, object]]:
    """Columns with their field ids, nested ones too, as plain JSON values."""
    return [_column_json(column) for column in schema]


def schema_from_json(data: list[dict[str, object]]) -> TableSchema:
    """What `schema_to_json` gave."""
    return TableSchema(tuple(_column_from(item) for item in data))


def _column_json(column: Column) -> dict[str, object]:
    kind = column.type
    data: dict[str, object] = {
        "name": column.name,
        "type": kind.name,
        "required": column.required,
        "id": column.field_id,
    }
    if kind.name == "decimal":
        data |= {"precision": kind.precision, "scale": kind.scale}
    if kind.fields:
        data["fields"] = [_column_json(item) for item in kind.fields]
    if kind.element:
        data["element"] = _column_json(kind.element)
    if kind.key:
        data["key"] = _column_json(kind.key)
    return data


def _column_from(data: dict[str, object]) -> Column:
    def inner(name: str) -> Column | None:
        value = data.get(name)
        return _column_from(value) if isinstance(value, dict) else None

    members = data.get("fields")
    kind = DataType(
        name=str(data["type"]),
        precision=int(str(data.get("precision", 0))),
        scale=int(str(data.get("scale", 0))),
        fields=tuple(_column_from(item) for item in members) if isinstance(members, list) else (),
        element=inner("element"),
        key=inner("key"),
    )
    field_id = data.get("id")
    return Column(
        name=str(data["name"]),
        type=kind,
        required=bool(data.get("required")),
        field_id=field_id if isinstance(field_id, int) else None,
    )
