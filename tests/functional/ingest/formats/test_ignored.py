"""`unknown="ignore"`: what the schema has no column for is in no column and not rescued; all else is as ever."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.functional.ingest.parsing import parse

SCHEMA = (
    "id bigint, s string, o struct<x int, y struct<z string>>, l array<struct<x int>>, m map<string, struct<x int>>"
)
RECORDS = [
    {"id": 1, "more": {"id": 5}, "ID": 6},
    {
        "more": 1,
        "id": 2,
        "o": {"x": 1, "more": 2, "y": {"z": "a", "more": []}},
        "l": [{"x": 1, "more": 2}, {"more": 3}],
    },
    {"id": 3, "m": {"a": {"x": 1, "more": 2}, "b": {"more": 3}}},
    {"id": "four", "o": {"x": "five", "more": 2}, "more": 1},
]
LOADED = [
    (1, None, None, None, None, None),
    (2, None, {"x": 1, "y": {"z": "a"}}, [{"x": 1}, {"x": None}], None, None),
    (3, None, None, None, {"a": {"x": 1}, "b": {"x": None}}, None),
    (None, None, {"x": None, "y": None}, None, None, '{"id":"four","o.x":"five"}'),
]


@pytest.fixture
def load(sandbox, tmp_path):
    def run(name: str, content: str, schema: str = SCHEMA, **changes: object):
        path = tmp_path / name
        path.write_text(content)
        kind = name.rpartition(".")[2]
        return parse(sandbox, path, schema, tmp_path, **{"format": kind, "unknown": "ignore", **changes})

    return run


def test_keys_of_json_lines_that_no_column_has_are_left_out_at_any_depth(load):
    parsed = load("a.jsonl", "\n".join(map(json.dumps, RECORDS)))
    assert parsed.rows() == LOADED
    assert parsed.result.new_columns == ()
    assert parsed.file().rescued == 1


def test_keys_of_a_document_are_left_out_too(load):
    assert load("a.json", json.dumps(RECORDS)).rows() == LOADED


@pytest.mark.parametrize("value", ["5", '"x"', "[1]", "[]", '""', "true"])
def test_a_struct_that_is_no_object_is_rescued_at_any_depth(load, value):
    lines = (
        f'{{"id": 1, "o": {value}, "more": 1}}\n{{"o": {{"x": 1, "y": {value}, "more": 2}}, "id": 2}}\n{{"o": null}}\n'
    )
    for name, content in (("a.jsonl", lines), ("a.json", f"[{','.join(lines.splitlines())}]")):
        parsed = load(name, content)
        kept = [(None, None), (1, f'{{"o":{value}}}'), (2, f'{{"o.y":{value}}}')]
        assert sorted(parsed.rows("id, _rescued_data"), key=lambda row: row[0] or 0) == kept
        assert parsed.file().rescued == 2


def test_of_a_key_that_stands_twice_the_first_counts_and_the_other_is_left_out(load):
    parsed = load("a.jsonl", '{"id": 1, "id": 2}\n{"id": 3, "o": {"x": 1, "x": 2}, "more": 1}\n')
    assert parsed.rows("id, o.x, _rescued_data") == [(1, None, None), (3, 1, None)]


def test_a_record_without_one_known_key_is_a_row_and_what_is_no_object_is_rejected(load):
    parsed = load("a.jsonl", '{"more": 1}\n[{"id": 1}]\n{"more": 1} {"id": 2}\n5\n{"more"}\n{}\n')
    assert parsed.rows("id, _rescued_data") == [(None, None), (None, None)]
    reasons = [(line, reason.partition(":")[0]) for line, reason in parsed.rejects("line, reason")]
    assert reasons == [(2, "not-an-object"), (3, "malformed"), (4, "not-an-object"), (5, "malformed")]


MIXED = [
    {"more": 1},
    {"id": None, "more": 2},
    {},
    {"id": "four"},
    {"o": {"more": 1}},
    {"o": {"y": {"Z": 1}}},
    {"id": 1},
]


@pytest.mark.parametrize(
    ("schema", "count"), [(SCHEMA, 5), ("id bigint", 5), ("o struct<x int>, l array<int>", 7), ("", 7)]
)
def test_rows_that_hold_nothing_are_counted_and_one_that_was_rescued_holds_something(load, schema, count):
    assert load("a.jsonl", "\n".join(map(json.dumps, MIXED)), schema).file().blank == count
    assert load("a.json", json.dumps(MIXED), schema).file().blank == count


def test_no_row_is_counted_where_a_column_has_a_value_in_each_nor_where_keys_are_rescued(load):
    lines = '{"id": 1, "more": 1}\n{"id": 2}\n'
    assert load("a.jsonl", lines).file().blank == 0
    assert load("a.jsonl", '{"more": 1}\n', unknown="rescue").file().blank == 0


def test_rows_of_parquet_that_hold_nothing_are_counted(sandbox, tmp_path):
    pq.write_table(pa.table({"o": [{"x": 1, "q": 1}, {"x": None, "q": 2}, None]}), tmp_path / "a.parquet")
    parsed = parse(
        sandbox, tmp_path / "a.parquet", "id bigint, o struct<x int>", tmp_path, format="parquet", unknown="ignore"
    )
    assert (parsed.file().rows, parsed.file().blank) == (3, 2)


def test_records_that_were_rejected_are_no_rows_that_hold_nothing(load):
    parsed = load("a.jsonl", '{"id": 1}\n5\n{"more": 1}\n')
    assert (parsed.file().rows, parsed.file().rejected, parsed.file().blank) == (2, 1, 1)


def test_without_a_column_of_rescued_data_only_what_does_not_fit_is_rejected(load):
    from app.ingest.formats.contract import RowColumns

    names = RowColumns(("_file_id", 1001), None, None, None)
    parsed = load("a.jsonl", '{"id": 1, "more": 2}\n{"id": "x", "more": 2}\n', row_columns=names)
    assert parsed.rows("id") == [(1,)]
    assert parsed.rejects("line, reason") == [(2, 'does-not-fit: {"id":"x"}')]


def test_columns_of_csv_that_the_schema_lacks_are_left_out(load):
    parsed = load("a.csv", 'id,more,ID,s\n1,2,3,x\n"four","a\nb",,y\n5,6\n', "id bigint, s string")
    assert parsed.rows() == [(1, "x", None), (None, "y", '{"id":"four"}')]
    assert [reason.partition(":")[0] for (reason,) in parsed.rejects("reason")] == ["too-few-fields"]


def test_columns_of_parquet_that_the_schema_lacks_are_left_out_at_any_depth(sandbox, tmp_path):
    rows = [
        {"id": 1.0, "o": {"x": 1, "more": 2}, "l": [{"x": 1, "more": 2}], "m": [("a", {"x": 1, "more": 2})], "more": 1},
        {"id": 2.5, "o": None, "l": [], "m": [], "more": None},
        {"id": None, "o": {"x": 1 << 40, "more": 1}, "l": [{"x": 1 << 40, "more": 3}], "m": None, "more": 2},
    ]
    inner = pa.struct([("x", pa.int64()), ("more", pa.int64())])
    kinds = [("o", inner), ("l", pa.list_(inner)), ("m", pa.map_(pa.string(), inner)), ("more", pa.int64())]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([("id", pa.float64()), *kinds])), path)
    schema = "id bigint not null, o struct<x int>, l array<struct<x int>>, m map<string, struct<x int>>"

    given = {"format": "parquet", "unknown": "ignore"}
    parsed = parse(sandbox, path, schema, tmp_path, **given)
    assert parsed.rows() == [(1, {"x": 1}, [{"x": 1}], {"a": {"x": 1}}, None)]
    assert len(parsed.rejects()) == 2
    assert all("more" not in json.loads(raw) for (raw,) in parsed.rejects("raw"))

    open_ids = parse(sandbox, path, schema.replace(" not null", ""), tmp_path, **given)
    assert sorted(row[-1] or "" for row in open_ids.rows()) == [
        "", '{"id":2.5}', '{"o.x":1099511627776,"l":[{"x":1099511627776}]}',
    ]  # fmt: skip
