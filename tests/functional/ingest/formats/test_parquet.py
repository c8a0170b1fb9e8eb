"""Parquet through the parsing child: columns by name, other types without loss, bad files alone."""

# ruff: noqa: DTZ001 — timestamps without a zone are what is tested

from __future__ import annotations

import datetime as dt
import gzip
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import InvalidInput
from app.values import Twin
from tests.functional.ingest.parsing import LIMITS, infer, parse

SCHEMA = "id bigint, name string"
GOOD = {"id": [1, 2], "name": ["a", "b"]}


@pytest.fixture
def write(tmp_path):
    def run(data: dict[str, object] | pa.Table, name: str = "", **options: object) -> Path:
        path = tmp_path / (name or f"{len(list(tmp_path.iterdir()))}.parquet")
        table = data if isinstance(data, pa.Table) else pa.table(data)
        pq.write_table(table, path, **options)
        return path

    return run


@pytest.fixture
def load(sandbox, tmp_path):
    def run(*paths: Path, schema: str = SCHEMA, **changes: object):
        return parse(sandbox, paths, schema, tmp_path, **{"format": "parquet", **changes})

    return run


# --- columns


def test_columns_are_matched_by_name_in_each_file(load, write):
    parsed = load(write(GOOD), write({"name": ["c"], "id": [3]}), write({"name": ["d"]}))
    assert parsed.rows() == [(1, "a", None), (2, "b", None), (3, "c", None), (None, "d", None)]


def test_an_unknown_column_is_rescued_and_reported_with_its_type(load, write):
    extra = pa.table(
        {"id": [1, 2], "at": pa.array([dt.datetime(2024, 1, 5), None], pa.timestamp("ms")), "none": pa.nulls(2)}
    )
    parsed = load(write(extra), unknown="add")
    assert parsed.rows() == [(1, None, '{"at":"2024-01-05 00:00:00"}'), (2, None, None)]
    (found,) = parsed.result.new_columns
    assert (str(found.column), found.file_id, found.example) == ("at timestamp", 1, "2024-01-05 00:00:00")


def test_columns_that_differ_in_case_are_never_mixed_up(load, write):
    parsed = load(write({"ID": [9], "id": [1], "name": ["a"]}), write({"ID": [8], "name": ["b"]}), unknown="add")
    assert parsed.rows() == [(1, "a", '{"ID":9}'), (None, "b", '{"ID":8}')]
    assert parsed.result.new_columns == ()


def test_a_file_with_none_of_the_columns_fails_alone(load, write):
    parsed = load(write(GOOD), write({"x": [1]}), write({"ID": [1]}))
    assert [parsed.state(one) for one in (1, 2, 3)] == [("SUCCESS", ""), *[("FAILED", "not-this-format")] * 2]
    assert parsed.file(2).error.endswith("has none of the table's columns; it has: x.")
    assert parsed.file(3).error.endswith("it has: ID. Names match with their case: it has ID for id.")


def test_many_files_of_a_few_layouts_load_together(load, write):
    paths = [write({"id": [i], "name": [str(i)], **({"z": [i]} if i % 3 else {})}, f"{i}.parquet") for i in range(150)]
    parsed = load(*paths)
    assert parsed.rows("count(*), count(DISTINCT id), count(_rescued_data), sum(_file_id - id)") == [
        (150, 150, 100, 150)
    ]


def test_a_file_with_columns_named_like_ours_is_read(load, write):
    parsed = load(write({"id": [1], "filename": ["f"], "file_row_number": [5], "c0": [7]}))
    assert json.loads(parsed.rows("_rescued_data")[0][0]) == {"filename": "f", "file_row_number": 5, "c0": 7}


def test_a_partition_folder_adds_no_column(load, write, tmp_path):
    (tmp_path / "name=zzz").mkdir()
    assert load(write({"id": [1]}, "name=zzz/a.parquet")).rows() == [(1, None, None)]


def test_no_rows_are_a_success(load, write):
    parsed = load(write(pa.table({"id": pa.array([], pa.int64())})))
    assert (parsed.state(), parsed.file().rows) == (("SUCCESS", ""), 0)


def test_a_null_in_a_required_column_rejects_the_record(load, write):
    parsed = load(write({"id": [1, None, 3], "name": ["a", "b", "c"]}), schema="id bigint not null, name string")
    assert parsed.rows("id") == [(1,), (3,)]
    assert parsed.rejects("line, reason, raw") == [(2, "null-in-required: id", '{"id":null,"name":"b"}')]


