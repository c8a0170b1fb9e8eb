"""A warehouse in a bucket, as docs/clusters.md sets a server up for it. By `make soak`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.services.connection_service import ConnectionService
from app.services.table_service import TableService
from tests.functional.spark_loading import CLUSTER, SparkLoader
from tests.services.objects import Bucket
from tests.services.spark.killable import KillableSpark
from tests.services.spark.server import CATALOG, SparkServer

pytestmark = [pytest.mark.soak, pytest.mark.stores]


@dataclass(frozen=True)
class BucketServer(SparkServer):
    bucket: Bucket | None = None

    @property
    def catalog_options(self) -> dict[str, str]:
        assert self.bucket is not None
        given = self.bucket.options
        return {
            "type": "sql",
            "uri": self.database,
            "warehouse": f"{self.bucket.url}/lake",
            "s3.endpoint": self.bucket.endpoint,
            "s3.region": given["region"],
            "s3.access-key-id": given["access_key_id"],
            "s3.secret-access-key": given["secret_access_key"],
        }


@pytest.fixture
def server(spark_server: SparkServer, s3: Bucket, tmp_path) -> Iterator[BucketServer]:
    given = {
        f"spark.sql.catalog.{CATALOG}.warehouse": f"{s3.url}/lake",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint": s3.endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": s3.options["access_key_id"],
        "spark.hadoop.fs.s3a.secret.key": s3.options["secret_access_key"],
    }
    own = KillableSpark(spark_server, tmp_path / "server", **given)
    own.start()
    yield BucketServer(own.server.url, own.server.port, f"b_{spark_server.namespace}", spark_server.warehouse,
                       spark_server.database, bucket=s3)  # fmt: skip
    own.kill()


def ids(rows: list[str]) -> list[int]:
    return sorted(json.loads(row)["id"] for row in rows)


def test_both_engines_in_turn_and_the_cluster_alone_load_into_a_bucket(sqlite_database, tmp_path, server, s3):
    both = SparkLoader(sqlite_database, tmp_path, server)
    for number, engine in enumerate([CLUSTER, "embedded", CLUSTER]):
        both.put(f"{number}.jsonl", f'{{"id": {number}, "c{number}": {number}}}\nno\n')
        both.load(both.server.table("turns"), engine=engine, columns={"columns": "id bigint"})
        assert ids(both.rows("turns")) == list(range(number + 1))
        assert len(both.rejects("turns")) == number + 1
    with both.opened("turns") as loaded:
        assert loaded.location().startswith(f"{s3.url}/lake/")

    connections = ConnectionService(both.database, both.settings)
    connections.add(server.catalog, "catalog", {"type": "cluster", "cluster": CLUSTER}, replace=True)
    for number in (3, 4):
        both.put(f"{number}.jsonl", f'{{"id": {number}}}\nno\n')
        both.on_spark("turns", columns={"columns": "id bigint"})
        both.on_spark("alone", columns={"columns": "id bigint"})
    assert ids(both.rows("turns")) == ids(both.rows("alone")) == list(range(5))
    assert len(both.rejects("turns")) == len(both.rejects("alone")) == 5
    shown = TableService(both.database, both.settings).show(server.table("alone"))
    assert (shown.records, shown.location.partition("://")[0]) == (5, "s3")
