"""What is told of a Parquet file as JSON is JSON that everybody takes, whatever the file holds."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pytest

from tests.functional.ingest.parsing import infer


@pytest.fixture
def write(write):
    """With a column `id`, so that no file is one of another table."""

    def run(data: dict[str, object]):
        (rows,) = {len(column) for column in data.values()}
        return write(data if "id" in data else {**data, "id": list(range(rows))})

    return run


def strict(text: str) -> object:
    """What JSON alone takes."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_what_is_no_number_in_json_is_text_at_any_depth(load, write):
    inner = pa.struct([("x", pa.float64()), ("y", pa.float32())])
    value = {"x": float("nan"), "y": float("-inf")}
    told = {"x": "NaN", "y": "-Infinity"}
    data = {
        "id": pa.array([1, None], pa.int64()),
        "l": pa.array([[value, None, {"x": 1.5, "y": None}], None], pa.list_(inner)),
        "m": pa.array([[("k", value)], []], pa.map_(pa.string(), inner)),
        "s": pa.array([value, None], inner),
    }
    path = write(data)
    rows = load(path, schema="id bigint, s string").rows("s, _rescued_data")
    items = [told, None, {"x": 1.5, "y": None}]
    assert [tuple(strict(text) if text else text for text in row) for row in rows] == [
        (told, {"l": items, "m": {"k": told}}),
        (None, {"m": {}}),
    ]
    ((raw,),) = load(path, schema="id bigint not null").rejects("raw")
    assert strict(raw) == {"id": None, "l": None, "m": {}, "s": None}


def test_a_decimal_below_one_has_its_zero(load, write):
    kind = pa.decimal128(18, 18)
    small, below = Decimal("0.000000000000000001"), Decimal("-0.5")
    data = {
        "d": pa.array([small, below], kind),
        "s": pa.array([{"x": below, "t": "a:.5,-.5 NaN"}, None], pa.struct([("x", kind), ("t", pa.string())])),
        "l": pa.array([[small, below], []], pa.list_(kind)),
    }
    rows = sorted(load(write(data), schema="id int").rows("id, _rescued_data"))
    told = [json.loads(text, parse_float=Decimal) for _, text in rows]
    assert told == [
        {"d": small, "s": {"x": below, "t": "a:.5,-.5 NaN"}, "l": [small, below]},
        {"d": below, "l": []},
    ]
    ((text, _),) = load(write({"s": data["s"][:1]}), schema="s string").rows()
    assert json.loads(text, parse_float=Decimal) == told[0]["s"]


def test_texts_that_look_like_such_numbers_stay_as_they_are(load, write):
    kind = pa.struct([("NaN", pa.float64()), ("t", pa.string())])
    texts = ["NaN", '":NaN,', "\\", '\\":.5', "[-Infinity]", "a\nb.5\u2028", "", '"']
    values = [{"NaN": float("nan"), "t": text} for text in texts]
    rows = load(write({"s": pa.array(values, kind)}), schema="id int").rows("_rescued_data")
    told = [json.loads(text)["s"] for (text,) in rows]
    assert sorted(one["t"] for one in told) == sorted(texts)
    assert {one["NaN"] for one in told} == {"NaN"}


@pytest.mark.parametrize("kind", ["id int", "m map<string, float>", "m map<string, decimal(20, 2)>"])
@pytest.mark.parametrize("values", [pa.float64(), pa.int32()])
def test_a_map_that_holds_a_key_twice_is_told_as_it_is(load, write, kind, values):
    path = write({"m": pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), values))})
    ((value, text),) = load(path, schema=kind).rows(f"{kind.split()[0]}, _rescued_data")
    pairs = json.loads(text, object_pairs_hook=list)
    assert (value or None, dict(pairs)["m"]) == (None, [("a", 1), ("a", 2)])


def test_a_map_of_renamed_members_that_holds_a_key_twice_is_told_as_it_is(load, write):
    pair = pa.struct([("X", pa.int64()), ("x", pa.int64())])
    values = [("a", {"X": 1, "x": 2}), ("a", {"X": 3, "x": 4})]
    rows = load(write({"m": pa.array([values, []], pa.map_(pa.string(), pair))}), schema="id int").rows(
        "id, _rescued_data"
    )
    assert sorted(rows) == [(0, '{"m":{"a":{"X":1,"x":2},"a":{"X":3,"x":4}}}'), (1, '{"m":{}}')]


@pytest.mark.parametrize("depth", [3, 12])
@pytest.mark.parametrize("wrap", ["map", "list", "struct"])
def test_deep_values_of_renamed_members_are_told_in_little_time(load, write, wrap, depth):
    kind = pa.struct([("X", pa.decimal128(30, 9)), ("x", pa.decimal128(18, 18))])
    exact, small = Decimal("12345678901234567.123456789"), Decimal("0.500000000000000000")
    value: object = {"X": exact, "x": small}
    told: object = {"X": exact, "x": small}
    for _ in range(depth):
        if wrap == "map":
            kind, value, told = pa.map_(pa.string(), kind), [('k"', value)], {'k"': told}
        elif wrap == "list":
            kind, value, told = pa.list_(kind), [None, value], [None, told]
        else:
            kind = pa.struct([("s", kind), ("t", pa.string())])
            value, told = {"s": value, "t": None}, {"s": told, "t": None}
    ((text, none),) = load(write({"v": pa.array([value], kind)}), schema="v string, id int").rows("v, _rescued_data")
    assert (json.loads(text, parse_float=Decimal), none) == (told, None)
    ((text,),) = load(write({"v": pa.array([value], kind)}), schema="id int").rows("_rescued_data")
    assert json.loads(text, parse_float=Decimal) == {"v": told}