# --- types


@pytest.mark.parametrize(
    ("values", "kind", "expected", "kept"),
    [
        (pa.array([1, -1], pa.int8()), "bigint", [1, -1], []),
        (pa.array([255], pa.uint8()), "int", [255], []),
        (pa.array([2**32 - 1, 5], pa.uint32()), "int", [None, 5], [2**32 - 1]),
        (pa.array([2**64 - 1, 5], pa.uint64()), "bigint", [None, 5], [2**64 - 1]),
        (pa.array([2**64 - 1], pa.uint64()), "decimal(20,0)", [Decimal(2**64 - 1)], []),
        (pa.array([2**40, 5]), "int", [None, 5], [2**40]),
        (pa.array([2**62 + 1, 5]), "double", [None, 5.0], [2**62 + 1]),
        (pa.array([5, 10**9], pa.int32()), "decimal(12,2)", [Decimal(5), Decimal(10**9)], []),
        (pa.array([1.5, 2.0, None]), "bigint", [None, 2, None], [1.5]),
        (pa.array([1.5, float("nan")], pa.float32()), "double", [1.5, "nan"], []),
        (pa.array([1.5, 1e300]), "float", [1.5, None], [1e300]),
        (pa.array([float("nan"), float("inf")]), "bigint", [None, None], ["NaN", "Infinity"]),
        (pa.array([Decimal("1.50"), Decimal("1.55")]), "decimal(4,1)", [Decimal("1.5"), None], [1.55]),
        (pa.array([Decimal("1.50")]), "decimal(20,4)", [Decimal("1.5")], []),
        (pa.array([Decimal("1.50")]), "double", [1.5], []),
        (pa.array([dt.date(2024, 1, 5)]), "timestamp", [dt.datetime(2024, 1, 5)], []),
        (
            pa.array([dt.datetime(2024, 1, 5), dt.datetime(2024, 1, 5, 1)]),
            "date",
            [dt.date(2024, 1, 5), None],
            ["2024-01-05 01:00:00"],
        ),
        (
            pa.array([0, 1], pa.timestamp("s")),
            "timestamp",
            [dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 1, 0, 0, 1)],
            [],
        ),
        (pa.array([1500], pa.timestamp("ms")), "timestamp", [dt.datetime(1970, 1, 1, 0, 0, 1, 500_000)], []),
        (pa.array([0], pa.timestamp("us", "UTC")), "timestamp", [None], ["1970-01-01 00:00:00+00"]),
        (pa.array([b"ok", b"\xff"]), "string", ["ok", None], ["/w=="]),
        (pa.array(["12", "x", " 7 ", "1.5"]), "bigint", [12, None, 7, None], ["x", "1.5"]),
        (pa.array(["2024-01-05"]), "date", [dt.date(2024, 1, 5)], []),
        (pa.array([True]), "string", ["true"], []),
        (pa.array([1, 2]), "string", ["1", "2"], []),
        (pa.array([True]), "bigint", [None], [True]),
        (pa.array(["x"]).dictionary_encode(), "string", ["x"], []),
        (pa.nulls(1), "bigint", [None], []),
        (pa.array([[1, 2], None], pa.list_(pa.int32())), "array<bigint>", [[1, 2], None], []),
        (pa.array([[1.0], [1.5]]), "array<bigint>", [[1], None], [[1.5]]),
        (pa.array([[1]]), "bigint", [None], [[1]]),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())), "map<string, bigint>", [{"k": 1}], []),
        (
            pa.array([[{"a": 1}], [{"a": 2}]]),
            "array<struct<a: int, b: string>>",
            [[{"a": 1, "b": None}], [{"a": 2, "b": None}]],
            [],
        ),
        (pa.array([[{"a": 1, "z": 2}]]), "array<struct<a: bigint>>", [None], [[{"a": 1, "z": 2}]]),
        (pa.array([{"a": 1}]), "string", ['{"a":1}'], []),
        (pa.array([{"a": 1}]), "map<string, bigint>", [None], [{"a": 1}]),
    ],
)
def test_another_type_keeps_each_value_in_the_column_or_in_the_rescued_data(load, write, values, kind, expected, kept):
    table = pa.table({"n": range(len(values)), "v": values})
    parsed = load(write(table), schema=f"n bigint, v {kind}")
    found = parsed.rows("n, v, _rescued_data")
    assert [("nan" if value != value else value) for _, value, _ in found] == expected  # noqa: PLR0124 — a nan
    assert [json.loads(text)["v"] for _, _, text in found if text] == kept


