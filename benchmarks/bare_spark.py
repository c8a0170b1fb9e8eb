"""The bare work on Spark, in a process of its own: read the files, append them to a table, in one job.

    python -m benchmarks.bare_spark URL KIND FOLDER TABLE [--one-by-one]

The schema is given, files are listed as the product lists them, and nothing is looked at: no unknown field is found, no
bad record, no file is told from another. `--one-by-one`: one job and one commit for each file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql.connect.session import SparkSession

TYPES = {
    "id": "BIGINT",
    "at": "TIMESTAMP",
    "customer": "STRING",
    "country": "STRING",
    "amount": "DOUBLE",
    "quantity": "INT",
    "paid": "BOOLEAN",
    "note": "STRING",
}
PARQUET_TYPES = {**TYPES, "at": "STRING"}  # as the files have it
_SETTINGS = {
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    "spark.sql.files.openCostInBytes": "65536",
}


def declared(types: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in types.items())


def reader(spark: Any, kind: str) -> Any:
    if kind == "parquet":
        return spark.read.format("parquet")
    made = spark.read.schema(declared(TYPES)).format("json" if kind == "jsonl" else kind)
    return made.option("header", "true") if kind == "csv" else made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("kind", choices=["jsonl", "csv", "parquet"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("table")
    parser.add_argument("--one-by-one", action="store_true")
    given = parser.parse_args()
    begun = time.perf_counter()
    spark: Any = SparkSession.builder.remote(given.url).create()
    for name, value in _SETTINGS.items():
        spark.conf.set(name, value)
    namespace = given.table.rpartition(".")[0]
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {namespace}").collect()
    spark.sql(f"DROP TABLE IF EXISTS {given.table}").collect()
    types = PARQUET_TYPES if given.kind == "parquet" else TYPES
    spark.sql(f"CREATE TABLE {given.table} ({declared(types)}) USING iceberg").collect()
    files = sorted(f"file:{file}" for file in given.folder.iterdir())
    for some in [[file] for file in files] if given.one_by_one else [files]:
        columns = [f"CAST({name} AS {kind}) AS {name}" for name, kind in types.items()]
        reader(spark, given.kind).load(some).selectExpr(*columns).writeTo(given.table).append()
    rows = int(spark.table(given.table).count())
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
