"""What becomes of a schema when files bring other columns: widening, adding."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.datatypes import Column, TableSchema, parse_schema, primitive, struct
from app.ingest.evolution import merge_new_columns, told_twins, twins_of
from app.ingest.formats.contract import NewColumn
from app.ingest.formats.widest import widest
from tests.fakes.types import parse_type


def new(text: str, file_id: int = 1, parent: tuple[str, ...] = (), records: int = 1) -> NewColumn:
    return NewColumn(parse_schema(text).columns[0], file_id, "x", parent, records)


def text(columns: tuple[Column, ...]) -> str:
    return str(TableSchema(columns))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("int", "bigint", "bigint"),
        ("bigint", "double", "double"),
        ("int", "float", "double"),
        ("float", "double", "double"),
        ("decimal(10,2)", "decimal(8,4)", "decimal(12,4)"),
        ("int", "decimal(5,2)", "decimal(12,2)"),
        ("bigint", "decimal(38,30)", "string"),
        ("decimal(10,2)", "double", "double"),
        ("date", "timestamp", "timestamp"),
        ("date", "timestamptz", "timestamptz"),
        ("timestamp", "timestamptz", "timestamptz"),
        ("boolean", "int", "string"),
        ("uuid", "string", "string"),
        ("binary", "binary", "binary"),
        ("array<int>", "array<bigint>", "array<bigint>"),
        ("array<int>", "int", "string"),
        ("map<string, int>", "map<string, double>", "map<string, double>"),
        ("struct<a: int, b: string>", "struct<b: int, c: date>", "struct<a: int, b: string, c: date>"),
        ("struct<a: int>", "struct<A: int>", "struct<a: int>"),
    ],
)
def test_the_widest_type_holds_the_values_of_both_whichever_came_first(a, b, expected):
    assert str(widest(parse_type(a), parse_type(b))) == expected
    if not expected.startswith("struct"):
        assert str(widest(parse_type(b), parse_type(a))) == expected


def test_new_columns_come_in_the_order_of_the_files_with_the_type_that_holds_all():
    found = merge_new_columns(
        parse_schema("id bigint"),
        [new("b double", 3), new("a bigint", 2), new("b bigint", 1), new("c date", 3), new("c int", 4)],
    )
    assert text(found) == "b double, a bigint, c string"


def test_a_name_that_differs_only_in_case_is_not_added():
    table = parse_schema("id bigint, home struct<lat: double>")
    offered = [
        new("ID string"),
        new("x int", records=2),
        new("X int"),
        new("LAT int", parent=("home",)),
        new("_file_id int"),
    ]
    assert text(merge_new_columns(table, offered, reserved=["_FILE_ID"])) == "x int"


def test_a_column_is_not_added_whose_full_name_something_has():
    table = parse_schema("id int, user struct<name: string>, `home.city` string, home struct<zip: string>")
    found = [new("`user.name` string"), new("city string", parent=("home",)), new("`user.age` int"), new("fine int")]
    assert text(merge_new_columns(table, found)) == "`user.age` int, fine int"
    found.append(new("street string", parent=("home",)))
    grown = "home struct<zip: string, street: string>"
    assert text(merge_new_columns(table, found)) == f"{grown}, `user.age` int, fine int"


def test_of_two_structs_that_grow_each_keeps_what_the_other_has_not():
    table = parse_schema("a struct<x: int>, `a.b` struct<y: int>")
    found = [
        new("`b.c` int", parent=("a",)),
        new("c int", parent=("a.b",)),
        new("d int", parent=("a.b",)),
    ]
    assert text(merge_new_columns(table, found)) == "a struct<x: int, `b.c`: int>, `a.b` struct<y: int, d: int>"


def test_a_struct_with_members_that_differ_only_in_case_can_grow():
    table = TableSchema((Column("s", struct(Column("X", primitive("int")), Column("x", primitive("int")))),))
    assert text(merge_new_columns(table, [new("y int", parent=("s",))])) == "s struct<X: int, x: int, y: int>"
    table = parse_schema("`a.b` int, A struct<B: int>")
    assert text(merge_new_columns(table, [new("C int", parent=("A",))])) == "A struct<B: int, C: int>"


def test_of_names_that_differ_only_in_case_the_one_of_most_records_is_added_whichever_file_brought_it():
    table = parse_schema("id bigint, home struct<lat: double>")
    offered = [
        new("Name string", 1, records=3),
        new("name string", 2, records=2),
        new("name bigint", 3, records=2),
        new("Lon int", 1, ("home",), records=1),
        new("lon double", 2, ("home",), records=9),
    ]
    assert text(merge_new_columns(table, offered)) == "home struct<lat: double, lon: double>, name string"
    assert twins_of(offered) == told_twins(table, offered)
    assert [(twin.name, twin.records, twin.kept, twin.kept_records) for twin in twins_of(offered)] == [
        ("Name", 3, "name", 4),
        ("home.Lon", 1, "home.lon", 9),
    ]


def test_names_of_which_none_becomes_a_column_are_not_told_as_if_one_did():
    table = parse_schema("id bigint, home struct<lat: double>, _file_id bigint")
    offered = [new("_FILE_ID int"), new("_file_Id int"), new("Lat int", 1, ("home",)), new("LAT int", 1, ("home",))]
    assert len(twins_of(offered)) == 2
    assert told_twins(table, offered) == ()


def test_of_as_many_records_the_first_by_name_is_added():
    offered = [new("name string", 1), new("NAME string", 3), new("Name string", 2)]
    assert text(merge_new_columns(TableSchema(), offered)) == "NAME string"
    assert text(merge_new_columns(TableSchema(), reversed(offered))) == "NAME string"


def test_names_no_table_can_hold_are_not_added():
    offered = [NewColumn(Column(name, parse_type("int")), 1, "1") for name in ("", "  ", "a\0b", "x" * 300)]
    assert merge_new_columns(TableSchema(), offered) == ()


def test_above_the_limit_columns_are_not_added():
    offered = [new(f"c{number} int", number) for number in range(10)]
    assert text(merge_new_columns(parse_schema("id bigint, name string"), offered, max_columns=4)) == "c0 int, c1 int"


def test_a_new_member_comes_with_the_whole_column_and_keeps_the_ids_of_the_others():
    home = Column(
        "home",
        replace(parse_type("struct<lat: double>"), fields=(Column("lat", parse_type("double"), field_id=3),)),
        field_id=2,
    )
    table = TableSchema((home,))
    found = merge_new_columns(
        table,
        [
            new("zip bigint", parent=("home",)),
            new("zip string", 2, parent=("home",)),
            new("lon double", 3, parent=("home",)),
        ],
    )
    assert text(found) == "home struct<lat: double, zip: string, lon: double>"
    assert [member.field_id for member in found[0].type.fields] == [3, None, None]
    assert found[0].field_id == 2


def test_members_are_added_inside_arrays_and_maps_and_deep_structs():
    table = parse_schema("a array<struct<x: struct<y: int>>>, m map<string, struct<p: int>>")
    offered = [
        new("z date", parent=("a", "element", "x")),
        new("q int", parent=("m", "value")),
        new("r int", parent=("nowhere",)),
    ]
    assert text(merge_new_columns(table, offered)) == (
        "a array<struct<x: struct<y: int, z: date>>>, m map<string, struct<p: int, q: int>>"
    )


def test_an_object_without_members_becomes_a_string():
    empty = NewColumn(Column("o", replace(parse_type("int"), name="struct")), 1, "{}")
    assert text(merge_new_columns(TableSchema(), [empty])) == "o string"
