"""The quick way changes nothing but time: with it and without it the same rows come out of a cluster."""

from __future__ import annotations

import random

import pytest

from app.datatypes import parse_schema
from app.ingest.engines.spark_frames import through
from app.ingest.formats.spark.json_records import IS_RECORD, RecordLayers
from app.ingest.formats.spark.json_values import TaggedValues
from app.ingest.formats.spark.quick_records import CLEAN, QuickRecords
from app.ingest.formats.spark.record_shape import record_shape
from tests.functional.ingest.formats.spark.test_json_records import ODD, shown
from tests.functional.ingest.formats.test_jsonl_against_model import random_line
from tests.functional.ingest.formats.test_quick_json import KINDS, ODD_LINES, ODD_VALUES
from tests.functional.ingest.parsing import LIMITS

SCHEMA = (
    "id bigint, s string, d double, b boolean, n struct<x: int, y: string, z: struct<w: boolean>>, a array<int>,"
    ' t array<string>, at timestamptz, `it"s` string, x int'
)
CLEAN_LINES = [
    '{"id": 1, "s": "x", "d": 1.5, "n": {"x": 1, "y": "s", "z": {"w": true}}, "a": [1, 2], "b": true, "t": ["q"]}',
    '{"id":1,"s":"x\\n\\\\.","d":-2e3,"n":{"x":1,"z":{}},"a":[],"b":false,"at":"2026-01-31T10:00:00Z","t":[]}',
    '{"id":null,"s":null,"d":0,"n":null,"a":null,"b": null,"at":"2026-01-31 10:00:00+02:00"}',
    '{"s":"é 😀 {\\u00e9"}',
    '{"id":1,"s":"a, b [c]: d","it\\"s":"x"}',
    "{}",
]
SLY = [
    "{x}", "{id}", '{"id":null, x}', '{"id":null,}', '{"id":1,"id":2}', '{"id":null,"id":2}', '{"id":2,"id":null}',
    '{"id":1}}', '{"id":1} {}', '{"id":1}{}', '[{"id":1}]', '[{"id":1}],{}', '{"id":1},{"id":2}', '{"s":1.10}',
    '{"s":1.10,"zz":"x"}', '{"s":1.10,"zz":null}', '{"s":1.10,"d":"1"}', '{"s":5,"b":"true"}', '{"s":[1],"id":"1"}',
    '{"s":12,"t":"x\\":"}', '{"s" :1}', '{"s"\t:1}', '{"zz" :1,"id":null}', '{"zz":1,"id":null}', '{"zz":{},"id":null}',
    '{"n":{"id":null},"zz":5}', '{"n":{"id":5}}', '{"n":{"x":null},"zz":5}', '{"x":null,"n":{"x":null},"zz":5}',
    '{"n":{"x":null},"x":1}', '{"n":{"zz":1,"x":null}}', '{"n":{"z":{"w":null,"v":1}}}', '{"zz\\"x":null,"q":1}',
    '{"it\\"s":null}', '{"x\\"id":null,"q":1}', '{"a":[1,"2"]}', '{"a":[1,2.5]}', '{"a":[1,null]}', '{"t":[1.10]}',
    '{"s":["x"]}', '{"s":[1.10,"x"]}', '{"s":[],"d":"1"}', '{"t":[[1.10,"x"]]}', '{"s":{}}', '{"s":[{}]}',
    '{"t":["x",1],"zz":"y"}', '{"t":[null,"x"]}', '{"t":[["x"]]}', '{"d":-0}', '{"d":-0.0}', '{"d":1e400}',
    '{"s":"\\ud800"}', '{"s":"\\uD800\\uDC00"}', '{"s":"\ufffd"}', '{"at":"0001-01-01T00:00+00:01"}', '{"id":1}\r',
    '{"at":"9999-12-31T23:59:59-00:01"}', '{"at":"2026-01-31T10Z"}', '{"at":"2026-01-31T10:00:00 UTC"}', "{'id':1}",
    '{"n":"{}"}', '{"n":"}"}', '{"n":[{"x":1}]}', '{"s":{"n":{"x":1}}}', '{"s":{"x":"y"}}', '{"s":true}', '{"b":"x"}',
    '{"":1}', '{"z":1}', '{"zzz":"x"}', '{"Id":1}', '{"id":1,}', '{"id":01}', '{"id":1e3}', '{"id":1.0}',
    '{"x":2147483648}', '{"at":"2026-01-31T10:00:00Z\\n"}', '{"d":  -0}', '{"id":1e-2147483648}',
]  # fmt: skip