def test_nanoseconds_are_cut_and_the_exact_text_is_rescued(load, write):
    table = pa.table(
        {"t": pa.array([1_000, 1_001], pa.timestamp("ns")), "z": pa.array([2_000, 2_001], pa.timestamp("ns", "UTC"))}
    )
    parsed = load(write(table), schema="t timestamp, z timestamptz")
    assert parsed.rows("t, z::VARCHAR, _rescued_data") == [
        (
            dt.datetime(1970, 1, 1, 0, 0, 0, 1),
            "1970-01-01 00:00:00.000002+00",
            '{"t":"1970-01-01 00:00:00.000001001","z":"1970-01-01 00:00:00.000002001+00"}',
        ),
        (dt.datetime(1970, 1, 1, 0, 0, 0, 1), "1970-01-01 00:00:00.000002+00", None),
    ]


def test_int96_and_uuid_are_read(load, write):
    old = pa.table({"t": pa.array([dt.datetime(2024, 1, 5, 10)], pa.timestamp("ns"))})
    parsed = load(write(old, use_deprecated_int96_timestamps=True), schema="t timestamp")
    assert parsed.rows("t") == [(dt.datetime(2024, 1, 5, 10),)]
    number = UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    parsed = load(write(pa.table({"u": pa.array([number.bytes], pa.uuid())})), schema="u uuid")
    assert parsed.rows("u") == [(number,)]


def test_a_table_of_columns_that_differ_only_in_case_is_refused_and_no_file_blamed(load, write):
    with pytest.raises(InvalidInput, match="columns id and ID differ only in case"):
        load(write(pa.table({"id": [1]})), schema="id bigint, ID bigint")


def test_new_columns_that_differ_in_case_are_reported_with_the_records_that_have_each(load, write):
    files = [write(pa.table({"id": [1, 2], name: ["a", value]})) for name, value in (("Name", None), ("name", "b"))]
    parsed = load(*files, schema="id bigint", unknown="add")
    assert {new.column.name: new.records for new in parsed.result.new_columns} == {"Name": 1, "name": 2}


def test_members_of_a_struct_are_matched_by_name_and_rescued_by_path(load, write):
    table = pa.table({"s": [{"b": "x", "a": 1.5, "new": True, "in": {"y": 1, "z": 2}}, None]})
    parsed = load(write(table), schema="s struct<a: bigint, b: string, c: date, in: struct<y: bigint>>", unknown="add")
    value, text = parsed.rows("s, _rescued_data", "s IS NOT NULL")[0]
    assert value == {"a": None, "b": "x", "c": None, "in": {"y": 1}}
    assert json.loads(text) == {"s.a": 1.5, "s.new": True, "s.in.z": 2}
    assert parsed.rows("count(*)", "s IS NULL") == [(1,)]
    assert {(new.parent, str(new.column)) for new in parsed.result.new_columns} == {
        (("s",), "new boolean"),
        (("s", "in"), "z bigint"),
    }


def test_every_column_has_its_field_id_nested_ones_too(load, write):
    parsed = load(write({"id": [1], "l": [[{"a": 1}]]}), schema="id bigint, l array<struct<a: bigint>>")
    (path,) = parsed.result.data_files
    schema = pq.read_schema(path)
    assert schema.field("id").metadata[b"PARQUET:field_id"] == b"1"
    assert schema.field("l").type.value_field.type.field("a").metadata[b"PARQUET:field_id"] == b"4"


# --- bad files


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (b"", ("SKIPPED", "empty")),
        (b"PAR1 and then nothing", ("FAILED", "truncated")),
        (b"PAR1", ("FAILED", "truncated")),
        (b"id,name\n1,a\n", ("FAILED", "not-this-format")),
        (b"PAR1" + b"\xff" * 40 + (30).to_bytes(4, "little") + b"PAR1", ("FAILED", "undecodable")),
        (b"PAR1" + (2**31).to_bytes(4, "little") + b"PAR1", ("FAILED", "undecodable")),
        (b"PARE" + b"\0" * 40 + b"PARE", ("FAILED", "not-this-format")),
    ],
)
def test_a_file_that_is_no_parquet_ends_in_a_stated_state_and_its_neighbour_loads(
    load, write, tmp_path, content, state
):
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(content)
    parsed = load(bad, write(GOOD))
    assert parsed.state(1) == state
    assert str(bad) in parsed.file(1).error
    assert len(parsed.rows()) == 2


