"""Rows go to the partitions that Iceberg's transforms give them, with bounded memory and one file a partition."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.catalog import files, split
from app.catalog.partitions import partition_texts
from app.datatypes import Column, duckdb_name, parse_schema
from app.errors import CatalogError, InvalidInput

COLUMNS = (
    "id bigint, i int, at timestamptz, ts timestamp, n string, u uuid, b binary, d date, f double, t time,"
    " dec decimal(10,2), m struct<at: timestamp, y: int>, ok boolean, l array<struct<x: int>>, p map<string, int>"
)
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def row(n: int) -> dict[str, object]:
    return {
        "id": n,
        "i": n * 7 - 20,
        "at": START + dt.timedelta(hours=n * 5),
        "ts": (START + dt.timedelta(hours=n)).replace(tzinfo=None),
        "n": None if n % 7 == 0 else f"näme{n % 5}",
        "u": UUID(int=n % 11).bytes,
        "b": bytes([n % 3]) * 4,
        "d": dt.date(2026, 1, 1) + dt.timedelta(days=n % 9),
        "f": math.nan if n % 6 == 0 else n / 4,
        "t": dt.time(n % 24, 30),
        "dec": Decimal(n) / 4,
        "m": None if n % 4 == 0 else {"at": dt.datetime(2020 + n % 3, 1 + n % 12, 1), "y": n % 2},  # noqa: DTZ001
        "ok": n % 2 == 0,
        "l": [{"x": n}],
        "p": [("a", n)],
    }


@pytest.mark.parametrize(
    "partition_by",
    [
        ["id"], ["i"], ["at"], ["ts"], ["n"], ["u"], ["b"], ["d"], ["f"], ["t"], ["dec"], ["ok"], ["m.y"],
        ["year(at)"], ["month(d)"], ["day(ts)"], ["hour(at)"], ["months(m.at)"], ["void(n)"],
        ["bucket(4, id)"], ["bucket(3, n)"], ["bucket(3, u)"], ["bucket(3, b)"], ["bucket(3, t)"],
        ["bucket(3, dec)"], ["bucket(3, at)"], ["truncate(3, n)"], ["truncate(10, i)"], ["truncate(5, dec)"],
        ["day(at)", "bucket(2, id)", "n"],
    ],
    ids=", ".join,
)  # fmt: skip
def test_every_row_is_found_again_through_its_partition(catalog, writer, partition_by):
    look = catalog.create("db.t", parse_schema(COLUMNS), partition_by)
    given = [row(n) for n in range(60)]
    landed = files.land(
        look, [writer.stage(look, given[:30]), writer.stage(look, given[30:])], "x", writer.folder / "cut"
    )
    look.append(landed, {})
    look = catalog.table("db.t").look()
    found = look.loaded.scan().to_arrow()
    assert sorted(found["id"].to_pylist()) == list(range(60))
    by_id = {item["id"]: item for item in found.to_pylist()}
    for item in given:
        got = by_id[item["id"]]
        assert got["l"] == item["l"]
        assert got["m"] == item["m"]
        assert got["n"] == item["n"]
    assert {item["id"] for item in look.loaded.scan(row_filter="id >= 50").to_arrow().to_pylist()} == set(range(50, 60))
    july = look.loaded.scan(row_filter="at < '2026-01-03T00:00:00+00:00'").to_arrow().num_rows
    assert july == 10
    assert len({str(file.partition) for file in landed}) == len(landed)
    assert [text.replace("months", "month") for text in partition_by] == list(partition_texts(look.loaded.metadata))
    assert not list((writer.folder / "cut").iterdir())


def test_more_partitions_than_may_be_open_still_give_one_file_each(catalog, writer, monkeypatch):
    monkeypatch.setattr(split, "MOST_OPEN", 3)
    monkeypatch.setattr(split, "BATCH_ROWS", 16)
    look = catalog.create("db.t", parse_schema("id bigint, k int, s string"), ["k", "truncate(1, s)"])
    given = [{"id": n, "k": n % 20, "s": "ab"[n % 2]} for n in range(500)]
    landed = files.land(look, [writer.stage(look, given)], "x", writer.folder / "cut")
    assert len(landed) == 20
    assert all(file.record_count == 25 for file in landed)
    look.append(landed, {})
    found = catalog.table("db.t").look().loaded.scan().to_arrow().to_pylist()
    assert sorted(found, key=lambda item: item["id"]) == given


def test_rows_held_back_stay_below_the_bound(catalog, writer, monkeypatch):
    monkeypatch.setattr(split, "BUFFER_BYTES", 20_000)
    monkeypatch.setattr(split, "BATCH_ROWS", 100)
    seen = []
    real = split._Writers.add

    def watched(self, target, rows):
        real(self, target, rows)
        seen.append(self.held)
        # What is held is what is counted: rows do not keep alive the batch that they were read with.
        held = sum(part.get_total_buffer_size() for parts in self.rows.values() for part in parts)
        assert held <= self.held * 1.5 + 4096

    monkeypatch.setattr(split._Writers, "add", watched)
    look = catalog.create("db.t", parse_schema("id bigint, s string, rare boolean"), ["rare"])
    landed = files.land(
        look,
        [writer.stage(look, [{"id": n, "rare": n % 50 == 0, "s": "x" * 200} for n in range(1000)])],
        "x",
        writer.folder / "cut",
    )
    assert sum(file.record_count for file in landed) == 1000
    assert max(seen) <= 20_000


def test_a_partition_larger_than_a_file_should_be_gets_several(catalog, writer, monkeypatch):
    monkeypatch.setattr(split, "BUFFER_BYTES", 20_000)
    monkeypatch.setattr(split, "BATCH_ROWS", 100)
    properties = {"write.target-file-size-bytes": "3000"}
    look = catalog.create("db.t", parse_schema("id bigint, s string"), ["truncate(1, s)"], properties)
    given = [{"id": n, "s": f"a{n * 7919 % 100_003}"} for n in range(3_000)]
    landed = files.land(look, [writer.stage(look, given)], "x", writer.folder / "cut")
    assert len(landed) > 2
    assert len({file.file_path for file in landed}) == len(landed)
    look.append(landed, {})
    assert sorted(catalog.table("db.t").look().loaded.scan().to_arrow()["id"].to_pylist()) == [*range(3_000)]
    assert sum(file.record_count for file in landed) == 3_000


@pytest.mark.parametrize("partition_by", [[], ["bucket(2, id)"]])
def test_field_ids_and_statistics_are_in_place(catalog, writer, partition_by):
    look = catalog.create("db.t", parse_schema(COLUMNS), partition_by)
    landed = files.land(look, [writer.stage(look, [row(n) for n in range(1, 30)])], "x", writer.folder / "cut")
    names = {column.name: column.field_id for column in look.state.schema}
    for file in landed:
        schema = pq.read_schema(file.file_path.removeprefix("file://"))
        for name, field_id in names.items():
            assert schema.field(name).metadata[b"PARQUET:field_id"] == str(field_id).encode()
        member = schema.field("m").type.field("y").metadata[b"PARQUET:field_id"]
        assert member == str(look.state.schema.find("m").type.fields[1].field_id).encode()
        assert file.record_count == file.value_counts[names["id"]]
        assert {names[name] for name in ("id", "at", "n", "d", "dec", "ok", "u")} <= set(file.lower_bounds)
        assert set(file.lower_bounds) == set(file.upper_bounds)
    nulls = sum(file.null_value_counts[names["n"]] for file in landed)
    assert nulls == len([n for n in range(1, 30) if n % 7 == 0])
    assert sum(file.record_count for file in landed) == 29


def test_files_as_duckdb_writes_them_are_described_and_split(catalog, writer):
    """The parser writes with DuckDB, whose Parquet differs: no list of all types would catch what a file shows."""
    look = catalog.create("db.t", parse_schema(COLUMNS), ["day(at)"])
    path = writer.folder / "by-duckdb.parquet"
    table = pa.Table.from_pylist([row(n) for n in range(40)], schema=pq.read_schema(writer.stage(look, [row(0)])))
    ids = "{" + ", ".join(_ids(column, column.name) for column in look.state.schema) + "}"
    with duckdb.connect() as connection:
        connection.register("given", table)
        connection.execute(f"COPY (FROM given) TO '{path}' (FORMAT parquet, COMPRESSION zstd, FIELD_IDS {ids})")
    landed = files.land(look, [path], "x", writer.folder / "cut")
    look.append(landed, {})
    look = catalog.table("db.t").look()
    assert look.loaded.scan().to_arrow().num_rows == 40
    assert look.loaded.scan(row_filter="f >= 9.5").to_arrow().num_rows == 2


def _ids(column: Column, name: str) -> str:
    kind = column.type
    inner = [_ids(member, member.name) for member in kind.fields]
    inner += [_ids(child, child.name) for child in (kind.key, kind.element) if child]
    if not inner:
        return f"{duckdb_name(name)}: {column.field_id}"
    return f"{duckdb_name(name)}: {{__duckdb_field_id: {column.field_id}, {', '.join(inner)}}}"


def test_bounds_are_never_not_a_number(catalog, writer):
    look = catalog.create("db.t", parse_schema("f double"))
    landed = files.land(
        look, [writer.stage(look, [{"f": math.nan}, {"f": 5.0}, {"f": -1.0}])], "x", writer.folder / "c"
    )
    look.append(landed, {})
    found = catalog.table("db.t").look().loaded.scan(row_filter="f == 5.0").to_arrow()
    assert found["f"].to_pylist() == [5.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nope", "nope"),
        ("day(id)", "bigint|long"),
        ("hour(d)", "date"),
        ("bucket(id)", "number"),
        ("bucket(0, id)", "at least 1"),
        ("day(3, at)", "no number"),
        ("week(at)", "week"),
        ("day(at", "not a partition"),
        ("", "not a partition"),
        ("m", "struct"),
        ("l.element.x", "int"),
        ("bucket(4, ok)", "boolean"),
    ],
)
def test_a_partition_that_cannot_be_is_refused_by_name(catalog, text, says):
    with pytest.raises(InvalidInput, match=says):
        catalog.create("db.t", parse_schema(COLUMNS), [text])
    assert not catalog.table("db.t").exists() if catalog.library.namespace_exists("db") else True


def test_the_same_partition_twice_is_refused(catalog):
    with pytest.raises(InvalidInput, match="twice"):
        catalog.create("db.t", parse_schema("id bigint"), ["id", "id"])


def test_a_file_with_columns_of_nobody_is_refused(catalog, writer):
    look = catalog.create("db.t", parse_schema("id bigint"))
    path = writer.folder / "foreign.parquet"
    writer.folder.mkdir()
    schema = pa.schema([pa.field("x", pa.int64(), metadata={"PARQUET:field_id": "99"})])
    pq.write_table(pa.table({"x": [1]}, schema=schema), path)
    with pytest.raises(CatalogError, match="x"):
        files.land(look, [path], "x", writer.folder / "cut")


@pytest.mark.parametrize(
    ("properties", "below"),
    [
        ({}, "/warehouse/db/t/data/"),
        ({"write.data.path": "{home}/elsewhere"}, "/elsewhere/"),
        ({"write.object-storage.enabled": "true"}, "/warehouse/db/t/data/"),
    ],
)
def test_data_lies_where_the_table_says(catalog, writer, tmp_path: Path, properties, below):
    filled = {key: value.format(home=f"file://{tmp_path}") for key, value in properties.items()}
    look = catalog.create("db.t", parse_schema("id bigint"), properties=filled)
    (landed,) = files.land(look, [writer.stage(look, [{"id": 1}])], "name-of-attempt", writer.folder / "cut")
    assert below in landed.file_path
    assert landed.file_path.endswith("name-of-attempt-00000.parquet")
    assert Path(landed.file_path.removeprefix("file://")).stat().st_size == landed.file_size_in_bytes


def test_when_landing_fails_what_was_moved_is_removed(catalog, writer, monkeypatch, tmp_path):
    look = catalog.create("db.t", parse_schema("id bigint"))
    staged = [writer.stage(look, [{"id": n}]) for n in range(3)]
    real = files._one
    calls = []

    def third_fails(io, source, location):
        calls.append(location)
        if len(calls) == 3:
            message = "no space left on device"
            raise OSError(28, message)
        real(io, source, location)

    monkeypatch.setattr(files, "_one", third_fails)
    from app.errors import CatalogUnavailable

    with pytest.raises(CatalogUnavailable):
        files.land(look, staged, "x", writer.folder / "cut")
    assert not list((tmp_path / "home" / "warehouse").rglob("*.parquet"))


def test_across_file_systems_files_are_copied_whole(catalog, writer, rows, monkeypatch):
    import errno

    real = Path.replace

    def other_device(self, target):
        if self.name.startswith("staged-"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", other_device)
    catalog.create("db.t", parse_schema("id bigint"))
    table = catalog.table("db.t")
    writer.append(table, [{"id": 1}])
    assert [item["id"] for item in rows(table)] == [1]
    assert not list(writer.folder.glob("*.parquet"))
