"""Sources in object stores, read by a cluster: the same table as by the embedded engine, and no secret left behind."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from app.errors import SourceAccessDenied
from app.ingest.engines import spark_source
from app.services.cluster_service import ClusterService
from app.services.connection_service import ConnectionService
from app.spark import connect, endpoint_of, file_access, spark_errors
from tests.functional.prefect.place import until
from tests.functional.spark_loading import SparkLoader
from tests.services.objects import AZURE_KEY, S3_READER
from tests.services.spark.dfs import dfs
from tests.services.spark.server import events_of

pytestmark = pytest.mark.stores
ID = {"columns": {"columns": "id bigint"}}
ODD = [
    "a b.jsonl", "a%20b.jsonl", "a+b.jsonl", "a#b.jsonl", "a?b.jsonl", "a*[1]{x}.jsonl", "ü😀'\".jsonl", "a:b.jsonl",
    "year=2024/part=1.jsonl", "deep/er/x.jsonl", "semi;colon,&=.jsonl", "${x}.jsonl", "x%.jsonl", "back\\slash.jsonl",
]  # fmt: skip


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


def given(both, bucket, **shape):
    """What a load of the bucket is told, with a connection that may only read."""
    ConnectionService(both.database, both.settings).put("shop", "s3", bucket.reader_options, replace=True)
    return {"source": f"{bucket.url}/in/", "connection": "shop", **shape}


def shown_by(server):
    """What the server keeps of its work for others to look at."""
    return "".join(file.read_text(errors="replace") for file in events_of(server.warehouse).iterdir())


def put_rows(bucket, names):
    for number, name in enumerate(names):
        bucket.put(f"in/{name}", f'{{"id": {number}}}\n'.encode())


def test_odd_keys_find_their_ids_and_no_secret_is_left_with_the_server_or_the_ledger(both, s3, spark_server, caplog):
    put_rows(s3, ODD)
    shape = given(both, s3, **ID)
    both.on_spark("by_spark", **shape)
    both.embedded("embedded", **shape)

    assert both.files("by_spark") == both.files("embedded")
    assert both.rows("by_spark") == both.rows("embedded")
    assert len(both.rows("by_spark")) == len(ODD)
    secret = S3_READER[1]
    with both.database.read_scope() as session:
        batches = [str(row) for row in session.execute(text("SELECT * FROM batches"))]
    until(lambda: spark_server.namespace in shown_by(spark_server), 30, "the server's record of the statement")
    shown = shown_by(spark_server)
    log = (spark_server.warehouse.parent / "spark.log").read_text(errors="replace")
    assert f"fs.s3a.bucket.{s3.name}" not in shown
    assert [place for place in (shown, log, caplog.text, *batches, *both.notes) if secret in place] == []


def test_what_a_connection_may_read_is_not_served_to_another_session(both, s3, spark_server):
    put_rows(s3, ["1.jsonl"])
    both.on_spark("mine", **given(both, s3, **ID))
    wrong = {**s3.reader_options, "secret_access_key": "wrong-secret"}
    theirs = file_access("s3", s3.name, wrong, identity="another")
    session = connect(endpoint_of(spark_server.url, {}))
    # By their own options, and by the file system that everybody shares.
    shared = {name: value for name, value in theirs.options.items() if name.startswith("fs.s3a.")}
    for address, options in ((theirs.there, theirs.options), (f"s3a://{s3.name}/", shared)):
        with pytest.raises(SourceAccessDenied), spark_errors(session.endpoint):
            session.spark.read.format("text").options(**options).load(f"{address}in/1.jsonl").collect()
    session.close()


@pytest.mark.parametrize("sizes", ["of one size", "of different sizes"])
def test_objects_that_change_or_go_while_they_are_loaded_have_no_row_and_their_neighbours_have_theirs(
    both, s3, monkeypatch, sizes
):
    numbers = (1, 1, 1, 1) if sizes == "of one size" else (1, 22, 333, 4444)
    for name, number in zip(("gone", "longer", "other", "good"), numbers, strict=True):
        s3.put(f"in/{name}.jsonl", f'{{"id": {number}}}\n'.encode())
    read = spark_source.read

    def meddled(session, files, *rest):
        s3.remove("in/gone.jsonl")
        s3.put("in/longer.jsonl", b'{"id": 1}\n{"id": 2}\n')
        s3.put("in/other.jsonl", b'{"id": 9}\n')
        return read(session, files, *rest)

    monkeypatch.setattr(spark_source, "read", meddled)
    both.on_spark("meddled", **given(both, s3, **ID))
    assert [(file[0], file[1], file[5]) for file in both.files("meddled")] == [
        ("gone.jsonl", "SKIPPED", "missing"),
        ("good.jsonl", "SUCCESS", ""),
        ("longer.jsonl", "SKIPPED", "changed"),
        ("other.jsonl", "SKIPPED", "changed"),
    ]
    assert len(both.rows("meddled")) == 1


# Neither takes the names with a question mark or a backslash; those are S3's to show.
FEWER = [name for name in ODD if not set(name) & set("?\\:$")]


def assert_same_of_both(both, url, connection):
    for table, load in (("by_spark", both.on_spark), ("embedded", both.embedded)):
        load(table, source=f"{url}/in/", connection=connection, **ID)
    assert both.files("by_spark") == both.files("embedded")
    assert both.rows("by_spark") == both.rows("embedded")
    assert len(both.rows("by_spark")) == len(FEWER)


def test_objects_of_azure_find_their_ids_and_the_key_is_not_left_with_the_server(both, azurite, spark_server):
    put_rows(azurite, FEWER)
    with dfs(azurite) as options:
        ConnectionService(both.database, both.settings).put("blobs", "az", options)
        assert_same_of_both(both, azurite.url, "blobs")
    shown = shown_by(spark_server)
    assert "fs.azure.account.key." not in shown
    assert AZURE_KEY not in shown


def test_objects_of_google_find_their_ids(both, gcs):
    put_rows(gcs, FEWER)
    ConnectionService(both.database, both.settings).put("objects", "gs", gcs.options)
    assert_same_of_both(both, gcs.url, "objects")


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_parquet_in_a_bucket_gives_the_same_table_as_by_the_embedded_engine(both, s3):
    whole = parquet(id=[1, 2], s=["x", "é 😀"])
    wide = {f"column_{number}_{'x' * 800}": [number] for number in range(60)}
    s3.put("in/1 same.parquet", whole)
    s3.put("in/2-small.parquet", parquet(id=pa.array([3, None], pa.int8())))
    s3.put("in/3-more.parquet", parquet(id=[4], more=[[1, None]]))
    s3.put("in/4-cut.parquet", whole[:-20])
    s3.put("in/5-text.parquet", b'{"id": 1}\n' * 10_000)
    s3.put("in/6-wide.parquet", parquet(id=[5], noise=[bytes(100_000)]))
    s3.put("in/7-long-footer.parquet", parquet(id=[6], **wide))
    shape = given(both, s3, format={"type": "parquet"}, columns={"columns": "id bigint, s string"})
    shape["columns"]["on_new_columns"] = "rescue"
    both.on_spark("by_spark", **shape)
    both.embedded("embedded", **shape)
    assert both.files("by_spark") == both.files("embedded")
    assert both.rows("by_spark") == both.rows("embedded")
    assert len(both.rows("by_spark")) == 7


def test_a_cluster_with_credentials_of_its_own_reads_with_these_and_is_denied_with_wrong_ones(both, s3, spark_server):
    put_rows(s3, ["1.jsonl"])
    conf = {
        "source_access": "cluster",
        f"conf.fs.s3a.bucket.{s3.name}.endpoint": s3.endpoint,
        f"conf.fs.s3a.bucket.{s3.name}.endpoint.region": "us-east-1",
        f"conf.fs.s3a.bucket.{s3.name}.path.style.access": "true",
        f"conf.fs.s3a.bucket.{s3.name}.attempts.maximum": "1",  # a wrong signature counts as a clock that is wrong
        "conf.fs.s3a.impl.disable.cache": "true",
    }
    for name, key in (("wrong", "wrong-secret"), ("right", S3_READER[1])):
        keys = {f"conf.fs.s3a.bucket.{s3.name}.access.key": S3_READER[0]}
        keys[f"conf.fs.s3a.bucket.{s3.name}.secret.key"] = key
        ClusterService(both.database, both.settings).create(
            name, spark_server.url, catalog=spark_server.catalog, options=conf, secrets=keys
        )
    shape = given(both, s3, **ID)
    with pytest.raises(SourceAccessDenied) as raised:
        both.load(both.server.table("own"), engine="wrong", **shape)
    assert "Check the storage's credentials on the cluster" in str(raised.value)
    both.load(both.server.table("own"), engine="right", **shape)
    assert len(both.rows("own")) == 1


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        (
            "csv",
            {
                "1.csv": b'id,s\n1,"x\ny"\n2,\n',
                "2.csv.gz": gzip.compress(b"id,s,more\n3,x,1\n"),
                "3.csv": b"a,b\n",
                "4.csv": b"# what is this?\n" * 100_000 + b"id,s\n4,y\n",
            },
        ),
        ("json", {"1.json": b'[{"id": 1}, {"id": 2}]', "2.json.gz": gzip.compress(b'{"id": 3}'), "3.json": b'[{"id"'}),
    ],
)
def test_files_of_a_bucket_whose_begin_the_worker_reads_give_the_same_table(both, s3, kind, files):
    for name, content in files.items():
        s3.put(f"in/{name}", content)
    comment = {"comment": "#"} if kind == "csv" else {}
    shape = given(both, s3, format={"type": kind, **comment}, columns={"columns": "id bigint, s string"})
    both.on_spark("by_spark", **shape)
    both.embedded("embedded", **shape)
    assert both.files("by_spark") == both.files("embedded")
    assert both.rows("by_spark") == both.rows("embedded")
    assert len(both.rows("by_spark")) == (4 if kind == "csv" else 3)
