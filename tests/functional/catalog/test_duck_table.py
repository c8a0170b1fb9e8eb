"""SQL over a table: whoever reads its files, DuckDB or the library, the answer is the same."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.types import DoubleType, LongType

from app.catalog import duck_table, read
from app.catalog.open import local_options, open_catalog
from app.datatypes import Column, parse_schema, primitive
from app.errors import CatalogError, InvalidInput

EVERY_TYPE = (
    "a boolean, b int, c bigint, d float, e double, f decimal(20,3), g date, h time, i timestamp, j timestamptz,"
    " k string, l uuid, m binary, n struct<x: int, y: string>, o array<string>, p map<string, int>, `q r``\"'` int"
)
ROW = {
    "a": True,
    "b": -1,
    "c": 2**40,
    "d": 1.5,
    "e": 0.1,
    "f": Decimal("12345678901234567.125"),
    "g": dt.date(2024, 2, 29),
    "h": dt.time(23, 59, 59, 999_999),
    "i": dt.datetime(1969, 12, 31, 23, 0, 0, 1),  # noqa: DTZ001 - a timestamp without a zone
    "j": dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC),
    "k": "é\0🦆",
    "l": UUID("6e44879f-f473-4ad3-ad6f-5f142a7dcba8").bytes,
    "m": b"\x00\xff",
    "n": {"x": 1, "y": None},
    "o": ["a", None],
    "p": [("k", 1)],
    "q r`\"'": 7,
}


@pytest.fixture(params=["files", "stream"])
def way(request, monkeypatch):
    """Who reads: DuckDB where it can, or always the library."""
    if request.param == "stream":
        monkeypatch.setattr(duck_table, "local_files", lambda scan: [])
    return request.param


def files_read_directly(table):
    return duck_table.local_files(table.look().loaded.scan())


def every_row(table, order="1"):
    return read.sql(table.look(), f"SELECT * FROM {table.name.table} ORDER BY {order}").rows


def change(table, *steps):
    """Alter the table as another program does."""
    with table.look().loaded.update_schema() as update:
        for step in steps:
            step(update)


@pytest.mark.usefixtures("way")
def test_a_value_of_every_type_comes_out_as_it_went_in(catalog, writer):
    catalog.create("db.t", parse_schema(EVERY_TYPE))
    table = catalog.table("db.t")
    writer.append(table, [ROW, {}])

    (found, empty) = every_row(table, "k NULLS LAST")

    expected = {**ROW, "l": UUID(bytes=ROW["l"]), "p": {"k": 1}}
    assert dict(zip(table.look().state.schema.names, found, strict=True)) == expected
    assert set(empty) == {None}


def test_a_plain_table_of_this_machine_is_read_by_duckdb_itself(table, writer):
    writer.append(table, [{"id": 1}])
    assert len(files_read_directly(table)) == 1


def test_columns_are_found_by_their_field_ids(table, writer, way):
    writer.append(table, [{"id": 1, "name": "first"}])
    change(table, lambda update: update.rename_column("name", "title"))
    table.add_columns([Column("name", primitive("string"))])
    writer.append(table, [{"id": 2, "title": "second", "name": "other"}])

    assert read.sql(table.look(), "SELECT id, title, name FROM events ORDER BY id").rows == (
        (1, "first", None),
        (2, "second", "other"),
    )
    assert bool(files_read_directly(table)) == (way == "files")


@pytest.mark.usefixtures("way")
def test_a_column_that_was_dropped_and_made_again_is_another_one(table, writer):
    writer.append(table, [{"id": 1, "name": "old"}])
    change(table, lambda update: update.delete_column("name"))
    table.add_columns([Column("name", primitive("string"))])

    assert every_row(table) == ((1, None),)


@pytest.mark.usefixtures("way")
def test_numbers_of_a_widened_column_are_all_there(catalog, writer):
    catalog.create("db.t", parse_schema("n int, x float"))
    table = catalog.table("db.t")
    writer.append(table, [{"n": 1, "x": 0.5}])
    change(
        table,
        lambda update: update.update_column("n", field_type=LongType()),
        lambda update: update.update_column("x", field_type=DoubleType()),
    )
    writer.append(table, [{"n": 2**40, "x": 0.1}])

    assert every_row(table) == ((1, 0.5), (2**40, 0.1))


def test_structs_that_changed_are_left_to_the_library(catalog, writer):
    catalog.create("db.t", parse_schema("id bigint, s struct<a: int, b: int>"))
    table = catalog.table("db.t")
    writer.append(table, [{"id": 1, "s": {"a": 1, "b": 2}}])
    assert files_read_directly(table)
    change(table, lambda update: update.rename_column("s.a", "c"))
    writer.append(table, [{"id": 2, "s": {"c": 3, "b": 4}}])

    assert files_read_directly(table) == []
    assert every_row(table) == ((1, {"c": 1, "b": 2}), (2, {"c": 3, "b": 4}))


def test_files_without_field_ids_make_no_nulls(table, tmp_path):
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"id": pa.array([1], pa.int64()), "name": ["a"]}), path)
    loaded = table.look().loaded
    loaded.add_files([str(path)])  # gives the table a mapping from names to ids

    assert files_read_directly(table) == []
    assert every_row(table) == ((1, "a"),)

    with table.look().loaded.transaction() as transaction:
        transaction.remove_properties("schema.name-mapping.default")
    assert files_read_directly(table)
    with pytest.raises(CatalogError, match=r"field-ids|[Nn]ame [Mm]apping"):
        every_row(table)


def test_rows_that_were_deleted_by_a_delete_file_are_left_to_the_library(table, writer, monkeypatch):
    writer.append(table, [{"id": 1}])
    scan = table.look().loaded.scan()
    (task,) = scan.plan_files()
    task.delete_files.add(task.file)
    monkeypatch.setattr(type(scan), "plan_files", lambda self: [task])

    assert duck_table.local_files(scan) == []


def test_a_path_that_looks_like_a_pattern_is_left_to_the_library(tmp_path, writer):
    with open_catalog("local", local_options(tmp_path / "h[ab]c*")) as catalog:
        catalog.create("db.events", parse_schema("id bigint"))
        table = catalog.table("db.events")
        writer.append(table, [{"id": 1}])

        assert files_read_directly(table) == []
        assert every_row(table) == ((1,),)


@pytest.mark.usefixtures("way")
def test_a_table_without_rows_can_be_asked(table):
    assert read.sql(table.look(), "SELECT count(*), max(id) FROM db.events").rows == ((0, None),)
    assert read.head(table.look(), 5).columns == ("id", "name")


@pytest.mark.usefixtures("way")
def test_a_table_may_stand_twice_in_a_query(table, writer):
    for first in (0, 100):
        writer.append(table, [{"id": first + n} for n in range(100)])

    query = "SELECT count(*) FROM events a JOIN local.db.events b USING (id)"
    assert read.sql(table.look(), query).rows == ((200,),)


@pytest.mark.usefixtures("way")
def test_an_answer_has_as_many_rows_as_were_asked_for_and_says_that_it_went_on(table, writer):
    writer.append(table, [{"id": n} for n in range(10)])
    look = table.look()

    whole, part = (read.sql(look, "FROM events", most=most) for most in (10, 9))
    assert (len(whole.rows), whole.more) == (10, False)
    assert (len(part.rows), part.more) == (9, True)


@pytest.mark.usefixtures("way")
def test_a_data_file_that_somebody_removed_is_the_tables_fault_not_the_querys(table, writer):
    writer.append(table, [{"id": 1}])
    (path,) = files_read_directly(table) or [task.file.file_path for task in table.look().loaded.scan().plan_files()]
    Path(path.removeprefix("file://")).unlink()

    with pytest.raises(CatalogError, match=r"db\.events"):
        read.sql(table.look(), "SELECT sum(id) FROM events")


@pytest.mark.usefixtures("way")
def test_a_mistake_in_a_query_is_told_with_the_columns(table, writer):
    writer.append(table, [{"id": 1}])
    with pytest.raises(InvalidInput, match=r"nme.*not found") as caught:
        read.sql(table.look(), "SELECT nme FROM events")
    assert caught.value.hint == 'Columns: "name", id.'


@pytest.mark.usefixtures("way")
def test_a_query_that_fits_into_no_memory_uses_the_folder_it_is_given(table, writer, tmp_path, monkeypatch):
    monkeypatch.setattr(duck_table, "_MEMORY", "20MB")
    text = "x" * 200
    writer.append(table, [{"id": n, "name": f"{n}{text}"} for n in range(200_000)])
    query = "SELECT count(*) FROM (SELECT DISTINCT name FROM events)"
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    assert read.sql(table.look(), query, scratch=scratch).rows == ((200_000,),)
    with pytest.raises(InvalidInput, match="Out of Memory"):
        read.sql(table.look(), query)


def test_the_first_rows_need_only_the_first_files(table, writer):
    for n in range(3):
        writer.append(table, [{"id": n}, {"id": n}])
    tasks = list(table.look().loaded.scan().plan_files())
    for task in tasks[1:]:
        Path(task.file.file_path.removeprefix("file://")).unlink()

    assert len(read.head(table.look(), 2).rows) == 2
