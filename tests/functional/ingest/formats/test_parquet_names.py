"""Names of a Parquet file are its own, at any depth: DuckDB renames some, and finds them in any case."""

from __future__ import annotations

import json

import duckdb
import pyarrow as pa
import pytest

from app.ingest.formats.parquet_names import Node, roots
from app.ingest.formats.parquet_types import source_type
from tests.functional.ingest.parsing import infer

PAIR = pa.struct([("Amount", pa.int64()), ("amount", pa.int64())])
ONE = {"Amount": 1, "amount": 5}


@pytest.mark.parametrize(("member", "value"), [("amount", 5), ("Amount", 1)])
@pytest.mark.parametrize("unknown", ["ignore", "rescue"])
def test_of_members_that_differ_in_case_the_one_of_the_exact_name_is_loaded(load, write, member, value, unknown):
    data = {
        "id": [1],
        "o": pa.array([ONE], PAIR),
        "l": pa.array([[ONE, None]], pa.list_(PAIR)),
        "m": pa.array([[("k", ONE)]], pa.map_(pa.string(), PAIR)),
    }
    kind = f"struct<{member} bigint>"
    parsed = load(write(data), schema=f"id bigint, o {kind}, l array<{kind}>, m map<string, {kind}>", unknown=unknown)
    (row,) = parsed.rows()
    if unknown == "ignore":
        assert row == (1, {member: value}, [{member: value}, None], {"k": {member: value}}, None)
    else:
        other = {"amount": "Amount", "Amount": "amount"}[member]
        assert row[:2] == (1, {member: value})
        assert json.loads(row[-1]) == {f"o.{other}": 6 - value, "l": [ONE, None], "m": {"k": ONE}}


def test_members_that_differ_in_case_are_text_with_their_own_names(load, write):
    data = {"o": pa.array([ONE, None], PAIR), "l": pa.array([[[ONE]], None], pa.list_(pa.list_(PAIR)))}
    parsed = load(write(data), schema="o string, l string")
    assert [tuple(json.loads(text) if text else text for text in row[:2]) for row in parsed.rows()] == [
        (ONE, [[ONE]]),
        (None, None),
    ]


def test_a_table_that_has_duckdbs_name_is_not_given_the_members_of_another(load, write):
    data = {"o": pa.array([ONE], PAIR)}
    parsed = load(write(data), schema="o struct<Amount bigint, amount_1 bigint>")
    assert parsed.rows() == [({"Amount": 1, "amount_1": None}, '{"o.amount":5}')]


def test_of_members_that_differ_in_case_a_first_load_makes_one_column(sandbox, load, write, tmp_path):
    path = write({"o": pa.array([ONE], PAIR), "l": pa.array([[ONE]], pa.list_(PAIR))})
    found = infer(sandbox, [path], tmp_path, format="parquet")
    assert str(found.schema) == "o struct<Amount: bigint>, l array<struct<Amount: bigint>>"
    assert json.loads(found.rows[0]["o"]) == ONE
    parsed = load(path, schema="o struct<Amount: bigint>", unknown="add")
    assert parsed.rows() == [({"Amount": 1}, '{"o.amount":5,"l":[{"Amount":1,"amount":5}]}')]
    assert [str(new.column) for new in parsed.result.new_columns] == ["l array<struct<Amount: bigint>>"]


def test_a_column_with_a_dot_in_its_name_is_no_other(load, write):
    both = write({"id": [1], "user.name": ["x"], "user": ["y"]})
    one = write({"id": [2], "user.name": ["z"]}, "b.parquet")
    parsed = load(both, one, schema="id bigint, user string, `user.name` string")
    assert parsed.rows() == [(1, "y", "x", None), (2, None, "z", None)]
    assert load(one, schema="id bigint, user string").rows() == [(2, None, '{"user.name":"z"}')]


def test_rejected_records_have_their_own_names(load, write):
    path = write({"id": pa.array([None], pa.int64()), "a": [1], "A": [2], "o": pa.array([ONE], PAIR)})
    parsed = load(path, schema="id bigint not null, a bigint")
    ((raw,),) = parsed.rejects("raw")
    assert json.loads(raw) == {"id": None, "a": 1, "A": 2, "o": ONE}


def test_the_names_of_a_file_are_those_of_its_schema(tmp_path):
    path = tmp_path / "x.parquet"
    duckdb.sql(f"COPY (SELECT {{'X': 1}} AS o, [1] AS l, MAP {{'k': {{'x': 2}}}} AS m) TO '{path}' (FORMAT parquet)")
    tops = roots(duckdb.connect(), str(path), ["o", "l", "m"])
    assert [(top.name, [child.name for child in top.children]) for top in tops] == [
        ("o", ["X"]), ("l", ["list"]), ("m", ["key_value"]),
    ]  # fmt: skip


def test_where_duckdb_makes_other_columns_their_names_are_its_own(tmp_path):
    path = tmp_path / "x.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS a, 2 AS b) TO '{path}' (FORMAT parquet)")
    assert roots(duckdb.connect(), str(path), ["one"]) == (Node("one"),)


@pytest.mark.parametrize(
    "node",
    [
        Node("l", (Node("list", (Node("element", (Node("X"), Node("x"))),)),)),
        Node("l", (Node("array", (Node("X"), Node("x"))),)),
        Node("l", (Node("X"), Node("x"))),
    ],
)
def test_lists_of_every_layout_have_the_names_of_their_items(node):
    kind = duckdb.sqltype("STRUCT(X BIGINT, x_1 BIGINT)[]")
    (item,) = source_type(kind, node).members
    assert [(one.name, one.slot) for one in item.kind.members] == [("X", "X"), ("x", "x_1")]