def test_a_rejected_record_has_its_decimals_as_they_are(load, write):
    data = {
        "id": pa.array([1, None]),
        "d": pa.array([Decimal(".5"), Decimal("-.25")], pa.decimal128(18, 18)),
        "e": pa.array([None, Decimal("12345678901234567.123456789")], pa.decimal128(30, 9)),
    }
    parsed = load(write(data), schema="id bigint not null, d decimal(18, 18)")
    assert parsed.rejects("raw") == [('{"id":null,"d":-0.250000000000000000,"e":12345678901234567.123456789}',)]


def test_what_nobody_wants_is_not_told_of_a_value_that_is_rescued(load, write):
    kind = pa.list_(pa.struct([("a", pa.string()), ("b", pa.float64())]))
    path = write({"l": pa.array([[{"a": "x", "b": float("nan")}, None]], kind)})
    ((value, text),) = load(path, schema="l array<struct<a int>>", unknown="ignore").rows()
    assert (value, text) == (None, '{"l":[{"a":"x"},null]}')


@pytest.mark.parametrize("renamed", [False, True])
def test_a_struct_of_thousands_of_members_is_told_in_little_memory(load, write, renamed):
    names = [f"f{number}" for number in range(1500)] + (["F0", "f0_1"] if renamed else [])
    wide = pa.array(
        [dict.fromkeys(names, 0.5), dict.fromkeys(names, float("nan"))], pa.struct([(n, pa.float64()) for n in names])
    )
    rows = sorted(load(write({"s": wide}), schema="id int").rows("id, _rescued_data"))
    told = [json.loads(text)["s"] for _, text in rows]
    assert [set(one.values()) for one in told] == [{0.5}, {"NaN"}]
    assert [list(one) for one in told] == [names] * 2


def test_a_file_for_a_table_without_columns_is_rescued(load, write):
    assert load(write({"id": [1, None]}), schema="").rows() == [('{"id":1}',), (None,)]


def test_a_map_two_of_whose_keys_come_to_one_is_rescued_whole(load, write):
    maps = pa.array([[("1", "a"), ("01", "b")], [("2", "c")], None], pa.map_(pa.string(), pa.string()))
    parsed = load(write({"id": [1, 2, 3], "m": maps}), schema="id bigint, m map<int, string>")
    assert parsed.rows() == [(1, None, '{"m":{"1":"a","01":"b"}}'), (2, {2: "c"}, None), (3, None, None)]


def test_nested_numbers_of_a_sample_are_json(sandbox, tmp_path, write):
    path = write({"s": pa.array([{"x": float("inf")}], pa.struct([("x", pa.float64())]))})
    found = infer(sandbox, [path], tmp_path, format="parquet", sample_rows=1)
    assert found.rows[0]["s"] == '{"x":"Infinity"}'


def test_a_nameless_member_beside_renamed_ones_costs_no_file(load, write):
    kind = pa.struct([("", pa.int64()), ("A", pa.int64()), ("a", pa.int64())])
    value = {"": 5, "A": 1, "a": 2}
    deep = pa.struct([("e", pa.int64()), ("j", pa.struct([("", pa.int64()), ("s", kind)]))])
    outer = {"e": 1, "j": {"": 5, "s": value}}
    path = write({"id": [None, 2], "v": pa.array([value] * 2, kind), "w": pa.array([outer] * 2, deep)})
    told = '"v":{"":5,"A":1,"a":2},"w":{"e":1,"j":{"":5,"s":{"":5,"A":1,"a":2}}}}'
    parsed = load(path, schema="id bigint not null")
    assert (parsed.rows(), parsed.rejects("raw")) == ([(2, "{" + told)], [('{"id":null,' + told,)])
    ((_, inner, text),) = load(path, schema="id bigint not null, w struct<e: bigint>").rows()
    assert (inner, json.loads(text)["w.j"]) == ({"e": 1}, {"": 5, "s": value})


def test_a_column_of_json_is_told_as_it_is_written(load, write):
    def column(*texts: str) -> pa.Array:
        return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts))

    texts = ['{"a":12345678901234567.123456789}', '{"b":[NaN,0.1000]}']
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2]), column(*texts))
    rows = sorted(load(write({"j": column(*texts), "l": lists}), schema="id int, l string").rows())
    whole = ['{"a":12345678901234567.123456789}', '{"b":["NaN",0.1000]}']
    assert rows == [(number, f"[{text}]", f'{{"j":{text}}}') for number, text in enumerate(whole)]


def test_rescued_values_of_one_full_name_have_two_keys(load, write):
    inner = pa.array([{"b": 3}], pa.struct([("b", pa.int64())]))
    ((_, _, text),) = load(write({"v.b": [7], "v": inner}), schema="id int, v struct<c: bigint>").rows()
    assert json.loads(text) == {"v.b": 3, "`v.b`": 7}