FLAT_SCHEMA = "id bigint, s string, d double, b boolean, at timestamptz, raw binary, `it's` string, x int"
FLAT = [
    '{"id":1,"s":"x","d":1.5,"b":true,"at":"2026-01-31T10:00:00Z","raw":"aGk=","it\'s":"","x":2}',
    '{"id": 1, "s": null, "d": 2, "at": "2026-01-31 10:00:00+02:00", "it\'s": "a: b, c"}',
    '{"s":"12","raw":"1234","x":1}',
    '{"s":"true","id":null}',
]
FLAT_SLY = [
    '{"id":1,"s":5,"zz":7}', '{"id":1,"s":-5,"zz":7}', '{"raw":1234,"zz":1}', '{"raw":true,"zz":1}',
    '{"s":false,"zz":1}',
    '{"s":null,"zz":1,"x":1,"x":2}', '{"id":1,"zz":7}', '{"id":1,"id":2}', '{"id":"1","s":5}', '{"id":1,"s":{},"zz":1}',
    '{"id":1,"s":["x"]}', '{"id":1,"s":[],"zz":1}', '{"s":"a\\\\","zz":1}', '{"s":"a\\\\","it\'s":"b\\\\","zz":1}',
    '{"id":1}}', '{"id":1} 5}', '{"id":1} "x"}', '{"s":"x","zz":null,"x":null,"q":1}', '{"s":"x" ,"zz" :1}',
    '{"at":2026,"zz":1}',
]  # fmt: skip
ORDER = ["id", "s", "zz", "d", "b", "n", "a", "t", "at", 'it"s', "x"]
IGNORED = [
    '{"id":1,"zz":2,"s":"x"}', '{"zz":"a: {b}, [c] \\" \\n","id":1,"ID":2,"n":{"x":1,"zz":{"id":[2]}},"a":[1]}',
    '{"id": 1, "zz": {"id": 5, "s": [1, "2", null]}, "t": ["q"], "zzz": [[1], []], "x": 7}', '{"zz":null}',
    '{"zz":1,"zz":2,"d":1.5,"b":true,"at":"2026-01-31T10:00:00Z","it\\"s":"y","x":1}', '{"i":1,"idd":2,"":3,"é":"ß"}',
    '{"s":"12","zz":1.10}', '{"n":{"zz":[]},"t":[],"zz":[]}',
]  # fmt: skip
IGNORED_SLY = [
    '{"id":1,"zz":2,"id":3}', '{"zz":1,"s":1.10}', '{"zz":{},"s":{}}', '{"zz":1} {}', '{"zz":{}}}',
    '{"zz":{}},{"id":1}', '{"id":1},"zz":{"s":1}}', '{"zz":"\ufffd"}', '{"z\ufffd":1}', '{"zz":"\\ud800"}', '{"zz":1,}',
    '{"zz":01}', '{"zz"}', '{"\\u0069d":1,"id":2}', '{"zz":1,"n":{"x":1,"zz":2,"x":3}}', '{"zz":[1]]}', '{"zz":[}]}',
    '{"zz":1,"t":[1.10]}',
    '{"zz":1,"n":{"y":1.10}}', '{"zz":1,"a":[null]}', '{"zz":1,"d":-0}', '{"zz":NaN}', "{'zz':1}", '{"zz":1}]',
    '{"zz":1,"d":\t-0}', '{"d":\t-0}', '{"d": \t-0,"zz":1}',
    '{"zz":tru}', '{"zz":1 2}', '{"zz":"a""b"}', '{"id":1 "zz":2}', '{"zz":{"a"}}', '{"zz":{"a":1,}}', '{"zz":[,1]}',
]  # fmt: skip
WRAPS = {"{}": "{0}", "struct<m: {}, z: struct<w: {}>>": '{{"m": {0}, "z": {{"w": {0}}}}}', "array<{}>": "[{0}, {0}]"}


