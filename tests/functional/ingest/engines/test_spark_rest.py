"""A REST catalog that both engines share."""

from __future__ import annotations

from dataclasses import replace

from app.catalog.open import open_catalog
from app.services.cluster_service import ClusterService
from app.services.connection_service import ConnectionService
from tests.functional.spark_loading import SparkLoader

REST = "by_rest"


def test_both_engines_in_turn_load_into_one_table_of_a_rest_catalog(
    sqlite_database, tmp_path, spark_server, rest_catalog
):
    loader = SparkLoader(sqlite_database, tmp_path, spark_server)
    loader.server = replace(spark_server, catalog=rest_catalog.name)
    ConnectionService(sqlite_database, loader.settings).put(rest_catalog.name, "catalog", rest_catalog.options)
    ClusterService(sqlite_database, loader.settings).create(
        REST, spark_server.url, catalog=rest_catalog.name, options=rest_catalog.conf
    )
    given = {"columns": {"columns": "id bigint"}, "destination": {"partition_by": ["bucket(2, id)"]}}
    for number, engine in enumerate(["embedded", REST]):
        loader.put(f"{number}.jsonl", f'{{"id": {number}, "c{number}": "x"}}\nbad {number}\n')
        loader.load(loader.server.table("turns"), engine=engine, **given)

    with open_catalog(rest_catalog.name, rest_catalog.options) as catalog:
        found = catalog.table(loader.server.table("turns")).look().loaded.scan().to_arrow().to_pylist()
        rejects = catalog.table(loader.server.table("turns__rejects")).look().loaded.scan().to_arrow().to_pylist()
    assert sorted((row["id"], row[f"c{row['id']}"]) for row in found) == [(0, "x"), (1, "x")]
    assert sorted(row["raw"] for row in rejects) == ["bad 0", "bad 1"]
