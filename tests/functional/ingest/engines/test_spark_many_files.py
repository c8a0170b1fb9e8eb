"""Many files on a cluster: one job and one commit a batch, and each file's rows under its own id."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.services.connection_service import ConnectionService
from tests.functional.spark_loading import SparkLoader

COLUMNS = {"columns": {"columns": "id bigint"}}
BATCH = 10_000
ROWS = 3


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


def lines(number):
    return "".join(json.dumps({"id": number * ROWS + row}) + "\n" for row in range(ROWS)).encode()


def name(number):
    return f"day={number % 7}/part {number:05d}.jsonl"


def assert_all_there(both, table, count, batches):
    """`batches` commits with rows, and in each row the address of the file that it is from."""
    with both.opened(table) as loaded:
        rows = loaded.scan().to_arrow().to_pylist()
        loads = [one for one in loaded.snapshots() if int(one.summary.additional_properties.get("added-records", 0))]
    assert sorted(row["id"] for row in rows) == list(range(count * ROWS))
    assert all(row["_source_file"].endswith(name(row["id"] // ROWS)) for row in rows)
    assert len({row["_file_id"] for row in rows}) == count
    assert len(loads) == batches
    assert {file[1:3] for file in both.files(table)} == {("SUCCESS", ROWS)}


def test_a_listing_of_more_files_than_a_batch_may_have_is_cut_into_batches(both):
    for number in range(120):
        both.put(name(number), lines(number))
    both.on_spark("cut", policies={"batch_max_files": 80}, **COLUMNS)
    assert_all_there(both, "cut", 120, 2)


@pytest.mark.soak
def test_ten_thousand_files_of_a_folder_are_one_batch_and_what_is_beyond_another(both, capsys):
    count = BATCH + 500
    for number in range(count):
        both.put(name(number), lines(number))
    begun = time.monotonic()
    both.on_spark("folder", **COLUMNS)
    with capsys.disabled():
        sys.stdout.write(f"\n{count} files of a folder: {time.monotonic() - begun:.0f} s\n")
    assert_all_there(both, "folder", count, 2)


@pytest.mark.soak
def test_ten_thousand_objects_of_a_bucket_are_one_batch(both, s3, capsys):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: s3.put(name(number), lines(number)), range(BATCH)))
    ConnectionService(both.database, both.settings).put("shop", "s3", s3.reader_options)
    begun = time.monotonic()
    both.on_spark("bucket", source=f"{s3.url}/", connection="shop", **COLUMNS)
    with capsys.disabled():
        sys.stdout.write(f"\n{BATCH} objects of a bucket: {time.monotonic() - begun:.0f} s\n")
    assert_all_there(both, "bucket", BATCH, 1)