@pytest.mark.parametrize("names", [None, "", "abc", "pq"])
def test_where_the_files_schema_is_another_the_names_are_duckdbs(names):
    node = None if names is None else Node("o", tuple(map(Node, names)))
    found = source_type(duckdb.sqltype("STRUCT(X BIGINT, x_1 BIGINT)"), node)
    assert [(one.name, one.slot) for one in found.members] == [("X", "X"), ("x_1", "x_1")]
    assert not found.renamed


@pytest.mark.parametrize(
    ("names", "own"),
    [
        (["a", "a", "a_1"], {"a": 1, "a_1_1": 2, "a_1": 3}),
        (["a_1", "a", "a"], {"a_1": 1, "a": 2, "a_1_1": 3}),
        (["", "", "_1"], {"": 1, "_1_1": 2, "_1": 3}),
        (["a"] * 5, {"a": 1, "a_1": 2, "a_2": 3, "a_3": 4, "a_4": 5}),
    ],
)
def test_no_stand_in_takes_the_name_of_another_member(load, write, names, own):
    members = [pa.array([value]) for value in own.values()]
    whole = pa.StructArray.from_arrays(members, fields=[pa.field(name, pa.int64()) for name in names])
    parsed = load(write({"id": [1], "o": whole}), schema="id int")
    assert parsed.rows() == [(1, json.dumps({"o": own}, separators=(",", ":")))]
    kept = {name: value for name, value in own.items() if name == names[2]}
    if kept and names[2]:
        (row,) = load(write({"o": whole}), schema=f"o struct<{names[2]} bigint>").rows()
        assert row[0] == kept
        rest = {f"o.{name}": value for name, value in own.items() if name not in kept}
        assert json.loads(row[1]) == rest


def test_a_stand_in_is_never_taken_for_a_column(load, write):
    twins = [pa.field("a", pa.int64())] * 2
    whole = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], fields=twins)
    path, schema = write({"o": whole}), "o struct<a bigint, a_1 bigint>"
    assert load(path, schema=schema).rows() == [({"a": 1, "a_1": None}, '{"o.a_1":2}')]
    assert load(path, schema=schema, unknown="ignore").rows() == [({"a": 1, "a_1": None}, None)]


def test_members_of_the_very_same_name_are_all_kept(load, write):
    twins = pa.struct([pa.field("a", pa.int64()), pa.field("a", pa.int64())])
    pair = pa.StructArray.from_arrays([pa.array([None], pa.int64()), pa.array([2])], fields=list(twins))
    lists = pa.ListArray.from_arrays(pa.array([0, 1]), pair)
    path = write({"o": pair, "l": lists})
    parsed = load(path, schema="o struct<a bigint>, l array<struct<a bigint>>")
    assert parsed.rows() == [({"a": None}, None, '{"o.a_1":2,"l":[{"a":null,"a_1":2}]}')]


def test_a_member_without_a_name_is_kept_and_costs_no_other(load, write):
    kind = pa.struct([("", pa.int64()), ("x", pa.int64())])
    parsed = load(write({"o": pa.array([{"": 1, "x": 2}], kind)}), schema="o struct<x int>")
    assert parsed.rows() == [({"x": 2}, '{"o.":1}')]


def test_a_member_without_a_name_that_is_the_only_one_is_told_as_it_is(load, write):
    one = pa.struct([("", pa.int64())])
    path = write({"o": pa.array([{"": 7}], one), "l": pa.array([[{"": 8}]], pa.list_(one))})
    assert load(path, schema="o string").rows() == [('{"":7}', '{"l":[{"":8}]}')]
    assert load(path, schema="o struct<x int>, l array<struct<x int>>").rows() == [
        ({"x": None}, None, '{"o.":7,"l":[{"":8}]}')
    ]


def test_a_column_that_is_called_like_the_row_number_costs_no_rejected_record(load, write):
    path = write({"id": pa.array([1, None], pa.int64()), "File_Row_Number": [7, 8]})
    parsed = load(path, schema="id bigint not null, File_Row_Number bigint")
    assert parsed.rows() == [(1, 7, None)]
    assert parsed.rejects("line, raw") == [(None, '{"id":null,"File_Row_Number":8}')]


def test_keys_of_maps_have_their_own_names(load, write):
    kind = pa.map_(pa.struct([("X", pa.int64()), ("x", pa.int64())]), pa.string())
    parsed = load(write({"m": pa.array([[({"X": 1, "x": 2}, "p")]], kind)}), schema="m string")
    (((text), _),) = parsed.rows()
    assert json.loads(text) == {'{"X":1,"x":2}': "p"}


def test_an_old_list_whose_first_member_looks_like_its_item_has_the_names_of_its_item():
    kind = duckdb.sqltype("STRUCT(X STRUCT(X BIGINT, x_1 BIGINT), x_1 BIGINT)[]")
    node = Node("l", (Node("array", (Node("X", (Node("X"), Node("x"))), Node("x"))),))
    (item,) = source_type(kind, node).members
    first, second = item.kind.members
    assert (first.name, [one.name for one in first.kind.members], second.name) == ("X", ["X", "x"], "x")
