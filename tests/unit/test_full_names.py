"""Full names with dots: two columns, or what is inside one, cannot share one."""

from __future__ import annotations

import pytest

from app.datatypes import Column, TableSchema, array, clash, parse_schema, primitive, struct, without_clashes

CLASHING = {
    "a.b": "a struct<b: int>, `a.b` int",
    "l.element": "`l.element` int, l array<int>",
    "l.element.x": "l array<struct<x: int>>, `l.element.x` int",
    "m.key": "m map<string, int>, `m.key` int",
    "m.value.x": "m map<string, struct<x: int>>, `m.value.x` int",
    "o.a.b": "o struct<a: struct<b: int>, `a.b`: int>",
    "o.x": "o struct<X: int, x: int>",
    "User.Name": "user struct<name: int>, `User.Name` int",
}
SOUND = ["a struct<b: int>, b int, `a.c` int", "`a.b` int, a int", "l array<int>, `l.x` int", "a struct<a: int>"]


@pytest.mark.parametrize("name", CLASHING)
def test_a_full_name_that_stands_for_two_is_named(name):
    assert clash(parse_schema(CLASHING[name])) == name


@pytest.mark.parametrize("schema", SOUND)
def test_names_that_only_look_alike_do_not_clash(schema):
    assert clash(parse_schema(schema)) == ""
    assert without_clashes((), parse_schema(schema)) == parse_schema(schema).columns


@pytest.mark.parametrize("schema", CLASHING.values())
def test_what_is_left_has_no_clash_and_the_first_stays(schema):
    columns = parse_schema(schema).columns
    left = without_clashes((), columns)
    assert left == columns[: len(columns) - 1]
    assert without_clashes(columns[:1] if len(columns) > 1 else (), columns[1:]) == ()


def test_a_column_that_grows_takes_its_own_place_unless_another_has_the_name():
    grown = Column("a", struct(Column("b", primitive("int")), Column("c", primitive("int"))))
    assert without_clashes(parse_schema("a struct<b: int>, x int"), [grown]) == (grown,)
    assert without_clashes(parse_schema("a struct<b: int>, `a.c` int"), [grown]) == ()
    other = Column("l", array(primitive("int")))
    assert without_clashes(TableSchema(), [other, Column("l.element", primitive("int"))]) == (other,)