def read(session, path, schema, *, quick, key_order=None):
    rows = (
        session.spark.read.format("text").load(str(path)).where(IS_RECORD).selectExpr("value", "1L AS file", "1 AS k")
    )
    records = RecordLayers(parse_schema(schema), LIMITS.max_record_bytes, quick=quick, key_order=key_order)
    layers = records.layers(keep="k")
    return sorted(shown(row) for row in through(layers, rows).collect())


def taken(session, path, schema, *, key_order=None):
    """The lines that the quick way takes."""
    quick = QuickRecords.of(parse_schema(schema), LIMITS.max_record_bytes, TaggedValues(), key_order)
    rows = through(quick.layers(), session.spark.read.format("text").load(str(path)))
    return [row["value"] for row in rows.where(CLEAN).collect()]


def assert_same_both_ways(session, path, schema, lines, *, key_order=None):
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    quick, exact = (read(session, path, schema, quick=quick, key_order=key_order) for quick in (True, False))
    assert quick == exact


def test_clean_records_are_taken_and_no_sly_one_is(session, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join([*CLEAN_LINES, *SLY]), encoding="utf-8", newline="")
    found = taken(session, path, SCHEMA)
    assert set(CLEAN_LINES) <= set(found)
    assert_same_both_ways(session, path, SCHEMA, [*CLEAN_LINES, *SLY, *ODD, *ODD_LINES])


def test_quotes_alone_tell_an_unknown_key_where_no_text_may_have_been_a_number(session, tmp_path):
    lines = [*FLAT, *FLAT_SLY, *CLEAN_LINES, *SLY, *ODD, *ODD_LINES]
    path = tmp_path / "lines.jsonl"
    assert_same_both_ways(session, path, FLAT_SCHEMA, lines)
    found = taken(session, path, FLAT_SCHEMA)
    assert set(FLAT) <= set(found)
    assert not set(FLAT_SLY) & set(found)


@pytest.mark.parametrize("shape", WRAPS)
def test_odd_values_in_every_type_come_out_the_same_both_ways(session, tmp_path, shape):
    kinds = [kind for kind in [*KINDS, "uuid", "binary"] if "array" not in shape or kind in KINDS[:5]]
    if "struct" in shape:  # what it takes grows with the square of their number
        kinds = ["string", "double", "timestamptz"]
    schema = "i bigint, " + ", ".join(f"c{place} {shape.format(kind, kind)}" for place, kind in enumerate(kinds))
    wrap = WRAPS[shape]
    uuids = ['"123E4567-e89b-12d3-a456-426614174000"', '"aGVsbG8="', '"aGVsbG8"', '"123E4567e89b12d3a456426614174000"']
    lines = [
        f'{{"i":{number},"c{place}":{wrap.format(value)}}}'
        for place in range(len(kinds))
        for number, value in enumerate([*ODD_VALUES[place % 4 :: 4], *uuids])
    ]
    path = tmp_path / "values.jsonl"
    assert_same_both_ways(session, path, schema, lines)
    assert len(taken(session, path, schema)) > len(kinds)


def test_random_and_damaged_records_come_out_the_same_both_ways(session, tmp_path):
    rng = random.Random(7)
    characters = [*'{}[]",:\\ \t0-1enul', ""]

    def damaged(line):
        text = list(line)
        for _ in range(rng.randrange(1, 4)):
            text[rng.randrange(len(text))] = rng.choice(characters)
        return "".join(text)

    lines = [damaged(rng.choice(CLEAN_LINES[:3])) for _ in range(800)]
    lines += [random_line(rng) for _ in range(400)]
    assert_same_both_ways(session, tmp_path / "lines.jsonl", SCHEMA, lines)
    lines += [damaged(rng.choice([*IGNORED, *IGNORED_SLY])) for _ in range(1_500)]
    assert_same_both_ways(session, tmp_path / "lines.jsonl", SCHEMA, lines, key_order=ORDER)


