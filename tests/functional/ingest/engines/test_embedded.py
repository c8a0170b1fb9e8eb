"""The embedded engine: files in, one snapshot out, and the table that it makes."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest

from app import failpoints
from app.config import Settings
from app.errors import (
    FileMissing,
    InvalidInput,
    LandingIncomplete,
    TableNotFound,
)
from app.storage import open_store
from app.values import BatchFile, FileState, LandingKind


class TestLoading:
    def test_rows_arrive_with_the_row_columns(self, bench):
        one = bench()
        files = [one.put({"id": 1, "name": "a"}, {"id": 2, "name": "b"}), one.put({"id": 3})]
        batch, landing = one.load(*files)
        assert landing.kind is LandingKind.LANDED
        rows = one.rows()
        assert [(row["id"], row["name"], row["_rescued_data"]) for row in rows] == [
            (1, "a", None),
            (2, "b", None),
            (3, None, None),
        ]
        assert [row["_file_id"] for row in rows] == [files[0].file_id, files[0].file_id, files[1].file_id]
        assert rows[2]["_source_file"] == files[1].path
        assert rows[0]["_ingested_at"] is not None
        assert one.engine.landing(batch) == replace(landing, evidence=one.engine.landing(batch).evidence)

    def test_the_snapshot_names_batch_attempt_and_receipt(self, bench):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        summary = one.publish(batch, [file], written).snapshot.summary
        assert summary["autoloader.batch-id"] == summary["published-wap-id"] == str(batch.id)
        assert summary["autoloader.ingestion-id"] == str(batch.ingestion_id)
        assert summary["autoloader.attempt"] == written.attempt
        assert "autoloader.run-id" in summary
        receipt = one.engine.read_receipt(summary["autoloader.receipt"])
        assert receipt["files"][0]["path"] == file.path
        assert (written.rows, written.rejected, written.byte_count) == (1, 0, file.size)

    def test_outcomes_of_good_and_bad_files_stand_side_by_side(self, bench):
        one = bench()
        good = one.put({"id": 1})
        changed = one.put({"id": 2})
        Path(changed.path).write_text('{"id": 2222}\n')
        gone = one.put({"id": 3})
        Path(gone.path).unlink()
        torn_path = one.source / "torn.jsonl.gz"
        torn_path.write_bytes(gzip.compress(b'{"id": 4}\n' * 1000, mtime=0)[:-20])
        torn = one.file(torn_path)
        batch = one.batch([good, changed, gone, torn])
        written = one.engine.write(batch, [good, changed, gone, torn])
        found = {outcome.file_id: (outcome.state, outcome.reason) for outcome in written.outcomes}
        assert found == {
            good.file_id: (FileState.SUCCESS, ""),
            changed.file_id: (FileState.FAILED, "changed"),
            gone.file_id: (FileState.FAILED, "missing"),
            torn.file_id: (FileState.FAILED, "truncated"),
        }
        one.publish(batch, [good, changed, gone, torn], written)
        assert one.ids() == [1]

    def test_a_batch_without_a_good_row_lands_as_an_empty_snapshot(self, bench):
        one = bench()
        file = one.put("not json")
        batch, landing = one.load(file)
        assert landing.kind is LandingKind.LANDED
        assert one.rows() == []
        assert one.engine.landing(batch).kind is LandingKind.LANDED

    def test_a_partitioned_table_is_loaded(self, bench):
        one = bench(destination={"table": "db.events", "partition_by": ["name", "bucket(2, id)"]})
        one.load(one.put(*({"id": n, "name": f"n{n % 3}"} for n in range(30))))
        assert one.ids() == list(range(30))
        paths = one.table.look().loaded.inspect.files()["file_path"].to_pylist()
        assert all("/name=n" in path and "/id_bucket_2=" in path for path in paths)

    def test_nothing_is_left_in_staging(self, bench, tmp_path):
        one = bench(destination={"table": "db.events", "partition_by": ["name"]})
        one.load(one.put({"id": 1, "name": "x"}, "broken"))
        assert list((tmp_path / "home" / "staging").iterdir()) == []

    def test_remote_files_come_through_the_spool_as_much_as_fits_at_a_time(self, bench, s3, settings):
        store = open_store(s3.url, s3.options)
        small = Settings(**{**settings.model_dump(), "spool_max_bytes": 250})
        one = bench(store=store, with_settings=small)
        files = []
        for number in range(6):
            data = f'{{"id": {number}, "name": "{"x" * 60}"}}\n'.encode()
            path = s3.put(f"in/f {number}.jsonl", data)
            files.append(BatchFile(number + 1, path, store.stat(path).version, len(data)))
        big = s3.put("in/big.jsonl", b'{"id": 99}\n' * 50)
        files.append(BatchFile(98, big, store.stat(big).version, 550))
        s3.remove("in/f 2.jsonl")
        s3.put("in/f 3.jsonl", b'{"id": 333}\n')
        batch = one.batch(files)
        written = one.engine.write(batch, files)
        one.publish(batch, files, written)
        assert one.ids() == [0, 1, 4, 5]
        reasons = {outcome.file_id: outcome.reason for outcome in written.outcomes if outcome.reason}
        assert reasons == {3: "missing", 4: "changed", 98: "too-large"}

    def test_a_write_that_is_thrown_away_leaves_no_file(self, bench, tmp_path):
        one = bench()
        file = one.put({"id": 1}, "broken")
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        assert len(list((tmp_path / "home" / "warehouse").rglob("*.parquet"))) == 2
        one.engine.discard(written)
        assert list((tmp_path / "home" / "warehouse").rglob("*.parquet")) == []

    def test_a_write_that_breaks_half_way_leaves_no_file(self, bench, tmp_path):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        failpoints.arm("half-written=error")
        try:
            with pytest.raises(RuntimeError):
                one.engine.write(batch, [file])
        finally:
            failpoints.arm("")
        assert list((tmp_path / "home" / "warehouse").rglob("*.parquet")) == []

    def test_receipts_that_are_gone_or_broken_are_told(self, bench, tmp_path):
        one = bench()
        batch = one.batch()
        path = one.engine.write_receipt(batch, "a1", {"batch_id": str(batch.id)})
        assert one.engine.read_receipt(path) == {"batch_id": str(batch.id)}
        assert path.endswith(f"/autoloader/{batch.id}.a1.json.gz")
        with pytest.raises(FileMissing):
            one.engine.read_receipt(path + "x")
        for junk in (b"junk", gzip.compress(b"junk"), gzip.compress(b"{}")[:-1]):
            Path(path.removeprefix("file://")).write_bytes(junk)
            with pytest.raises(LandingIncomplete, match="cannot be read"):
                one.engine.read_receipt(path)
        Path(path.removeprefix("file://")).write_bytes(gzip.compress(b"[]"))
        with pytest.raises(LandingIncomplete, match="is not an object"):
            one.engine.read_receipt(path)


class TestTheTable:
    def test_is_made_once_with_row_columns_last(self, bench):
        one = bench()
        state = one.engine.ensure_table()
        assert state.schema.names == ("id", "name", "_file_id", "_source_file", "_ingested_at", "_rescued_data")
        assert one.engine.ensure_table() == state == one.engine.table_state()

    def test_that_was_there_gets_the_row_columns_and_what_is_declared(self, bench, catalog):
        from app.datatypes import parse_schema

        catalog.create("db.events", parse_schema("id bigint"))
        one = bench(row_columns={"source_file": None, "rescued_data": "leftover"})
        assert one.engine.ensure_table().schema.names == ("id", "name", "_file_id", "_ingested_at", "leftover")

    def test_whose_column_has_another_type_than_declared_is_refused(self, bench, catalog):
        from app.datatypes import parse_schema

        catalog.create("db.events", parse_schema("id string"))
        with pytest.raises(InvalidInput, match="id is declared as bigint"):
            bench().engine.ensure_table()

    def test_whose_row_column_has_another_type_is_refused(self, bench, catalog):
        from app.datatypes import parse_schema

        catalog.create("db.events", parse_schema("id bigint, _file_id string"))
        with pytest.raises(InvalidInput, match="_file_id"):
            bench().engine.ensure_table()

    def test_cannot_have_a_declared_column_named_like_a_row_column(self, bench):
        with pytest.raises(InvalidInput, match="_FILE_ID"):
            bench(columns={"columns": "_FILE_ID bigint"}).engine.ensure_table()

    def test_that_is_not_there_is_not_found(self, bench):
        with pytest.raises(TableNotFound):
            bench().engine.table_state()

    def test_gets_new_columns_in_a_commit_of_their_own(self, bench):
        one = bench(columns={"columns": "id bigint, home struct<lat: double>"})
        file = one.put({"id": 1, "more": "x", "home": {"lat": 1.5, "zip": "00100"}})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        asked = {str(column) for column in written.new_columns}
        assert "more string" in asked
        assert any(column.startswith("home struct<lat: double, zip") for column in asked)
        one.engine.discard(written)
        one.engine.add_columns(written.new_columns)
        again = one.engine.write(batch, [file])
        assert again.new_columns == ()
        one.publish(batch, [file], again)
        (row,) = one.rows()
        assert (row["more"], row["_rescued_data"]) == ("x", None)
        assert row["home"]["lat"] == 1.5
        assert str(row["home"]["zip"]) in {"00100", "100"}


@pytest.mark.parametrize(
    ("ending", "says", "expected"),
    [
        ("a.jsonl", "auto", "none"),
        ("a.jsonl.gz", "auto", "gzip"),
        ("a.JSONL.GZ", "auto", "gzip"),
        ("a.zst", "auto", "zstd"),
        ("a.bz2", "auto", "bz2"),
        ("a.gz", "none", "none"),
        ("a", "zstd", "zstd"),
        (".gz/a", "auto", "none"),
    ],
)
def test_the_compression_is_decided_by_the_ending_unless_it_is_told(ending, says, expected):
    from app.ingest.engines.embedded_input import compression_of
    from app.schemas.ingestion import FormatShape

    assert compression_of(f"s3://b/{ending}", FormatShape(type="jsonl", compression=says)) == expected


def test_settings_bound_the_parser():
    from app.ingest.engines.embedded_input import parse_limits

    limits = parse_limits(Settings(parser_threads=0, parser_memory_bytes=5))
    assert (limits.threads, limits.memory_bytes) == (os.cpu_count(), 5)
