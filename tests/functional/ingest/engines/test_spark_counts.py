"""The counts of a batch's files on a cluster: by manifests where they tell, by a scan where they do not."""

from __future__ import annotations

from typing import Any

import pytest

from app.catalog import added
from app.ingest.engines.spark_stage import Stage
from tests.functional.spark_loading import FarLoader, SparkLoader

COLUMNS = {"columns": "id bigint, day date"}
ONE = '{"id": 1, "day": "2026-01-01"}\n{"id": "misfit", "day": "2026-01-01"}\n{"id": 3, "day": "2026-01-02"}\n'
OTHER = '{"id": 4, "day": "2026-01-03"}\n'
REJECTED = '{"id": 5, "day": \n'


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


@pytest.fixture
def scans(monkeypatch) -> list[str]:
    made: list[str] = []
    by_scan = Stage._by_scan

    def noted(stage: Stage, snapshot: Any) -> Any:
        made.append(str(stage.table.name))
        return by_scan(stage, snapshot)

    monkeypatch.setattr(Stage, "_by_scan", noted)
    return made


def test_a_file_in_data_files_of_its_own_is_counted_without_a_scan(both, scans):
    both.put("1.jsonl", ONE)
    both.on_spark("alone", columns=COLUMNS)
    assert both.files("alone") == [("1.jsonl", "SUCCESS", 3, 1, 0, "")]
    assert scans == []


def test_a_file_in_several_data_files_is_counted_without_a_scan(both, scans):
    both.put("1.jsonl", ONE)
    both.on_spark("parted", columns=COLUMNS, destination={"partition_by": ["day"]})
    assert both.files("parted") == [("1.jsonl", "SUCCESS", 3, 1, 0, "")]
    assert scans == []


@pytest.mark.parametrize("second", [OTHER, REJECTED])
def test_files_that_share_a_data_file_and_rejected_records_are_counted_by_a_scan(both, scans, second):
    both.put("1.jsonl", ONE)
    both.put("2.jsonl", second)
    both.on_spark("shared", columns=COLUMNS)
    good = (1, 0) if second == OTHER else (0, 1)
    assert [row[2:5] for row in both.files("shared")] == [(3, 1, 0), (good[0], 0, good[1])]
    assert len(scans) == 1


def test_where_the_cluster_alone_reaches_the_catalog_rows_are_counted_by_a_scan(
    sqlite_database, tmp_path, spark_server, scans, monkeypatch
):
    monkeypatch.setattr(added, "rows_by", lambda *_: pytest.fail("asked"))
    far = FarLoader(sqlite_database, tmp_path, spark_server)
    far.put("1.jsonl", ONE)
    far.on_spark("far_counts", columns=COLUMNS)
    assert far.files("far_counts") == [("1.jsonl", "SUCCESS", 3, 1, 0, "")]
    assert len(scans) == 1
