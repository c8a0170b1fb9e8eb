"""`engine: auto`: small batches embedded, large ones on the cluster, into one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from app.errors import InvalidInput
from app.services.cluster_service import ClusterService
from app.services.estimate_service import EstimateService
from app.services.ingestion_service import IngestionService
from app.services.run_view_service import RunViewService
from app.values import RunState
from tests.functional.spark_loading import CLUSTER, SparkLoader

AUTO = {"engine": "auto", "cluster": CLUSTER, "columns": {"columns": "id bigint"}}
BY_SIZE = {"policies": {"batch_max_files": 1, "embedded_max_bytes": 200}}
SMALL, LARGE = 1, 50


@pytest.fixture
def both(sqlite_database, tmp_path: Path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


def put(both: SparkLoader, name: str, rows: int) -> None:
    both.put(f"{name}.jsonl", "".join(json.dumps({"id": number}) + "\n" for number in range(rows)))


def load(both: SparkLoader, **more: object):
    return both.load(both.server.table("auto"), **AUTO, **{**BY_SIZE, **more})


def engines(both: SparkLoader) -> list[tuple[str, int, str]]:
    """`(engine, files, state)` of all batches."""
    with both.database.read_scope() as session:
        rows = session.execute(text("SELECT engine, file_count, state FROM batches ORDER BY engine, file_count"))
        return [tuple(row) for row in rows]


def move_cluster(both: SparkLoader, url: str) -> None:
    service = ClusterService(both.database, both.settings)
    service.replace(service.named(CLUSTER).id, url, catalog=both.server.catalog, options={})


def estimate(both: SparkLoader):
    found = IngestionService(both.database, both.settings).listed()[0]
    return EstimateService(both.database, both.settings).estimate(found.id, 10)


def test_small_batches_are_loaded_embedded_and_large_ones_on_the_cluster(both):
    put(both, "1-small", SMALL)
    put(both, "2-large", LARGE)
    put(both, "3-small", SMALL)
    summary = load(both)
    assert summary.state is RunState.SUCCESS
    assert engines(both) == [(CLUSTER, 1, "SETTLED"), ("embedded", 1, "SETTLED"), ("embedded", 1, "SETTLED")]
    assert len(both.rows("auto")) == LARGE + 2 * SMALL
    shown = RunViewService(both.database).show(str(summary.run_id))
    assert sorted(str(batch.engine) for batch in shown.batches) == [CLUSTER, "embedded", "embedded"]


def test_an_estimate_says_how_many_batches_go_where_and_why(both):
    put(both, "0-first", SMALL)
    load(both)
    put(both, "1-small", SMALL)
    put(both, "2-large", LARGE)
    put(both, "3-large", LARGE)
    found = estimate(both)
    assert [(one.engine, one.batches, one.files, one.why) for one in found.engines] == [
        ("embedded", 1, 1, "at most 10,000 files and 200 bytes"),
        (CLUSTER, 2, 2, "more than 200 bytes"),
    ]
    assert (found.batches, found.work_queue) == (3, "default")


def test_without_the_cluster_small_batches_are_loaded_and_large_ones_wait_and_are_not_loaded_embedded(both):
    put(both, "1-large", LARGE)
    put(both, "2-small", SMALL)
    put(both, "3-large", LARGE)
    move_cluster(both, "sc://127.0.0.1:9")
    summary = load(both)
    assert summary.state is RunState.PARTIAL
    assert len(both.rows("auto")) == SMALL
    shown = RunViewService(both.database).show(str(summary.run_id))
    assert shown.error_code == "spark-unavailable"
    said = f"2 files wait in 2 large batches for the cluster {CLUSTER}: Spark Connect service not reachable at"
    assert shown.error.startswith(f"{said} sc://127.0.0.1:9: ")
    assert shown.error in both.notes
    assert engines(both) == [(None, 1, "PLANNED"), (None, 1, "PLANNED"), ("embedded", 1, "SETTLED")]

    move_cluster(both, both.server.url)
    assert load(both).state is RunState.SUCCESS
    assert len(both.rows("auto")) == 2 * LARGE + SMALL
    assert engines(both) == [(CLUSTER, 1, "SETTLED")] * 2 + [("embedded", 1, "SETTLED")]


def test_auto_without_a_cluster_or_with_one_that_is_not_there_is_refused(both):
    put(both, "1-small", SMALL)
    with pytest.raises(InvalidInput, match="a cluster takes the large batches, and auto names none"):
        both.load(both.server.table("auto"), name="auto", engine="auto")
    with pytest.raises(InvalidInput, match="There is no cluster 'other'"):
        both.load(both.server.table("auto"), engine="auto", cluster="other")


def test_a_cluster_that_takes_large_batches_is_in_use(both):
    put(both, "1-small", SMALL)
    load(both)
    service = ClusterService(both.database, both.settings)
    with pytest.raises(Exception, match="is used by"):
        service.remove(service.named(CLUSTER).id)
