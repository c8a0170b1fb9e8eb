"""Which JSON value fits which column; what does not is kept as JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest

from app.errors import InvalidInput
from tests.functional.ingest.parsing import parse

FITS = [
    ("int", "2147483647", 2147483647),
    ("int", "1.0", 1),
    ("int", "-0", 0),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("bigint", "1e3", 1000),
    ("bigint", "9007199254740993.0", 9007199254740993),
    ("bigint", "922337203685477580.7e1", 2**63 - 1),
    ("double", "1", 1.0),
    ("double", "1.5e300", 1.5e300),
    ("double", "NaN", math.nan),
    ("double", "-Infinity", -math.inf),
    ("float", "0.5", 0.5),
    ("boolean", "true", True),
    ("boolean", "false", False),
    ("string", '"x\\ny \\ud83d\\ude00"', "x\ny 😀"),
    ("string", '""', ""),
    ("string", "12", "12"),
    ("string", "1.10", "1.10"),
    ("string", "1E5", "1E5"),
    ("string", "-0", "-0"),
    ("string", "1e400", "1e400"),
    ("string", "0.12345678901234567890", "0.12345678901234567890"),
    ("string", '{"a": [1.10, "1.10"]}', '{"a":[1.10,"1.10"]}'),
    ("string", '"[1.10, -0]"', "[1.10, -0]"),
    ("string", "true", "true"),
    ("string", '{"a": [1, "b"]}', '{"a":[1,"b"]}'),
    ("string", "123456789012345678901234567890", "123456789012345678901234567890"),
    ("date", '"2026-01-31"', date(2026, 1, 31)),
    ("timestamp", '"2026-01-31T12:30:00"', datetime(2026, 1, 31, 12, 30)),  # noqa: DTZ001 a timestamp without zone
    ("timestamp", '"2026-01-31 12:30:00.123456"', datetime(2026, 1, 31, 12, 30, 0, 123456)),  # noqa: DTZ001
    ("timestamp", '"2026-01-31"', datetime(2026, 1, 31)),  # noqa: DTZ001
    ("timestamp", '"2026-01-31T12:30:00.1234560"', datetime(2026, 1, 31, 12, 30, 0, 123456)),  # noqa: DTZ001
    ("time", '"12:30:59.5"', time(12, 30, 59, 500000)),
    ("uuid", '"550e8400-e29b-41d4-a716-446655440000"', UUID("550e8400-e29b-41d4-a716-446655440000")),
    ("binary", '"aGVsbG8="', b"hello"),
    ("decimal(10,2)", "1.25", Decimal("1.25")),
    ("decimal(10,2)", '"1.25"', Decimal("1.25")),
    ("decimal(10,2)", "1.250", Decimal("1.25")),
    ("decimal(10,2)", "1e2", Decimal("100.00")),
    ("decimal(38,0)", "12345678901234567890123456789012345678", Decimal(12345678901234567890123456789012345678)),
    ("decimal(38,18)", "12345678901234.123456789012345678", Decimal("12345678901234.123456789012345678")),
    ("decimal(38,20)", "0.10000000000000000001", Decimal("0.10000000000000000001")),
    ("decimal(38,20)", "0.30000000000000001", Decimal("0.30000000000000001000")),
    ("decimal(38,0)", "1234567890123456789012345678901234567.0e1", Decimal(12345678901234567890123456789012345670)),
    ("array<bigint>", "[1, null, 2]", [1, None, 2]),
    ("array<string>", '["a", 1.10, -0, {"b": 2.50}]', ["a", "1.10", "-0", '{"b":2.50}']),
    ("map<string, string>", '{"a": 1E5, "b": "1E5"}', {"a": "1E5", "b": "1E5"}),
    ("array<struct<a: string, d: double>>", '[{"a": 1.10, "d": 1.10}]', [{"a": "1.10", "d": 1.1}]),
    ("struct<a: string>", '{"a": 1.10}', {"a": "1.10"}),
    ("array<bigint>", "[9007199254740993.0]", [9007199254740993]),
    ("array<string>", '["a", 1, {"b": 2}]', ["a", "1", '{"b":2}']),
    ("array<array<int>>", "[[1], [], [2, 3]]", [[1], [], [2, 3]]),
    ("array<bigint>", "[]", []),
    ("map<string, bigint>", '{"a": 1, "b": null}', {"a": 1, "b": None}),
    ("map<bigint, string>", '{"1": "x"}', {1: "x"}),
    ("map<string, array<int>>", '{"a": [1]}', {"a": [1]}),
    ("map<string, bigint>", "{}", {}),
    (
        "array<struct<a: int, b: string>>",
        '[{"a": 1, "b": "x"}, {"b": "y"}]',
        [{"a": 1, "b": "x"}, {"a": None, "b": "y"}],
    ),
    ("struct<a: struct<b: date>>", '{"a": {"b": "2026-01-31"}}', {"a": {"b": date(2026, 1, 31)}}),
]
MISFITS = [
    *(
        (kind, f'"{text}\\n"')
        for kind, text in (  # no line end behind a value
            ("uuid", "01234567-89ab-cdef-0123-456789abcdef"),
            ("date", "2026-01-31"),
            ("binary", "aGVsbG8="),
            ("timestamp", "2026-01-31 10:00:00"),
            ("timestamptz", "2026-01-31T10:00:00Z"),
            ("decimal(10,2)", "1.25"),
        )
    ),
    ("int", "1e-2147483648"),
    ("decimal(10,2)", "1e2147483647"),
    ("int", "2147483648"),
    ("int", "1.5"),
    ("int", "true"),
    ("int", '"1"'),
    ("bigint", "9223372036854775808"),
    ("bigint", "123456789012345678901234567890"),
    ("bigint", "1e-7"),
    ("bigint", "NaN"),
    ("bigint", "[1]"),
    ("double", '"1.5"'),
    ("double", "true"),
    ("double", "1e400"),
    ("float", "1e39"),
    ("boolean", "1"),
    ("boolean", '"true"'),
    ("date", '"2026-02-30"'),
    ("date", '"31.01.2026"'),
    ("date", '"2026-01-31T10:00:00"'),
    ("date", "20260131"),
    ("timestamp", '"2026-01-31T12:30:00Z"'),
    ("timestamp", '"2026-01-31T12:30:00-02:00"'),
    ("timestamp", '"2026-01-31 12:30:00 Europe/Berlin"'),
    ("timestamp", '"2026-01-31 12:30:00 UTC"'),
    ("timestamp", '"2026-01-31T12:30:00.1234567"'),
    ("timestamp", '"infinity"'),
    ("timestamptz", '"2026-01-31 12:30:00 CET"'),
    ("timestamptz", '"2026-01-31T12:30:00+25:00"'),
    ("time", '"24:00:00"'),
    ("time", '"12:30:00.1234567"'),
    ("binary", "1234"),
    ("binary", "true"),
    ("binary", '"aGVsbG9="'),
    ("decimal(10,2)", '"1_000"'),
    ("decimal(10,2)", '" 1"'),
    ("decimal(38,0)", "1e-400"),
    ("bigint", "9223372036854775807.5"),
    ("bigint", "9223372036854775808.0"),
    ("map<bigint, string>", '{"1_0": "x"}'),
    ("map<bigint, string>", '{"1.5": "x"}'),
    ("timestamptz", '"yesterday"'),
    ("timestamptz", '"0001-01-01T00:00:00+02:00"'),
    ("timestamptz", '"9999-12-31T23:00:00-02:00"'),
    ("timestamptz", "1700000000"),
    ("time", '"2026-01-31"'),
    ("uuid", '"550e8400"'),
    ("binary", '"no base64!"'),
    ("decimal(10,2)", "1.255"),
    ("decimal(10,2)", "123456789.5"),
    ("decimal(10,2)", "true"),
    ("decimal(38,18)", "0.1234567890123456789"),
    ("array<bigint>", '[1, "x"]'),
    ("array<bigint>", '{"a": 1}'),
    ("array<bigint>", "1"),
    ("map<string, bigint>", '{"a": "x"}'),
    ("map<string, bigint>", '{"a": 1, "a": 2}'),
    ("map<bigint, string>", '{"x": "y"}'),
    ("array<struct<a: int>>", '[{"a": 1}, {"a": "x"}]'),
    ("array<struct<a: int>>", '[{"a": 1}, 5]'),
    ("struct<a: int>", "5"),
    ("struct<a: int>", "[1]"),
]


def same(left: object, right: object) -> bool:
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right and type(left) is type(right)


@pytest.fixture
def load(sandbox, tmp_path):
    def run(text: str, schema: str, **changes):
        path = tmp_path / "values.jsonl"
        path.write_text(text, encoding="utf-8")
        return parse(sandbox, path, schema, tmp_path, **changes)

    return run


def test_values_that_fit_are_loaded_and_nothing_is_rescued(load):
    schema = ", ".join(f"c{i} {kind}" for i, (kind, _, _) in enumerate(FITS))
    record = ", ".join(f'"c{i}": {text}' for i, (_, text, _) in enumerate(FITS))
    [row] = load("{" + record + "}\n", schema).rows()
    assert row[-1] is None
    wrong = [(case, found) for case, found in zip(FITS, row, strict=False) if not same(found, case[2])]
    assert wrong == []


def test_values_that_do_not_fit_are_null_and_rescued_under_their_column(load):
    schema = ", ".join(f"c{i} {kind}" for i, (kind, _) in enumerate(MISFITS))
    record = ", ".join(f'"c{i}": {text}' for i, (_, text) in enumerate(MISFITS))
    [row] = load("{" + record + "}\n", schema).rows()
    loaded = [(case, found) for case, found in zip(MISFITS, row, strict=False) if found is not None]
    assert loaded == []
    kept = json.loads(row[-1], parse_float=str, object_pairs_hook=lambda pairs: pairs)
    assert [name for name, _ in kept] == [f"c{i}" for i in range(len(MISFITS))]


def test_rescued_values_are_the_json_that_came(load):
    [(rescued,)] = load('{"a": "x", "b": [1, {"c": null}], "d": 9223372036854775808}', "a int, b int, d bigint").rows(
        "_rescued_data"
    )
    assert rescued == '{"a":"x","b":[1,{"c":null}],"d":9223372036854775808}'


def test_rescued_numbers_are_written_as_they_came(load):
    text = (
        '{"a": 1.10, "n": {"x": 1E5, "y": -0, "z": [12345678901234567890.50]}, "m": {"k": "1.10", "l": 1.10}, "id": 1}'
    )
    [(rescued,)] = load(text, "id bigint, a boolean, n struct<x: int, y: string>").rows("_rescued_data")
    assert rescued == '{"m":{"k":"1.10","l":1.10},"a":1.10,"n.z":[12345678901234567890.50]}'


def test_rescued_nan_and_infinity_are_text_so_that_what_is_rescued_is_json(load):
    text = '{"a": NaN, "n": [-Infinity, {"k": nan}], "s": "NaN, -Infinity"}'
    [(rescued,)] = load(text, "a bigint").rows("_rescued_data")
    assert rescued == '{"n":["-Infinity",{"k":"nan"}],"s":"NaN, -Infinity","a":"NaN"}'


def test_a_timestamp_with_zone_is_an_instant_and_without_zone_is_utc(load):
    parsed = load('{"a": "2026-01-31T12:00:00+02:00", "b": "2026-01-31T12:00:00"}', "a timestamptz, b timestamptz")
    [row] = parsed.rows("epoch(a), epoch(b), _rescued_data")
    assert row == (
        datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp(),
        datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp(),
        None,
    )


def test_formats_of_dates_and_timestamps_can_be_given(load):
    parsed = load(
        '{"d": "31.01.2026", "t": "31/01/2026 12:30"}\n{"d": "2026-01-31", "t": "2026-01-31T12:30:00"}\n',
        "d date, t timestamp",
        options={"date_format": "%d.%m.%Y", "timestamp_format": "%d/%m/%Y %H:%M"},
    )
    assert parsed.rows("d, t, _rescued_data IS NULL") == [
        (date(2026, 1, 31), datetime(2026, 1, 31, 12, 30), True),  # noqa: DTZ001 a timestamp without zone
        (None, None, False),
    ]


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        ("timestamp", {"timestamp_format": "%Y-%m-%d %H:%M %z"}, "2026-01-31 12:00 +0200"),
        ("timestamp", {"timestamp_format": "%Y-%m-%d %H:%M:%S.%n"}, "2026-01-31 12:00:00.123456789"),
        ("timestamp", {"timestamp_format": "%Y-%m-%d"}, "infinity"),
        ("date", {"date_format": "%Y-%m-%d %H:%M"}, "2026-01-31 12:00"),
        ("date", {"date_format": "%Y-%m-%d"}, "epoch"),
    ],
)
def test_what_a_format_reads_and_the_column_cannot_hold_is_rescued(load, kind, options, text):
    parsed = load(json.dumps({"t": text}), f"t {kind}", options=options)
    assert parsed.rows() == [(None, json.dumps({"t": text}, separators=(",", ":")))]


def test_keys_are_matched_exactly_and_none_is_lost(load):
    text = (
        '{"id": 1, "ID": 2, "Id": 3}\n'
        '{"id": 4, "id": 5}\n'
        '{"id": 6, "new": {"a": 1}, "null": null}\n'
        '{"new": 7, "new": 8}'
    )
    assert load(text, "id bigint").rows("id, _rescued_data") == [
        (1, '{"ID":2,"Id":3}'),
        (4, '{"id":5}'),
        (6, '{"new":{"a":1}}'),
        (None, '{"new":7,"new":8}'),
    ]


@pytest.mark.parametrize(
    "line",
    [
        '{"id":1,"zz" :5}',
        '{"id":1,"zz"\t:5}',
        '{"id" : 1,"zz":5}',
        '{"id":1, "zz":5, "name":null}',
        '{"name":"\\":","zz":5,"id":1}',
        '{"\\u0069d":1,"zz":5}',
        '{"name":null,"id":1,"zz":5}',
    ],
)
def test_an_unknown_key_is_found_however_the_line_is_written(load, line):
    [(identity, rescued)] = load(line, "id bigint, name string").rows("id, _rescued_data")
    assert (identity, rescued) == (1, '{"zz":5}')


def test_members_of_structs_are_rescued_by_their_path(load):
    text = '{"n": {"x": "q", "y": 2, "m": {"z": 1, "w": []}}}\n{"n": null}\n{"n": {}}\n{"n": {"x": 1, "x": 2}}\n'
    rows = load(text, "n struct<x: int, m: struct<z: int>>").rows("n.x, n.m.z, n IS NULL, _rescued_data")
    assert rows == [
        (1, None, False, '{"n.x":2}'),
        (None, 1, False, '{"n.y":2,"n.x":"q","n.m.w":[]}'),
        (None, None, False, None),
        (None, None, True, None),
    ]


def test_objects_inside_arrays_keep_what_fits_and_the_whole_is_rescued(load):
    text = '{"a": [{"x": 1, "new": 2}, {"x": 3}], "m": {"k": {"x": 1, "more": true}}}'
    [row] = load(text, "a array<struct<x: int>>, m map<string, struct<x: int>>").rows()
    assert row[:2] == ([{"x": 1}, {"x": 3}], {"k": {"x": 1}})
    assert json.loads(row[2]) == {"a": [{"x": 1, "new": 2}, {"x": 3}], "m": {"k": {"x": 1, "more": True}}}


def test_columns_with_odd_names_are_found(load):
    schema = (
        "`a b` bigint, `it's` bigint, `q\"q` bigint, `a/b~c` bigint, `a.b` struct<`x/y`: int>, `ü` bigint,"
        " file bigint, x bigint"
    )
    record = {"a b": 1, "it's": 2, 'q"q': 3, "a/b~c": 4, "a.b": {"x/y": 5}, "ü": 6, "file": 7, "x": "bad"}
    [row] = load(json.dumps(record), schema).rows()
    assert row == (1, 2, 3, 4, {"x/y": 5}, 6, 7, None, '{"x":"bad"}')


def test_a_required_column_without_a_value_rejects_the_record(load):
    parsed = load('{"id": 1}\n{"id": null}\n{"name": "x"}\n{"id": "y"}\n', "id bigint not null, name string")
    assert parsed.rows("id") == [(1,)]
    assert [reason.split(":")[0] for (reason,) in parsed.rejects("reason")] == ["null-in-required"] * 3


class TestWithoutARescuedColumn:
    def test_what_would_be_rescued_is_rejected(self, load):
        parsed = load('{"id": 1}\n{"id": "x"}\n{"id": 2, "new": 3}\nbad\n', "id bigint", rescued=False)
        assert parsed.rows() == [(1,)]
        assert parsed.rejects("line, reason, raw") == [
            (2, 'does-not-fit: {"id":"x"}', '{"id": "x"}'),
            (3, 'does-not-fit: {"new":3}', '{"id": 2, "new": 3}'),
            (4, "malformed: the record is not valid JSON", "bad"),
        ]

    def test_new_columns_are_found_all_the_same(self, load):
        parsed = load('{"id": 1, "new": 3}\n', "id bigint", rescued=False, unknown="add")
        assert [(str(new.column), new.parent) for new in parsed.result.new_columns] == [("new bigint", ())]


class TestNewColumns:
    def test_are_reported_with_type_file_example_and_parent(self, load):
        text = (
            '{"id": 1, "a": 1, "n": {"x": 1, "y": true}}\n'
            '{"a": 2.5, "t": "2026-01-31T10:00:00Z", "l": [{"k": 1, "new": "d"}], "o": {"p": [1], "q": null}}\n'
            '{"only_null": null, "ID": 5, "b": "x"}\n'
            '{"b": 5}'
        )
        parsed = load(text, "id bigint, n struct<x: int>, l array<struct<k: int>>", unknown="add")
        found = {(new.parent, str(new.column)): new.example for new in parsed.result.new_columns}
        assert found == {
            ((), "a double"): found[(), "a double"],
            ((), "b string"): found[(), "b string"],
            ((), "t timestamptz"): '"2026-01-31T10:00:00Z"',
            ((), "o struct<p: array<bigint>, q: string>"): '{"p": [1], "q": null}',
            (("n",), "y boolean"): "true",
            (("l", "element"), "new string"): '"d"',
        }
        assert found[(), "a double"] in {"1", "2.5"}
        assert {new.file_id for new in parsed.result.new_columns} == {1}

    def test_that_differ_only_in_case_are_reported_with_the_records_that_have_each(self, load):
        usual = ['{"id": 1, "name": "n", "s": {"k": 1}}'] * 600
        text = "\n".join([*usual, '{"id": 2, "Name": "n", "s": {"K": 1}}', '{"Name": null, "n": {"a": 1}}'])
        parsed = load(text, "id bigint, s struct<x: int>", unknown="add")
        assert {(new.parent, new.column.name): new.records for new in parsed.result.new_columns} == {
            ((), "Name"): 1,
            ((), "name"): 600,
            ((), "n"): 1,
            (("s",), "K"): 1,
            (("s",), "k"): 600,
        }

    def test_have_of_members_that_differ_only_in_case_the_one_of_most_records(self, load):
        text = "\n".join(['{"o": {"K": 1}}', *['{"o": {"k": 1}}'] * 3, '{"o": {"K": 1}}'])
        parsed = load(text, "id bigint", unknown="add")
        assert [str(new.column) for new in parsed.result.new_columns] == ["o struct<k: bigint>"]

    def test_inside_lists_and_maps_are_counted_by_records_not_by_elements(self, load):
        slip = {"l": [{"X": 1}] * 5, "m": {f"k{number}": {"Y": 1} for number in range(5)}}
        usual = {"l": [{"x": 1}], "m": {"k": {"y": 1}}}
        text = "\n".join(map(json.dumps, [slip, usual, usual, usual]))
        parsed = load(text, "l array<struct<a: int>>, m map<string, struct<a: int>>", unknown="add")
        assert {(new.parent, new.column.name): new.records for new in parsed.result.new_columns} == {
            (("l", "element"), "X"): 1,
            (("l", "element"), "x"): 3,
            (("m", "value"), "Y"): 1,
            (("m", "value"), "y"): 3,
        }

    def test_that_are_lists_have_the_members_of_most_records_not_of_most_elements(self, load):
        text = "\n".join(map(json.dumps, [{"l": [{"X": 1}] * 5}, *[{"l": [{"x": 1}]}] * 3]))
        parsed = load(text, "id bigint", unknown="add")
        assert [str(new.column) for new in parsed.result.new_columns] == ["l array<struct<x: bigint>>"]

    def test_of_numbers_and_nan_are_doubles(self, load):
        text = '{"a": NaN}\n{"a": 1.5}\n{"b": Infinity}\n{"c": "NaN"}\n{"c": "x"}'
        parsed = load(text, "id bigint", unknown="add")
        assert [str(new.column) for new in parsed.result.new_columns] == ["a double", "b double", "c string"]

    @pytest.mark.parametrize("depth", [900, 100_000])
    @pytest.mark.parametrize("schema", ["id bigint", "id bigint, a bigint", "id bigint, a struct<b: int>"])
    def test_a_value_nested_without_end_costs_no_other_record(self, load, depth, schema):
        deep = '{"b":' * depth + "1.10" + "}" * depth
        text = f'{{"id": 1}}\n{{"id": 2, "a": {deep}}}\n{{"id": 3}}'
        parsed = load(text, schema, unknown="add")
        assert parsed.rows("id") == [(1,), (2,), (3,)]
        assert [str(new.column) for new in parsed.result.new_columns] == (["a string"] if schema == "id bigint" else [])
        [(rescued,)] = parsed.rows("_rescued_data", "_rescued_data IS NOT NULL")
        assert "1.10" in rescued

    def test_are_not_reported_when_they_are_to_be_rescued(self, load):
        parsed = load('{"id": 1, "a": 1}', "id bigint", unknown="rescue")
        assert parsed.result.new_columns == ()
        assert parsed.rows("_rescued_data") == [('{"a":1}',)]

    def test_once_added_leave_nothing_to_report(self, load):
        text = '{"id": 1, "a": [{"b": {"c": 1}}], "d.e": 1, "m": {"k": "2026-01-31"}}'
        first = load(text, "id bigint", unknown="add").result.new_columns
        schema = ", ".join(["id bigint", *(str(new.column) for new in first)])
        again = load(text, schema, unknown="add")
        assert again.result.new_columns == ()
        assert again.rows("_rescued_data") == [(None,)]


def test_a_table_without_columns_gets_them_from_the_first_good_file(load):
    parsed = load('{"id": 1}\nbad\n[1]\n{}\n{"n": null}\n', "", unknown="add")

    assert (parsed.state(), parsed.file().rows, parsed.file().rejected) == (("SUCCESS", ""), 3, 2)
    assert [str(new.column) for new in parsed.result.new_columns] == ["id bigint"]
    assert parsed.rows("_rescued_data") == [('{"id":1}',), (None,), (None,)]


class TestSkipFile:
    TEXT = '{"id": 1}\nbad\n{"id": 2}\nbad\n'

    @pytest.mark.parametrize("threshold", ["2", "50%"])
    def test_keeps_a_file_within_the_threshold(self, load, threshold):
        parsed = load(self.TEXT, "id bigint", on_error="skip_file", max_errors=threshold)
        assert (parsed.state(), parsed.file().rows, parsed.file().rejected) == (("SUCCESS", ""), 2, 2)

    def test_keeps_a_file_with_exactly_the_allowed_share(self, load):
        text = '{"id": 1}\n' * 306 + "bad\n" * 69  # 69 of 375 are 18.4 %; as binary fractions a little more
        parsed = load(text, "id bigint", on_error="skip_file", max_errors="18.4%")
        assert (parsed.state(), parsed.file().rejected) == (("SUCCESS", ""), 69)

    @pytest.mark.parametrize("threshold", ["1", "49.9%"])
    def test_leaves_out_a_file_beyond_it_but_keeps_its_rejects(self, load, threshold):
        parsed = load(self.TEXT, "id bigint", on_error="skip_file", max_errors=threshold)
        assert parsed.state() == ("SKIPPED", "too-many-errors")
        assert parsed.rows() == []
        assert parsed.result.data_files == ()
        assert parsed.rejects("line") == [(2,), (4,)]


def test_columns_that_differ_only_in_case_are_refused(load):
    with pytest.raises(InvalidInput, match="columns id and ID differ only in case: no engine") as refused:
        load("{}", "id bigint, ID bigint")
    assert "Spark" not in refused.value.hint


def test_options_of_other_formats_are_refused(load):
    with pytest.raises(InvalidInput, match="delimiter"):
        load("{}", "id bigint", options={"delimiter": ";"})
