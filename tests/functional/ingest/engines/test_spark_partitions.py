"""How a cluster's rows lie in the table: in the right partitions, and in few data files."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import PurePosixPath

import pyarrow.parquet as pq
import pytest

from app.services.cluster_service import ClusterService
from tests.functional.spark_loading import SparkLoader

COLUMNS = (
    "n bigint, word string, flag boolean, b bigint, bs string, bd date, bt timestamptz, bn decimal(10,2), bb binary,"
    " ts string, ti int, tl bigint, td decimal(10,2), y date, yt timestamp, m timestamp, d timestamptz, h timestamptz"
)
TRANSFORMS = [
    "word", "flag", "bucket(4, b)", "bucket(4, bs)", "bucket(4, bd)", "bucket(4, bt)", "bucket(4, bn)",
    "bucket(4, bb)", "truncate(2, ts)", "truncate(10, ti)", "truncate(10, tl)", "truncate(50, td)", "year(y)",
    "year(yt)", "month(m)", "day(d)", "hour(h)",
]  # fmt: skip
EARLY, LATE = "1969-12-31", "2026-02-28"
WORDS = ["", "a", "é😀x", "a/b=c d%20", "__HIVE_DEFAULT_PARTITION__", "null", "-1", "\u00e9\u0301\u200d"]


def rows():
    """One without any value, and others with those that are easily put into the wrong partition."""
    yield {"n": 0}
    for n, word in enumerate(WORDS, 1):
        day, sign = (EARLY, -1) if n % 2 else (LATE, 1)
        moment = f"{day}T23:59:59.999999"
        yield {
            "n": n, "word": word, "flag": n % 3 == 0, "b": sign * n * 10**12, "bs": word, "bd": day,
            "bt": f"{moment}+02:00", "bn": f"{sign * n}.05", "bb": "AAEC/w==", "ts": word, "ti": sign * n,
            "tl": sign * n * 7, "td": f"{sign * n}.49", "y": day, "yt": moment, "m": moment, "d": f"{moment}-11:30",
            "h": f"{moment}+05:30",
        }  # fmt: skip


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


def data_files(both, table):
    """Of each data file its partition, and the columns `n` and `_source_file` (without its folder)."""
    with both.opened(table) as loaded:
        for task in loaded.scan().plan_files():
            with loaded.io.new_input(task.file.file_path).open() as opened:
                read = pq.read_table(opened, columns=["n", "_source_file"])
            partition = tuple(task.file.partition)
            yield partition, [(row["n"], PurePosixPath(row["_source_file"]).name) for row in read.to_pylist()]


def test_both_engines_in_turn_put_a_row_into_the_same_partition_of_every_transform(both):
    given = {"columns": {"columns": COLUMNS}, "destination": {"partition_by": TRANSFORMS}}
    text = "".join(json.dumps(row) + "\n" for row in rows())
    both.put("1-spark.jsonl", text)
    both.on_spark("parted", **given)
    both.put("2-embedded.jsonl", text)
    both.load(both.server.table("parted"), engine="embedded", **given)

    partitions = defaultdict(dict)
    for partition, held in data_files(both, "parted"):
        for n, source in held:
            partitions[source][n] = partition
    assert partitions["1-spark.jsonl"] == partitions["2-embedded.jsonl"]
    assert len(partitions["1-spark.jsonl"]) == len(WORDS) + 1
    assert all(len(partition) == len(TRANSFORMS) for partition in partitions["1-spark.jsonl"].values())


def test_many_small_files_become_one_data_file_or_one_for_each_partition_however_many_cores_there_are(
    both, spark_server
):
    for number in range(40):
        both.put(f"{number}.jsonl", "".join(f'{{"n": {n}, "word": "{"abc"[n % 3]}"}}\n' for n in range(6)) + "bad\n")
    cores = {"conf.spark.sql.files.minPartitionNum": "16", "conf.spark.sql.shuffle.partitions": "16"}
    ClusterService(both.database, both.settings).create(
        "wide", spark_server.url, catalog=spark_server.catalog, options=cores
    )
    columns = {"columns": {"columns": "n bigint, word string"}}
    both.load(both.server.table("plain"), engine="wide", **columns)
    both.load(both.server.table("parted"), engine="wide", destination={"partition_by": ["word"]}, **columns)

    plain, parted = list(data_files(both, "plain")), list(data_files(both, "parted"))
    assert [len(held) for _, held in plain] == [240]
    assert sorted((*partition, len(held)) for partition, held in parted) == [("a", 80), ("b", 80), ("c", 80)]
