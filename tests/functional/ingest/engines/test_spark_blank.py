"""Rows that hold nothing, where unknown keys are left out: both engines count them, and the run says it."""

from __future__ import annotations

from typing import Any

import pytest

from app.catalog import added
from app.errors import SparkJobFailed
from app.ingest.engines.spark_stage import Stage
from tests.functional.spark_loading import CLUSTER, FarLoader, SparkLoader

COLUMNS = {"columns": "id bigint, s string, o struct<x: int, y: struct<z: string>>", "on_new_columns": "ignore"}
SOUND = '{"id": 1, "more": 2}\n{"s": "x"}\n'
FOREIGN = '{"ID_": 1}\n{"o": {"X": 1, "y": {"q": 1}}}\n{"id": "four"}\n5\n'


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


def notes(loader: SparkLoader, table: str, engine: str) -> list[str]:
    found: list[str] = loader.load(loader.server.table(table), engine=engine, columns=COLUMNS).metrics["notes"]
    return found


@pytest.mark.parametrize("engine", [CLUSTER, "embedded"])
def test_a_run_says_how_many_rows_hold_nothing_and_where_they_came_from(both, engine):
    both.put("1.jsonl", SOUND)
    both.put("2.jsonl", FOREIGN)
    (said,) = notes(both, "some", engine)
    assert said.startswith("2 rows hold nothing (in ")
    assert said.endswith("2.jsonl): what their records have was left out, as on_new_columns is ignore, or is null.")
    assert [row[1:5] for row in both.files("some")] == [("SUCCESS", 2, 0, 0), ("SUCCESS", 3, 1, 1)]


@pytest.mark.parametrize("engine", [CLUSTER, "embedded"])
def test_a_run_says_nothing_where_each_row_holds_something(both, engine):
    both.put("1.jsonl", SOUND)
    assert notes(both, "none", engine) == []


def test_rows_are_not_read_again_where_the_manifests_say_that_a_column_is_never_null(both, monkeypatch):
    read: list[Any] = []
    rows = Stage.rows

    def noted(stage: Stage, snapshot: Any) -> Any:
        read.append(snapshot)
        return rows(stage, snapshot)

    monkeypatch.setattr(Stage, "rows", noted)
    both.put("1.jsonl", '{"id": 1, "more": 2}\n{"id": 2}\n')
    assert notes(both, "full", CLUSTER) == []
    assert read == []
    both.put("2.jsonl", SOUND)
    assert notes(both, "full", CLUSTER) == []
    assert len(read) == 1


def test_they_are_counted_where_the_cluster_alone_reaches_the_catalog(sqlite_database, tmp_path, spark_server):
    far = FarLoader(sqlite_database, tmp_path, spark_server)
    far.put("1.jsonl", FOREIGN)
    (said,) = notes(far, "far_blank", CLUSTER)
    assert said.startswith("2 rows hold nothing")


def test_a_count_that_fails_costs_no_batch(both, monkeypatch):
    def broken(*_: Any) -> Any:
        raise SparkJobFailed("The scan failed.")

    monkeypatch.setattr(added, "filled", broken)
    both.put("1.jsonl", FOREIGN)
    assert notes(both, "uncounted", CLUSTER) == []
    assert [row[1:5] for row in both.files("uncounted")] == [("SUCCESS", 3, 1, 1)]