def test_a_file_that_was_cut_fails_alone(load, write):
    path = write({"id": list(range(1000)), "name": ["x"] * 1000})
    path.write_bytes(path.read_bytes()[:-20])
    assert load(path, write(GOOD)).state(1) == ("FAILED", "truncated")


def test_a_corrupt_page_fails_its_file_alone(load, write):
    path = write({"id": list(range(50_000)), "name": [str(i * 7919) for i in range(50_000)]}, compression="zstd")
    page = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[page : page + 4000] = b"\xff" * 4000
    path.write_bytes(data)
    parsed = load(path, write(GOOD))
    assert parsed.state(1) == ("FAILED", "undecodable")
    assert parsed.rows("id") == [(1,), (2,)]


def test_a_small_file_that_would_become_gigabytes_is_quarantined_by_its_footer(load, write):
    text = pa.table({"name": pa.array(["x" * (1 << 20)] * 200)})
    rows = pa.table({"id": pa.nulls(70_000_000, pa.int8())})
    bombs = [
        write(text, compression="zstd", use_dictionary=False),
        write(rows, row_group_size=70_000_000),
    ]
    parsed = load(*bombs, write(GOOD))
    assert [parsed.state(i) for i in (1, 2, 3)] == [("QUARANTINED", "expansion")] * 2 + [("SUCCESS", "")]


def test_an_output_limit_is_kept_by_the_footer(load, write):
    parsed = load(write({"id": list(range(20_000))}), limits=replace(LIMITS, max_output_bytes=10_000))
    assert parsed.state() == ("QUARANTINED", "expansion")


def test_a_compressed_parquet_file_is_read(load, write, tmp_path):
    packed = tmp_path / "a.parquet.gz"
    packed.write_bytes(gzip.compress(write(GOOD).read_bytes(), mtime=0))
    assert load(packed).rows("id") == [(1,), (2,)]


def test_odd_file_names_are_read(load, write):
    paths = [write({"id": [i]}, name) for i, name in enumerate(("a'b.parquet", "x*y?.parquet", "new\nline.parquet"))]
    assert load(*paths).rows("id, _file_id") == [(0, 1), (1, 2), (2, 3)]


# --- policies, options, inference


def test_without_rescued_data_a_record_with_a_misfit_is_rejected(load, write):
    parsed = load(write({"id": [1, 2], "name": ["a", "b"], "x": [None, 7]}), rescued=False)
    assert parsed.rows() == [(1, "a")]
    assert parsed.rejects("line, reason, raw") == [(2, 'does-not-fit: {"x":7}', '{"id":2,"name":"b","x":7}')]


def test_options_of_other_formats_are_refused(load, write):
    with pytest.raises(InvalidInput, match="delimiter"):
        load(write(GOOD), options={"delimiter": ";"})


def test_of_inferred_names_that_differ_in_case_the_one_with_most_rows_is_the_column(sandbox, write, tmp_path):
    counts = (("Name", 3), ("name", 2), ("name", 2))
    files = [write({name: ["n"] * count, "id": [1] * count}) for name, count in counts]
    found = infer(sandbox, files, tmp_path, format="parquet")
    assert str(found.schema) == "name string, id bigint"
    assert {one.column for one in found.evidence} == {"name", "id"}
    assert found.twins == (Twin("Name", 3, "name", 4),)


def test_inference_merges_footers_and_keeps_the_evidence(sandbox, write, tmp_path):
    first = write({"id": pa.array([1], pa.int32()), "v": [1], "s": [{"a": 1}], "none": pa.nulls(1)}, "a.parquet")
    second = write(
        {"id": [2], "v": [1.5], "s": [{"b": "x"}], "ID": ["no"], "t": pa.array([0], pa.timestamp("ns", "UTC"))},
        "b.parquet",
    )
    bad = tmp_path / "c.parquet"
    bad.write_bytes(b"PAR1")
    result = infer(sandbox, [first, second, bad], tmp_path, format="parquet")
    assert str(result.schema) == "id bigint, v double, s struct<a: bigint, b: string>, none string, t timestamptz"
    seen = {(item.column, item.type): (Path(item.path).name, item.example) for item in result.evidence}
    assert seen["v", "bigint"] == ("a.parquet", "1")
    assert seen["v", "double"] == ("b.parquet", "1.5")
    assert [(file.file_id, file.reason) for file in result.problems] == [(3, "truncated")]
    assert result.rows[0] == {"id": "1", "v": "1", "s": '{"a":1}', "none": None}
