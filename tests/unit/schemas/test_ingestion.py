from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from app.errors import InvalidSchemaText
from app.schemas.ingestion import IngestionShape, parse_size

MINIMAL = {
    "name": "orders",
    "source": {"url": "s3://bucket/orders/"},
    "format": {"type": "jsonl"},
    "destination": {"table": "shop.orders"},
}


def with_(path: str, value: object) -> dict[str, object]:
    """MINIMAL with one field set, named `part.field`."""
    part, _, field = path.rpartition(".")
    data: dict[str, object] = json.loads(json.dumps(MINIMAL))
    if not part:
        return data | {field: value}
    section = data.setdefault(part, {})
    assert isinstance(section, dict)
    section[field] = value
    return data


def test_four_lines_are_enough_and_the_defaults_are_the_careful_ones():
    shape = IngestionShape.model_validate(MINIMAL)

    assert shape.engine == "embedded"
    assert shape.source.start == "everything"
    assert shape.policies.on_change == "ignore"
    assert shape.policies.on_error == "continue"
    assert shape.columns.on_new_columns == "add_columns"
    assert not shape.policies.allow_overlap
    assert (shape.row_columns.file_id, shape.row_columns.rescued_data) == ("_file_id", "_rescued_data")


def test_what_is_written_reads_back():
    shape = IngestionShape.model_validate(
        MINIMAL | {"columns": {"columns": "id bigint, at timestamptz"}, "policies": {"max_errors": "5%"}}
    )

    assert IngestionShape.model_validate_json(shape.model_dump_json()) == shape


@pytest.mark.parametrize("path", ["colour", "source.path", "format.seperator", "policies.onError", "row_columns.id"])
def test_a_field_with_a_typing_error_is_refused(path):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        IngestionShape.model_validate(with_(path, "x"))


def test_a_shape_cannot_be_changed_behind_its_owner():
    shape = IngestionShape.model_validate(MINIMAL)

    with pytest.raises(ValidationError, match="frozen"):
        shape.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "size"),
    [("1048576", 1048576), ("1 MiB", 1048576), ("500 MB", 500_000_000), ("1.5kb", 1500), (" 2 GiB ", 2**31), (7, 7)],
)
def test_sizes_are_written_as_people_write_them(text, size):
    shape = IngestionShape.model_validate(with_("policies.batch_max_bytes", text))

    assert shape.policies.batch_max_bytes == size


@pytest.mark.parametrize("text", ["", "big", "1 XB", "-1 MB", "1,5 MB", "MB"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="500 MB or 1 GiB"):
        parse_size(text)


@pytest.mark.parametrize("table", ["shop.orders", "lake.shop.orders", "a.b1_", "_a._b"])
def test_table_names(table):
    assert IngestionShape.model_validate(with_("destination.table", table)).destination.table == table


@pytest.mark.parametrize(
    "table", ["orders", "a.b.c.d", "", ".", "a.", "a.b-c", "a.b c", 'a."b"', "a.1b", "a.b;drop", "a.ü", "a.b\n", "a..b"]
)
def test_odd_table_names_are_refused(table):
    with pytest.raises(ValidationError, match="is not a table name"):
        IngestionShape.model_validate(with_("destination.table", table))


@pytest.mark.parametrize("field", ["modified_after", "modified_before", "start"])
def test_a_time_needs_its_zone(field):
    IngestionShape.model_validate(with_(f"source.{field}", "2026-01-31T00:00:00+01:00"))

    with pytest.raises(ValidationError, match="a time needs its zone"):
        IngestionShape.model_validate(with_(f"source.{field}", "2026-01-31T00:00:00"))


@pytest.mark.parametrize("threshold", ["0", 10, "5%", "0.5 %"])
def test_thresholds(threshold):
    shape = IngestionShape.model_validate(with_("policies.max_errors", threshold))

    assert shape.policies.max_errors == str(threshold)


@pytest.mark.parametrize("threshold", ["many", "-1", "5 percent", "1.5", "", None])
def test_what_is_no_threshold_is_refused(threshold):
    with pytest.raises(ValidationError, match="is not a threshold"):
        IngestionShape.model_validate(with_("policies.max_errors", threshold))


def test_a_schema_text_is_kept_in_its_normal_form():
    shape = IngestionShape.model_validate(with_("columns.columns", "id  LONG,tags list<text>"))

    assert shape.columns.columns == "id bigint, tags array<string>"


def test_a_schema_text_that_does_not_parse_says_where():
    with pytest.raises(InvalidSchemaText, match="'numbr' is not a type"):
        IngestionShape.model_validate(with_("columns.columns", "id numbr"))


@pytest.mark.parametrize(("odd", "told"), [("\0", "NUL"), ("\ud800", "a character that cannot be stored")])
def test_a_column_whose_name_no_ledger_holds_is_refused(odd, told):
    with pytest.raises(ValidationError, match=told):
        IngestionShape.model_validate(with_("columns.columns", f"id bigint, `a{odd}b` int"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format.type", "xls"),
        ("format.compression", "rar"),
        ("format.skip_lines", -1),
        ("policies.max_attempts", 0),
        ("policies.on_error", "ignore"),
        ("columns.on_new_columns", "drop"),
        ("source.min_age_seconds", -1),
        ("row_columns.file_id", None),
        ("name", ""),
        ("name", "x" * 201),
    ],
)
def test_values_out_of_bounds_are_refused(path, value):
    with pytest.raises(ValidationError):
        IngestionShape.model_validate(with_(path, value))


def test_every_field_is_described():
    definitions = IngestionShape.model_json_schema()["$defs"]
    missing = [
        f"{shape}.{name}"
        for shape, definition in definitions.items()
        for name, field in definition["properties"].items()
        if not field.get("description")
    ]

    assert missing == []
