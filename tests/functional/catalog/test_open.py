"""Catalogs are opened where the options say, and tables have names, columns and partitions."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from app.catalog import read, rejects
from app.catalog.names import parse_table_name
from app.catalog.open import local_options, open_catalog
from app.datatypes import Column, parse_schema
from app.errors import CatalogUnavailable, InvalidInput, InvalidTableName, TableNotFound
from tests.fakes.types import parse_type

ALL_TYPES = (
    "id bigint, i int, at timestamptz, ts timestamp, n string, u uuid, b binary, d date, f double, fl float, t time,"
    " dec decimal(10,2), m struct<at: timestamp, x: struct<y: int>>, ok boolean, l array<struct<x: int>>,"
    " mp map<string, array<int>>"
)


@pytest.mark.parametrize("name", ["plain", "with space", "hash#mark?", "per%20cent", "umläut ✓", "quote'\"", "a;b,c"])
def test_the_local_catalog_works_below_any_folder(tmp_path, writer, rows, name):
    with open_catalog("local", local_options(tmp_path / name)) as catalog:
        catalog.create("db.t", parse_schema("id bigint, day string"), ["day"])
        table = catalog.table("local.db.t")
        writer.append(table, [{"id": 1, "day": "a/b #?"}, {"id": 2, "day": None}])
        assert [row["id"] for row in rows(table)] == [1, 2]
        assert read.sql(table.look(), "SELECT count(*) FROM t").rows == ((2,),)
    assert (tmp_path / name / "catalog.db").is_file()
    assert list((tmp_path / name / "warehouse" / "db" / "t" / "data").rglob("*.parquet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, "staged"})


def test_the_local_catalog_is_a_file_of_its_own_in_wal_mode(catalog, tmp_path):
    with closing(sqlite3.connect(tmp_path / "home" / "catalog.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def open_and_create(home: Path) -> None:
    with open_catalog("local", local_options(home)) as catalog:
        catalog.create("db.t", parse_schema("id bigint"))


def test_processes_may_make_the_same_catalog_and_table_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=open_and_create, args=(tmp_path / "home",)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]
    with open_catalog("local", local_options(tmp_path / "home")) as catalog:
        assert catalog.library.list_tables("db") == [("db", "t")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"type": "ftp", "uri": "x"}, "ftp"),
        ({"uri": "ftp://x"}, "has no type"),
        ({}, "has no type"),
    ],
)
def test_options_that_cannot_be_are_refused(options, says):
    with pytest.raises(InvalidInput, match=says):
        open_catalog("c", options)


def test_a_database_that_does_not_answer_is_unavailable(tmp_path):
    with pytest.raises(CatalogUnavailable):
        open_catalog("pg", {"uri": "postgresql://nobody@127.0.0.1:1/none", "warehouse": str(tmp_path)})


def test_a_rest_catalog_that_does_not_answer_is_unavailable():
    with pytest.raises(CatalogUnavailable):
        open_catalog("rest", {"type": "rest", "uri": "http://127.0.0.1:1"})


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogUnavailable):
        local_options(tmp_path / "file" / "home")


@pytest.mark.parametrize("name", ["t", "a.b.c.d", "a..b", "a.b;drop", "a.1b", ""])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(InvalidTableName):
        parse_table_name(name)


def test_a_table_of_another_catalog_is_refused(catalog):
    with pytest.raises(InvalidInput):
        catalog.table("prod.db.t")


def test_a_table_that_is_not_there_is_not_found(catalog):
    with pytest.raises(TableNotFound):
        catalog.table("db.none").state()
    assert not catalog.table("db.none").exists()


def test_columns_come_back_as_they_were_given_with_ids_for_all(catalog):
    state = catalog.create("db.all", parse_schema(ALL_TYPES)).state
    assert str(state.schema) == str(parse_schema(ALL_TYPES))
    ids = []
    pending = list(state.schema)
    while pending:
        column = pending.pop()
        ids.append(column.field_id)
        pending += [*column.type.fields, *filter(None, (column.type.element, column.type.key))]
    assert sorted(ids) == list(range(1, len(ids) + 1))


def test_creating_a_table_that_is_there_gives_that_table(catalog, table):
    assert catalog.create("db.events", parse_schema("other string")).state == table.state()


def test_creating_a_table_that_is_there_writes_nothing(catalog, table, tmp_path):
    before = sorted((tmp_path / "home" / "warehouse").rglob("*"))
    for _ in range(3):
        catalog.create("db.events", parse_schema("other string"), ["other"])
        rejects.ensure(catalog, table.name)
    made = [path.name for path in set((tmp_path / "home" / "warehouse").rglob("*.metadata.json")).difference(before)]
    assert len(made) == 1, "the reject table's own"


def test_of_two_that_create_a_table_at_once_both_get_the_same(catalog, monkeypatch):
    real = catalog.library.create_table
    first = []

    def rival_first(*args, **kwargs):
        monkeypatch.setattr(catalog.library, "create_table", real)
        first.append(catalog.create("db.new", parse_schema("id bigint")))
        return real(*args, **kwargs)

    monkeypatch.setattr(catalog.library, "create_table", rival_first)
    assert catalog.create("db.new", parse_schema("id bigint")).state == first[0].state


def test_a_required_column_refuses_rows_without_it(catalog, writer):
    from app.errors import CatalogError

    look = catalog.create("db.strict", parse_schema("id bigint not null"))
    path = writer.folder / "bad.parquet"
    writer.stage(look, [{"id": 1}])
    import pyarrow as pa

    pq.write_table(
        pa.table({"id": [1, None]}, schema=pa.schema([pa.field("id", pa.int64(), metadata={"PARQUET:field_id": "1"})])),
        path,
    )
    from app.catalog.files import land

    with pytest.raises(CatalogError, match="requires"):
        land(look, [path], "x", writer.folder / "cut")


class TestColumnsAreAdded:
    def test_and_old_rows_read_as_null(self, table, writer, rows):
        writer.append(table, [{"id": 1, "name": "a"}])
        table.add_columns([Column("n", parse_type("int"))])
        writer.append(table, [{"id": 2, "name": "b", "n": 7}])
        assert [row["n"] for row in rows(table)] == [None, 7]

    def test_inside_structs_lists_and_maps(self, catalog):
        catalog.create("db.n", parse_schema("m struct<a: int>, l array<struct<x: int>>, p map<string, struct<v: int>>"))
        state = catalog.table("db.n").add_columns(
            [
                Column("m", parse_type("struct<b: struct<c: int>>")),
                Column("l", parse_type("array<struct<y: int>>")),
                Column("p", parse_type("map<string, struct<w: int>>")),
            ]
        )
        assert str(state.schema) == (
            "m struct<a: int, b: struct<c: int>>, l array<struct<x: int, y: int>>,"
            " p map<string, struct<v: int, w: int>>"
        )

    def test_once(self, table):
        first = table.add_columns([Column("n", parse_type("int"))])
        versions = len(table.look().loaded.metadata.schemas)
        assert table.add_columns([Column("n", parse_type("string")), Column("N", parse_type("int"))]) == first
        assert len(table.look().loaded.metadata.schemas) == versions

    def test_by_two_at_once_each_gets_a_field_of_its_own(self, table):
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: table.add_columns([Column(f"c{n}", parse_type("int"))]), range(4)))
        schema = table.state().schema
        assert set(schema.names) == {"id", "name", "c0", "c1", "c2", "c3"}
        assert len({column.field_id for column in schema}) == 6


class TestReading:
    def test_duckdb_polars_and_pyiceberg_agree(self, table, writer, rows, monkeypatch):
        monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
        writer.append(table, [{"id": n, "name": f"n{n}"} for n in range(100)])
        table.add_columns([Column("more", parse_type("double"))])
        writer.append(table, [{"id": n, "name": None, "more": n / 2} for n in range(100, 150)])
        look = table.look()
        ours = rows(table)
        answer = read.sql(look, "SELECT * FROM local.db.events ORDER BY id")
        assert [dict(zip(answer.columns, row, strict=True)) for row in answer.rows] == ours
        frame = pl.scan_iceberg(look.loaded).sort("id").collect()
        assert frame.to_dicts() == ours
        assert len(ours) == 150

    def test_instants_are_answered_as_such_wherever_they_are(self, catalog, writer):
        catalog.create("db.moments", parse_schema("id bigint, at timestamptz, seen array<timestamptz>"))
        table = catalog.table("db.moments")
        noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        writer.append(table, [{"id": 1, "at": noon, "seen": [noon]}, {"id": 2, "at": None, "seen": None}])
        answer = read.sql(table.look(), 'SELECT "at", seen FROM moments ORDER BY id')
        assert answer.rows == ((noon, [noon]), (None, None))

    def test_a_query_reaches_nothing_but_the_table(self, table, writer, tmp_path):
        writer.append(table, [{"id": 1}])
        secret = tmp_path / "secret.csv"
        secret.write_text("a\n1\n")
        look = table.look()
        for query in (
            f"SELECT * FROM read_csv('{secret}')",
            f"COPY events TO '{tmp_path / 'out.csv'}'",
            "SET enable_external_access = true",
            "SELECT 1; SELECT 2",
            "SELECT * FROM look",
            "DROP TABLE events",
            f"ATTACH '{tmp_path / 'x.duckdb'}'",
        ):
            with pytest.raises(InvalidInput):
                read.sql(look, query)
        assert read.sql(look, "SELECT a.id FROM events a JOIN db.events b USING (id)").rows == ((1,),)

    def test_the_head_of_an_older_snapshot(self, table, writer):
        first = writer.append(table, [{"id": 1}])
        writer.append(table, [{"id": 2}, {"id": 3}])
        look = table.look()
        assert read.head(look, 10, first.snapshot_id).rows == ((1, None),)
        assert len(read.head(look, 2).rows) == 2
        from app.errors import NotFound

        with pytest.raises(NotFound):
            read.head(look, 1, 12345)

    def test_the_description(self, catalog, writer):
        catalog.create("db.p", parse_schema("id bigint, at timestamptz"), ["day(at)", "bucket(4, id)"], {"owner": "me"})
        table = catalog.table("db.p")
        empty = read.describe(table.look())
        assert (empty.records, empty.head, empty.partition_by) == (0, None, ("day(at)", "bucket(4, id)"))
        writer.append(table, [{"id": 1}])
        found = read.describe(table.look())
        assert (found.records, found.data_files, found.snapshots) == (1, 1, 1)
        assert found.properties["owner"] == "me"
        assert found.location.endswith("/warehouse/db/p")
