"""A catalog that the cluster alone reaches: the same promises, through Spark SQL."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.catalog.names import TableName
from app.datatypes import parse_schema
from app.errors import CatalogError, CommitConflict, Conflict, FileMissing, InvalidInput, NotOffered, TableNotFound
from app.ingest import commit
from app.ingest.engines import cluster_sql, spark_publish
from app.ingest.engines.cluster_table import ClusterTable
from app.ingest.engines.spark import SparkEngine
from app.ingest.engines.spark_stage import STAGING
from app.ingest.landing import ATTEMPT
from app.services import wiring
from app.services.cluster_service import ClusterService
from app.services.connection_service import ConnectionService
from app.services.health_service import HealthService
from app.services.ingestion_service import IngestionService
from app.services.load_service import LoadService
from app.services.reject_service import RejectService
from app.services.table_service import TableService
from app.spark import connect, endpoint_of, probe
from app.values import BatchFile, LandingKind
from tests.functional.catalog.conftest import batch_of
from tests.functional.spark_loading import CLUSTER, FarLoader
from tests.services.spark.server import FAR


@pytest.fixture
def far(sqlite_database, tmp_path, spark_server) -> FarLoader:
    return FarLoader(sqlite_database, tmp_path, spark_server)


def test_a_table_is_made_with_its_partition_and_properties_filled_twice_and_gets_new_columns_and_rejects(far):
    far.put("1.jsonl", '{"id": 1, "at": "2026-01-31T10:00:00Z"}\nno\n')
    destination = {"partition_by": ["day(at)", "bucket(4, id)"], "properties": {"owner's": "a \\ b"}}
    given = {"columns": {"columns": "id bigint, at timestamptz"}, "destination": destination}
    first = far.on_spark("whole", **given)
    far.put("2.jsonl", '{"id": 2, "at": "2026-02-01T10:00:00Z", "new": 7}\n{"id": "two"}\n')
    second = far.on_spark("whole", **given)
    assert [(one.metrics["rows"], one.metrics["rejected"]) for one in (first, second)] == [(1, 1), (2, 0)]
    rows = [json.loads(row) for row in far.rows("whole", "_source_file", "at")]
    assert [(row["id"], row["new"], row["_rescued_data"]) for row in rows] == [
        (None, None, '{"id":"two"}'),
        (1, None, None),
        (2, 7, None),
    ]
    assert [(name, raw) for name, _, raw in far.rejects("whole")] == [("1.jsonl", "no")]
    with far.opened("whole") as loaded:
        assert [str(field.transform) for field in loaded.spec().fields] == ["day", "bucket[4]"]
        assert loaded.properties["owner's"] == "a \\ b"
    looked_into(far, far.server.table("whole"))


def looked_into(far, table):
    service = TableService(far.database, far.settings)
    shown = service.show(table)
    assert (shown.records, shown.name, shown.partition_by) == (3, table, ("day(at)", "bucket(4, id)"))
    rows = service.head(table)
    moments = [dict(zip(rows.columns, row, strict=True))["at"] for row in rows.rows]
    assert datetime(2026, 1, 31, 10, tzinfo=UTC) in moments
    assert len(service.head(table, 1).rows) == 1
    assert [len(service.head(table, 9, one).rows) for one in (shown.head.parent_id, shown.head.snapshot_id)] == [1, 3]
    with pytest.raises(NotOffered, match="SQL of yours would run there with all its rights"):
        service.sql(table, f"SELECT 1 FROM {table}")
    with pytest.raises(TableNotFound):
        service.show(far.server.table("never"))
    [found] = IngestionService(far.database, far.settings).listed()
    pages = RejectService(far.database, far.settings)
    page = pages.page(found.id, file_id=None, reason="malformed", cursor=None, limit=1)
    assert [(one.raw, one.line) for one in page.items] == [("no", None)]
    health = HealthService(far.database, far.settings)
    assert [step.ok for step in health.test(far.server.catalog, None)] == [True]


@contextmanager
def opened_engine(far, name):
    """An engine on a table of its own, a file with a good and a rejected record, and one with a good one alone."""
    path = far.put("1.jsonl", '{"id": 1}\nno\n')
    given = {"engine": CLUSTER, "columns": {"columns": "id bigint"}}
    found = LoadService(far.database, far.settings).prepare(str(far.source), far.server.table(name), given)
    with (
        wiring.opened_sandbox(far.settings) as sandbox,
        wiring.opened_engine(far.database, far.settings, found.ingestion, sandbox) as engine,
    ):
        assert isinstance(engine, SparkEngine)
        engine.ensure_table()
        yield engine, found_file(path), found_file(far.put("2.jsonl", '{"id": 2}\n'))


def found_file(path):
    size = path.stat().st_size
    return BatchFile(7, str(path), f"{size}-{path.stat().st_mtime_ns}", size)


def staged_left(far, name):
    with far.opened(name) as loaded:
        main = {entry.snapshot_id for entry in loaded.history()}
        return {one.snapshot_id for one in loaded.snapshots()} - main


def data_files(far, name):
    return set((far.server.warehouse / far.server.namespace / name / "data").rglob("*.parquet"))


def test_two_attempts_at_one_batch_land_once_and_an_id_that_was_spent_never_does(far):
    far.server = replace(far.server, namespace=FAR)  # procedures would take it for the catalog
    with opened_engine(far, "once") as (engine, file, clean):
        batch = batch_of(engine.table)
        mine, zombies = engine.write(batch, [file]), engine.write(batch, [file])
        assert far.rows("once") == []
        assert engine.landing(batch).kind is LandingKind.NOT_LANDED
        engine.table.look().append_nothing({})  # main moves: the files come by a copy of the snapshot
        now = datetime.now(UTC)
        landing = commit.publish(engine, batch, [file], mine, batch.run_id, now)
        assert (landing.kind, landing.snapshot.summary[ATTEMPT]) == (LandingKind.LANDED, mine.attempt)
        again = commit.publish(engine, batch, [file], zombies, batch.run_id, now)
        assert again.snapshot.summary[ATTEMPT] == mine.attempt
        with pytest.raises(CommitConflict):
            spark_publish.cherry_pick(engine.session, engine.table.name, zombies.handle.snapshot.snapshot_id)
        assert [(one.rows, one.rejected) for one in commit.outcomes_of(engine, batch, landing)] == [(1, 1)]

        for _ in range(2):
            commit.complete_rejects(engine, batch, landing)
        rejects = int(zombies.handle.reject_file.path.removeprefix("snapshot:"))
        with pytest.raises(CommitConflict):
            spark_publish.cherry_pick(engine.session, engine.table.rejects.name, rejects)

        other = batch_of(engine.table)
        written = engine.write(other, [clean])
        assert engine.spend(other).kind is LandingKind.SPENT
        with pytest.raises(CommitConflict):
            spark_publish.cherry_pick(engine.session, engine.table.name, written.handle.snapshot.snapshot_id)
        assert commit.publish(engine, other, [clean], written, other.run_id, now).kind is LandingKind.SPENT

        files = data_files(far, "once")
        engine.discard(written)
        assert written.handle.snapshot.snapshot_id not in staged_left(far, "once")
        assert len(data_files(far, "once")) == len(files) - 1
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert staged_left(far, "once") >= {zombies.handle.snapshot.snapshot_id}
        engine.expire(frozenset({batch.base_snapshot_id}), later)
        assert zombies.handle.snapshot.snapshot_id not in staged_left(far, "once")
        assert engine.landing(batch).kind is LandingKind.LANDED
        assert engine.expire(frozenset(), later) > 0
        assert engine.landing(batch).kind is LandingKind.UNKNOWN
        engine.table.look().append_nothing({})
        engine.table.require_properties({"history.expire.max-ref-age-ms": "1"})  # by it tags would go as well
        assert engine.expire(frozenset(), later) == 0
        for columns in ("o struct<x: bigint>", "O int, o struct<x: bigint, y: array<struct<z: date>>>"):
            engine.add_columns(parse_schema(columns).columns)
        assert "o struct<x: bigint, y: array<struct<z: date>>>" in far.schema("once")
    assert len(far.rows("once")) == len(far.rejects("once")) == 1


def test_where_a_receipt_cannot_be_written_no_batch_is_halved_and_the_next_run_loads_it(far):
    given = {"columns": {"columns": "id bigint"}}
    far.put("0.jsonl", '{"id": 0}\n')
    far.on_spark("full", **given)
    receipts = far.server.warehouse / far.server.namespace / "full" / "autoloader"
    receipts.rename(receipts.with_name("kept"))
    receipts.write_text("no folder")
    for number in (1, 2):
        far.put(f"{number}.jsonl", f'{{"id": {number}}}\n')
    with pytest.raises(CatalogError, match="no file of the source is to blame") as failed:
        far.on_spark("full", **given)
    assert failed.value.retryable
    assert [state for _, state, *_ in far.files("full")] == ["SUCCESS", "PROCESSING", "PROCESSING"]
    receipts.unlink()
    receipts.with_name("kept").rename(receipts)
    summary = far.on_spark("full", **given)
    assert (summary.metrics["batches"], summary.metrics["rows"]) == (1, 2)


def test_what_the_cluster_cannot_do_for_such_a_catalog_is_refused_with_the_next_step(far):
    far.put("1.jsonl", '{"id": 1}\n')
    name, connections = far.server.catalog, ConnectionService(far.database, far.settings)
    for given in ({}, {"engine": "auto", "cluster": CLUSTER}):
        with pytest.raises(InvalidInput, match=f"reached by the cluster {CLUSTER} alone") as refused:
            far.load(far.server.table("never"), **given)
        assert refused.value.hint == f"Set engine: {CLUSTER} (of load: --engine {CLUSTER})"
    with pytest.raises(InvalidInput, match=r"Column u of .* is of the type uuid: a cluster cannot make it"):
        far.on_spark("never", columns={"columns": "u uuid"})
    with pytest.raises(InvalidInput, match="needs the name of the cluster"):
        connections.add("other", "catalog", {"type": "cluster"})
    with pytest.raises(InvalidInput, match="has no option uri: it is configured on the cluster"):
        connections.add("other", "catalog", {"type": "cluster", "cluster": CLUSTER, "uri": "x"})
    clusters = ClusterService(far.database, far.settings)
    with pytest.raises(Conflict, match=f"the only one that reaches the catalog {name}"):
        clusters.remove(clusters.named(CLUSTER).id)
    assert not (far.server.warehouse / far.server.namespace).exists()


@pytest.mark.stores
def test_files_in_a_bucket_are_reached_by_hadoops_name_where_the_cluster_knows_no_other(spark_server, s3):
    conf = {
        "conf.fs.s3a.endpoint": s3.endpoint,
        "conf.fs.s3a.path.style.access": "true",
        "conf.fs.s3a.access.key": s3.options["access_key_id"],
        "conf.fs.s3a.secret.key": s3.options["secret_access_key"],
    }
    session = connect(endpoint_of(spark_server.url, conf), "tests")
    try:
        table = ClusterTable(TableName(FAR, "db", "t"), lambda: session)
        table.write_text(f"{s3.url}/a [b]/{{c}}.json.gz", "one é\u2028")
        table.write_text(f"{s3.url}/a [b]/{{c}}.json.gz", "two é\u2028")
        assert table.read_text(f"{s3.url}/a [b]/{{c}}.json.gz") == "two é\u2028\n"
        with pytest.raises(FileMissing):
            table.read_text(f"{s3.url}/none.json.gz")
        with pytest.raises(CatalogError, match="through Iceberg, and not as a file"):
            table.read_text("elsewhere://b/none.json.gz")
    finally:
        session.close()


def test_tables_of_iceberg_in_sparks_own_catalog_are_told_from_those_that_are_none(spark_server, tmp_path):
    before = "conf.spark.sql.catalog.spark_catalog"
    conf = {before: "org.apache.iceberg.spark.SparkSessionCatalog", f"{before}.type": "hadoop"}
    conf[f"{before}.warehouse"] = f"file://{tmp_path}"
    endpoint = endpoint_of(spark_server.url, conf, catalog="spark_catalog")
    assert [step.detail for step in probe(endpoint, write=False, namespace=None) if not step.ok] == []
    session = connect(endpoint, "tests")
    names = [TableName("spark_catalog", spark_server.namespace, name) for name in ("ours", "plain")]
    ours, plain = [ClusterTable(name, lambda: session) for name in names]
    try:
        assert not ours.exists()
        made = ours.create(parse_schema("id bigint"), (), {})
        made.append_nothing({"autoloader.outcome": "begun"})
        assert [one.summary["autoloader.outcome"] for one in ours.lineage().ancestors] == ["begun"]
        ours.require_properties({STAGING: "true"})
        for left, outcome in (("spark.wap.branch", "spent"), ("spark.wap.id", "spent too")):
            session.set({left: "elsewhere"})
            ours.look().append_nothing({"autoloader.outcome": outcome})
        found = ours.look()
        assert {one.summary["autoloader.outcome"] for one in found.lineage.ancestors} == {"begun", "spent", "spent too"}
        assert found.metadata.refs.keys() == {"main"}
        session.rows(f"CREATE TABLE {cluster_sql.target(plain.name)} (id INT) USING parquet")
        assert not plain.exists()
        with pytest.raises(CatalogError, match="The cluster cannot make table") as refused:
            plain.create(parse_schema("id bigint"), (), {})
        assert "not Iceberg's" in refused.value.hint
        session.rows(f"DROP TABLE {cluster_sql.target(plain.name)}")
    finally:
        session.close()