def test_records_with_keys_that_are_ignored_are_taken_and_no_sly_one_is(session, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join([*CLEAN_LINES, *SLY, *IGNORED, *IGNORED_SLY]), encoding="utf-8", newline="")
    found = taken(session, path, SCHEMA, key_order=ORDER)
    assert {*CLEAN_LINES, *IGNORED} <= set(found)
    assert not set(IGNORED_SLY) & set(found)
    lines = [*CLEAN_LINES, *SLY, *IGNORED, *IGNORED_SLY, *FLAT, *FLAT_SLY, *ODD, *ODD_LINES]
    for schema in (SCHEMA, FLAT_SCHEMA):
        assert_same_both_ways(session, path, schema, lines, key_order=ORDER)


def test_records_in_an_order_of_their_own_are_taken_where_it_is_known(session, tmp_path):
    lines = ['{"zz":[{"id":1}],"s":"x","yy":"é","id":1}', '{"s":"x"}', '{"d":1.5,"zz":null,"id":2}', '{"xx":1,"s":"y"}']
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    schema = "id bigint, s string, d double"
    assert taken(session, path, schema, key_order=["d", "zz", "s", "yy", "id"]) == lines
    assert taken(session, path, schema, key_order=["id", "s", "d"]) == [lines[1], lines[3]]
    for order in (["d", "zz", "s", "yy", "id"], ["zz"], ["zz", "id", "id", "zz", "s"]):
        assert_same_both_ways(session, path, schema, [*lines, *IGNORED, *IGNORED_SLY, *SLY], key_order=order)


def test_a_record_of_many_keys_that_are_ignored_needs_no_deep_stack(session, tmp_path):
    many = ", ".join(f'"k{number}": "{number}"' for number in range(20_000))
    line = f'{{"id": 1, {many}, "s": "{"x" * 100_000}", "more": [{", ".join(map(str, range(20_000)))}]}}'
    path = tmp_path / "lines.jsonl"
    path.write_text(line)
    assert taken(session, path, SCHEMA, key_order=ORDER) == [line]


def test_blanks_without_end_are_not_tried_again_and_again(session, tmp_path):
    lines = [
        '{"zz":[' + " " * 200_000 + '{"a":{"b":{"c":{"d":1}}}}],"id":1}', "{" + " " * 200_000 + '"id":1,"id":2}',
        '{"id":1' + " " * 200_000 + ',"zz":[[[[]]]]}', '{"zz":[' + "1 , " * 50_000 + '{"a":[[1]]}],"s":"x"}',
    ]  # fmt: skip
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(lines))
    assert taken(session, path, SCHEMA, key_order=ORDER) == []


def test_an_expression_has_a_bound_however_many_keys_there_are():
    texts = frozenset({"string"})
    for columns, others in ((1, 0), (8, 190), (30, 30), (100, 50), (190, 0), (20, 170)):
        schema = parse_schema(", ".join(f"c{number} string" for number in range(columns)))
        order = [f"{number}".rjust(60, "k") for number in range(others)]
        assert 0 < len(record_shape(schema.columns, texts, order)) <= 24 * 1024 + 4
    assert record_shape(parse_schema("a string").columns, texts, ["\ud800", "a"])


def test_a_column_with_a_replacement_character_in_its_name_goes_the_exact_way():
    for schema in ("`a\ufffd` int, s string", "s string, o struct<`\ufffd`: int>"):
        assert QuickRecords.of(parse_schema(schema), 100, TaggedValues()) is None


def test_a_table_of_many_columns_is_read_without_an_expression_of_their_order(session, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.formats.spark.record_shape._MOST", 2)
    schema, path = "a int, b string, c int", tmp_path / "lines.jsonl"
    assert record_shape(parse_schema(schema).columns, frozenset({"string"}), ["a"]) == ""
    assert_same_both_ways(session, path, schema, ['{"a":1}', '{"b":"x","more":3}'], key_order=["a"])
    assert taken(session, path, schema, key_order=["a"]) == ['{"a":1}']


def test_a_schema_with_a_type_that_is_not_proved_goes_the_exact_way():
    for kind in (
        "float",
        "decimal(10,2)",
        "map<string, int>",
        "array<struct<m: int>>",
        "array<date>",
        "array<array<int>>",
    ):
        assert QuickRecords.of(parse_schema(f"x {kind}, y int"), 100, TaggedValues()) is None
