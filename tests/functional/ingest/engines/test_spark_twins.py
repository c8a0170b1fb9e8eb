"""New names that differ only in case, on a cluster: most records choose, as they do on this machine."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.functional.spark_loading import SparkLoader


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


def alike(both: SparkLoader, name: str, columns: str = "id bigint") -> tuple[str, list[str]]:
    """Load by both engines, compare, and answer the schema and what was said of names that get no column."""
    given = {"columns": {"columns": columns}}
    both.on_spark(f"{name}_there", **given)
    said = [note for note in both.notes if "differs only in case" in note]
    both.embedded(f"{name}_here", **given)
    assert [note for note in both.notes if "differs only in case" in note] == said
    assert both.rows(f"{name}_there") == both.rows(f"{name}_here")
    assert both.schema(f"{name}_there") == both.schema(f"{name}_here")
    return both.schema(f"{name}_there"), said


def test_a_slip_in_one_record_of_json_costs_the_others_no_column(both):
    records = [{"id": number, "Name" if number == 7 else "name": "n"} for number in range(1200)]
    both.put("1.jsonl", "\n".join(map(json.dumps, records)))
    schema, said = alike(both, "twin_json")
    assert "name string" in schema
    assert said == ["Name (1 record) gets no column of its own: it differs only in case from name (1,199 records)."]


def test_members_of_a_struct_are_counted_by_their_records_too(both):
    records = [{"id": number, "s": {"x": 1, "Y" if number < 3 else "y": 1}} for number in range(10)]
    both.put("1.jsonl", "\n".join(map(json.dumps, records)))
    schema, said = alike(both, "twin_members", "id bigint, s struct<x: bigint>")
    assert "s struct<x: bigint, y: bigint>" in schema
    assert said == ["s.Y (3 records) gets no column of its own: it differs only in case from s.y (7 records)."]


def test_the_headers_of_csv_files_are_counted_by_their_records(both):
    both.put("1.csv", "id,Name\n1,n\n")
    both.put("2.csv", "id,name\n2,n\n3,n\n")
    schema, said = alike(both, "twin_csv")
    assert "name string" in schema
    assert said == ["Name (1 record) gets no column of its own: it differs only in case from name (2 records)."]


def test_the_columns_of_parquet_files_are_counted_by_their_records(both):
    for number, name, count in ((1, "Name", 1), (2, "name", 2), (3, "name", 2)):
        table = pa.table({"id": list(range(count)), name: ["n"] * count})
        pq.write_table(table, both.put(f"{number}.parquet", b""))
        both.put(f"{number}.parquet", (both.source / f"{number}.parquet").read_bytes())
    schema, said = alike(both, "twin_parquet")
    assert "name string" in schema
    assert said == ["Name (1 record) gets no column of its own: it differs only in case from name (4 records)."]
