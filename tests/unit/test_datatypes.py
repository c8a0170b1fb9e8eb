from __future__ import annotations

import json

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.datatypes import (
    PRIMITIVES,
    Column,
    DataType,
    TableSchema,
    array,
    can_be_named,
    decimal,
    duckdb_name,
    duckdb_text,
    duckdb_type,
    mapping,
    parse_schema,
    parse_type,
    primitive,
    quote_name,
    schema_from_json,
    schema_to_json,
    struct,
)
from app.errors import InvalidSchemaText

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
plain = [name for name in PRIMITIVES if name != "decimal"]
decimals = st.integers(1, 38).flatmap(lambda p: st.builds(decimal, st.just(p), st.integers(0, p)))


def columns(kinds: st.SearchStrategy[DataType]) -> st.SearchStrategy[list[Column]]:
    one = st.builds(Column, names, kinds, required=st.booleans())
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda column: column.name)


types = st.recursive(
    st.sampled_from(plain).map(primitive) | decimals,
    lambda kinds: (
        kinds.map(array) | st.builds(mapping, kinds, kinds) | columns(kinds).map(lambda members: struct(*members))
    ),
    max_leaves=6,
)
schemas = columns(types).map(lambda found: TableSchema(tuple(found)))


@given(schemas)
def test_the_readable_form_says_everything(schema):
    assert parse_schema(str(schema)) == schema


@given(types)
def test_a_type_alone_reads_back_too(kind):
    assert parse_type(str(kind)) == kind


@given(schemas)
def test_json_keeps_names_types_and_nullability(schema):
    assert schema_from_json(json.loads(json.dumps(schema_to_json(schema)))) == schema


def test_json_keeps_nested_field_ids():
    item = Column("element", primitive("int"), field_id=3)
    value = Column("value", DataType("array", element=item), field_id=5)
    key = Column("key", primitive("string"), required=True, field_id=4)
    schema = TableSchema((Column("m", DataType("map", key=key, element=value), field_id=1),))

    assert schema_from_json(schema_to_json(schema)) == schema


def test_a_schema_as_people_write_it():
    schema = parse_schema(
        "id bigint not null, at timestamptz, price decimal(10,2), tags array<string>,"
        " home struct<lat: double, lon: double not null>, `odd ``name` map<string, array<int>>"
    )

    assert schema.names == ("id", "at", "price", "tags", "home", "odd `name")
    assert [column.required for column in schema] == [True, False, False, False, False, False]
    assert [str(column.type) for column in schema][2:] == [
        "decimal(10,2)",
        "array<string>",
        "struct<lat: double, lon: double not null>",
        "map<string, array<int>>",
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("LONG", "bigint"),
        ("Integer", "int"),
        ("text", "string"),
        ("numeric(5)", "decimal(5,0)"),
        ("decimal", "decimal(38,18)"),
        ("list<bool>", "array<boolean>"),
        ("timestamp_ntz", "timestamp"),
        ("ARRAY < STRUCT < a : INT > >", "array<struct<a: int>>"),
    ],
)
def test_other_words_for_the_same_type(written, meant):
    assert str(parse_type(written)) == meant


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a name expected at the end"),
        ("id", "a type expected at the end"),
        ("id bigint,", "a name expected at the end"),
        ("id bigint name string", "',' or the end expected before 'name string'"),
        ("id number", "'number' is not a type"),
        ("id array<int", "'>' expected at the end"),
        ("id map<int>", "',' expected before '>'"),
        ("id struct<>", "a name expected before '>'"),
        ("id decimal(0)", "decimal(0,0) is not possible"),
        ("id decimal(39,2)", "decimal(39,2) is not possible"),
        ("id decimal(5,6)", "decimal(5,6) is not possible"),
        ("id decimal(x)", "a number expected before 'x)'"),
        ("id int not empty", "'null' after 'not' expected before 'empty'"),
        ("id int, id string", "The name 'id' stands twice"),
        ("1d int", "a name expected"),
        ("`` int", "a name that is not empty expected before '`` int'"),
        ("id int; drop table x", "expected before '; drop table x'"),
    ],
)
def test_what_does_not_parse_is_told_with_its_place(text, complaint):
    with pytest.raises(InvalidSchemaText) as caught:
        parse_schema(text)
    assert complaint in caught.value.message
    assert caught.value.hint


def test_endless_nesting_is_refused_and_does_not_end_the_process():
    with pytest.raises(InvalidSchemaText, match="100 levels"):
        parse_type("array<" * 50_000)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused_in_our_words(text):
    try:
        schema = parse_schema(text)
    except InvalidSchemaText:
        return
    assert parse_schema(str(schema)) == schema


@settings(max_examples=60)
@given(types)
def test_duckdb_understands_every_type(kind):
    described = duckdb.sql(f"SELECT CAST(NULL AS {duckdb_type(kind)}) AS x").types[0]

    assert str(described).split("(")[0].split("[")[0] != "NULL"


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_a_name_or_a_text_cannot_leave_its_quotes(text):
    relation = duckdb.sql(f"SELECT {duckdb_text(text)} AS {duckdb_name(text)}")

    assert relation.columns == [text]
    assert relation.fetchall() == [(text,)]


@pytest.mark.parametrize(
    ("name", "possible"), [("a", True), ("a b.c`é🦆", True), ("", False), ("a\0b", False), ("\ud800", False)]
)
def test_a_column_has_a_name_that_every_catalog_and_ledger_can_hold(name, possible):
    assert can_be_named(name) is possible


@pytest.mark.parametrize(
    ("name", "quoted"), [("plain_1", "plain_1"), ("1st", "`1st`"), ("a b", "`a b`"), ("a`b", "`a``b`"), ("é", "`é`")]
)
def test_only_odd_names_are_quoted(name, quoted):
    assert quote_name(name) == quoted


def test_columns_are_found_by_their_exact_name():
    schema = parse_schema("a int, A string, b date")

    assert str(schema.find("A")) == "A string"
    assert schema.find("c") is None
    assert schema.without({"a", "b"}).names == ("A",)
    assert len(schema) == 3
