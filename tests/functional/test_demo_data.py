"""The demo's data are what their manifest says, counted with other tools than those that made them."""

from __future__ import annotations

import filecmp
import gzip
import json
import shutil
import time
import zlib

import duckdb
import polars as pl
import pytest

from tools.demo_data import prepare

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "data"
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def manifest(data):
    return json.loads((data / "manifest.json").read_text())


def feed_lines(folder):
    for file in sorted(folder.glob("*.jsonl.gz")):
        yield from gzip.decompress(file.read_bytes()).decode().splitlines()


def test_a_file_a_day_and_all_flights_of_the_year(data, manifest):
    days = list((data / "first" / "flights").iterdir())
    rows = sum(pl.scan_csv(day, null_values="NA").select(pl.len()).collect().item() for day in days)

    assert (len(days), rows) == (364, 336_000)
    assert rows + manifest["second"]["flights"]["rows"] == 336_776
    assert manifest["first"]["flights"] == {"files": 364, "rows": 336_000}


def test_the_feed_holds_the_same_flights_and_the_counted_flaws(data, manifest):
    rows = rejected = rescued = seats = 0
    for line in feed_lines(data / "first" / "feed"):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            rejected += 1
            continue
        rows += 1
        rescued += record.get("air_time") == "cancelled"
        seats += "seats" in record
        assert None not in record.values()

    told = manifest["first"]["feed"]
    assert (rows, rejected, rescued) == (told["rows"], told["rejected"], told["rescued"])
    assert rejected
    assert rescued
    assert 0 < seats < rows / 3


def test_the_second_delivery_brings_a_field_nobody_knew(data):
    def keys(part):
        lines = [line for line in feed_lines(data / part / "feed") if line.endswith("}")]
        return {key for line in lines for key in json.loads(line)}

    assert keys("second") - keys("first") == {"aircraft"}


def test_the_second_delivery_holds_a_new_a_changed_and_a_broken_file(data):
    first, second = data / "first" / "flights", data / "second" / "flights"
    names = {file.name for file in second.iterdir()}
    changed = {name for name in names if (first / name).exists()}

    assert changed == {"2013-06-13.csv"}
    assert not filecmp.cmp(first / "2013-06-13.csv", second / "2013-06-13.csv", shallow=False)
    with pytest.raises((EOFError, zlib.error)):
        gzip.decompress((second / "2013-12-31-late.csv.gz").read_bytes())
    lines = (second / "2013-12-31.csv").read_text().splitlines()
    assert len([line for line in lines if line.count(",") != lines[0].count(",")]) == 1
    assert len([line for line in lines if "14 min" in line]) == 1


def test_parquet_agrees_with_the_csv(data, manifest):
    for name, told in manifest["first"].items():
        if name.startswith("parquet/"):
            found = duckdb.sql(f"SELECT count(*) FROM '{data}/first/{name}/*.parquet'").fetchall()
            assert found == [(told["rows"],)]
    by_csv = duckdb.sql(
        f"SELECT sum(distance) FROM read_csv('{data}/first/flights/2013-06-*.csv', nullstr = 'NA')"
    ).fetchall()
    assert duckdb.sql(f"SELECT sum(distance) FROM '{data}/first/parquet/flights/2013-06.parquet'").fetchall() == by_csv


def test_a_second_call_changes_nothing_and_takes_no_time(data):
    begun = time.perf_counter()
    before = (data / "first" / "feed" / "2013-W01.jsonl.gz").stat()

    assert prepare(data)["first"]
    assert (data / "first" / "feed" / "2013-W01.jsonl.gz").stat() == before
    assert time.perf_counter() - begun < 0.5


def test_it_is_always_the_same(data, tmp_path):
    prepare(tmp_path / "again")
    for part in ("first/feed", "second/feed", "second/flights"):
        names = [file.name for file in (data / part).iterdir()]
        assert filecmp.cmpfiles(data / part, tmp_path / "again" / part, names, shallow=False)[0] == names
    shutil.rmtree(tmp_path / "again")
