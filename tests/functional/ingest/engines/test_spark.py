"""The Spark engine beside the embedded one: the same files, the same options, the same table."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import random
from contextlib import contextmanager
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from app.errors import CommitConflict, InvalidInput, SparkJobFailed, SparkUnavailable
from app.ingest.engines import spark_csv, spark_publish, spark_source, spark_stage
from app.ingest.engines.spark import SparkEngine
from app.ingest.landing import ATTEMPT
from app.models import Batch
from app.services import wiring
from app.services.file_service import FileService
from app.services.load_service import LoadService
from app.spark import connect, endpoint_of
from app.values import BatchFile, LandingKind
from tests.functional.catalog.conftest import batch_of
from tests.functional.spark_loading import CLUSTER, SparkLoader
from tests.services.spark.jars import VERSION
from tests.services.spark.server import CACHED


@pytest.fixture
def both(sqlite_database, tmp_path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


def test_odd_names_of_files_and_folders_find_their_ids(both):
    names = ["a b.jsonl", "a%20b.jsonl", "a+b.jsonl", "a#b.jsonl", "a?b.jsonl", "a*[1]{x}.jsonl", "ü😀'\".jsonl"]
    names += ["year=2024/part=1.jsonl", "value=7/x.jsonl", "deep/er/x.jsonl", "semi;colon,&=.jsonl", "${x}.jsonl"]
    for number, name in enumerate(names):
        both.put(name, f'{{"id": {number}}}\n')
    both.on_spark("odd", columns={"columns": "id bigint"})
    with both.opened("odd") as loaded:
        rows = loaded.scan().to_arrow().to_pylist()
    assert {row["id"]: row["_source_file"] for row in rows} == {
        number: str(both.source / name) for number, name in enumerate(names)
    }
    assert len({row["_file_id"] for row in rows}) == len(names)


def test_a_second_run_loads_what_is_new_and_nothing_twice_by_both_engines_in_turn(both):
    for number, engine in enumerate([CLUSTER, "embedded", CLUSTER, "embedded"]):
        both.put(f"{number}.jsonl", f'{{"id": {number}}}\n')
        both.load(both.server.table("turns"), engine=engine, columns={"columns": "id bigint"})
        assert [json.loads(row)["id"] for row in both.rows("turns")] == list(range(number + 1))


@pytest.mark.parametrize("sizes", ["of one size", "of different sizes"])
def test_a_file_that_changes_or_goes_while_it_is_loaded_has_no_row_and_its_neighbours_have_theirs(
    both, monkeypatch, sizes
):
    ids = (1, 1, 1, 1) if sizes == "of one size" else (1, 22, 333, 4444)
    for name, number in zip(("gone", "longer", "touched", "good"), ids, strict=True):
        both.put(f"{name}.jsonl", f'{{"id": {number}}}\n')
    read = spark_source.read

    def meddled(session, files, *rest):
        (both.source / "gone.jsonl").unlink(missing_ok=True)
        (both.source / "longer.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
        os.utime(both.source / "touched.jsonl")
        return read(session, files, *rest)

    monkeypatch.setattr(spark_source, "read", meddled)
    both.on_spark("meddled", columns={"columns": "id bigint"})
    assert [(file[0], file[1], file[5]) for file in both.files("meddled")] == [
        ("gone.jsonl", "SKIPPED", "missing"),
        ("good.jsonl", "SUCCESS", ""),
        ("longer.jsonl", "SKIPPED", "changed"),
        ("touched.jsonl", "SKIPPED", "changed"),
    ]
    assert len(both.rows("meddled")) == 1


@pytest.mark.parametrize("folder", ["token=abcdef123456", "/".join(["long" * 40] * 3)])
def test_a_file_that_changes_is_told_from_its_neighbours_where_its_name_cannot_be_shown(both, monkeypatch, folder):
    """Its name looks like a secret, or is longer than what is kept of an error: the store tells which file it is."""
    (both.source / folder).mkdir(parents=True)
    for number in range(4):
        both.put(f"{folder}/{10**number}.jsonl", f'{{"id": {10**number}}}\n')
    read, reads = spark_source.read, []

    def meddled(session, files, *rest):
        (both.source / folder / "10.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
        reads.append(len(files))
        return read(session, files, *rest)

    monkeypatch.setattr(spark_source, "read", meddled)
    both.on_spark("unnamed", columns={"columns": "id bigint"})
    assert {file[0].rpartition("/")[2]: (file[1], file[5]) for file in both.files("unnamed")} == {
        "1.jsonl": ("SUCCESS", ""),
        "10.jsonl": ("SKIPPED", "changed"),
        "100.jsonl": ("SUCCESS", ""),
        "1000.jsonl": ("SUCCESS", ""),
    }
    assert reads == [4, 3]


def test_a_header_that_stands_twice_is_seen_though_another_file_loses_its_own_meanwhile(both, monkeypatch):
    monkeypatch.setattr(spark_csv, "WHOLE_BYTES", 0)
    both.put("a.csv", "id,s\n1,a\n")
    both.put("b.csv", "id,s\n2,b\nid,s\n3,c\n")
    both.put("c.csv", "id,s\n4,d\n")
    looked = spark_csv.CsvOnSpark.look

    def meddled(*given):
        found = looked(*given)
        before = (both.source / "c.csv").stat()
        both.put("a.csv", "idx,s\n1,a\n")
        both.put("c.csv", "ID,s\n4,d\n")
        os.utime(both.source / "c.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
        return found

    monkeypatch.setattr(spark_csv.CsvOnSpark, "look", meddled)
    both.on_spark("headers", format={"type": "csv"}, columns={"columns": "id string, s string"})
    reasons = {file[0]: file[5] for file in both.files("headers")}
    assert reasons == {"a.csv": "changed", "b.csv": "not-on-spark", "c.csv": "not-on-spark"}
    assert both.rows("headers") == []


@pytest.mark.parametrize("ending", ["", ".gz", ".bz2"])
def test_headers_of_large_files_are_told_however_spark_cuts_them(both, monkeypatch, ending):
    """Files are cut in many parts, a task reads parts of several files, and not all have the same header."""
    monkeypatch.setattr(spark_csv, "WHOLE_BYTES", 30)
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[ending]
    rows = {"a": 400, "b": 3, "c": 4, "d": 90, "e": 5, "f": 1, "g": 0}
    for name, count in rows.items():
        header = "s,id\n" if name in "bd" else "id,s\n"
        lines = (f"{name * 20},{one}\n" if name in "bd" else f"{one},{name * 20}\n" for one in range(count))
        both.put(f"{name}.csv{ending}", pack((header + "".join(lines)).encode()))
    given = {"format": {"type": "csv"}, "columns": {"columns": "id bigint, s string"}}
    both.on_spark("cuts_there", **given)
    both.embedded("cuts_here", **given)
    assert {file[0][0]: file[1:5] for file in both.files("cuts_there")} == {
        name: ("SUCCESS", count, 0, 0) for name, count in rows.items()
    }
    assert both.rows("cuts_there") == both.rows("cuts_here")


def test_a_packed_header_that_stands_twice_fails_its_file(both, monkeypatch):
    monkeypatch.setattr(spark_csv, "WHOLE_BYTES", 0)
    both.put("a.csv.gz", gzip.compress(b"id,s\n1,a\nid,s\n"))
    both.put("b.csv.gz", gzip.compress(b"id,s\n2,b\n"))
    both.on_spark("twice", format={"type": "csv"}, columns={"columns": "id string, s string"})
    assert {file[0]: file[5] for file in both.files("twice")} == {"a.csv.gz": "not-on-spark", "b.csv.gz": ""}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_no_row_of_a_bzip2_file_is_there_twice_where_a_cluster_cuts_it_small(both, monkeypatch, kind):
    """Parts that end where a block begins, with none that begins in them: Hadoop gives the block to two of them."""
    chance, rows = random.Random(1), 60_000
    texts = ("".join(chance.choices("abcdefgh", k=30)) for _ in range(rows))
    lines = [f"{one},{text}" if kind == "csv" else f'{{"id":{one},"s":"{text}"}}' for one, text in enumerate(texts)]
    content = bz2.compress("\n".join([*(["id,s"] if kind == "csv" else []), *lines, ""]).encode())
    bits = f"{int.from_bytes(content, 'big'):0{len(content) * 8}b}"
    second = bits.index(f"{0x314159265359:048b}", 1000) // 8
    cut = next(second // parts for parts in range(3, 400) if second % parts == 0)
    monkeypatch.setattr(spark_csv, "WHOLE_BYTES", 0)
    monkeypatch.setitem(spark_source.SETTINGS, "spark.sql.files.openCostInBytes", str(cut))
    monkeypatch.setitem(spark_source.SETTINGS, "spark.sql.files.minPartitionNum", "100000")
    both.put(f"a.{kind}.bz2", content)
    both.on_spark("blocks", format={"type": kind}, columns={"columns": "id bigint, s string"})
    with both.opened("blocks") as loaded:
        ids = loaded.scan(selected_fields=("id",)).to_arrow()["id"].to_pylist()
    assert sorted(ids) == list(range(rows))


def test_the_cut_that_a_cluster_wants_is_its_own_again_behind_a_batch_with_a_bzip2_file(spark_server):
    session = connect(endpoint_of(spark_server.url, {f"conf.{spark_source._LEAST}": "9"}), "tests")
    try:
        for name, wanted in (("a.csv", "9"), ("b.csv.bz2", "1"), ("c.csv", "9")):
            spark_source.cut_whole(session, [BatchFile(1, f"/{name}", "1-1", 1)])
            assert session.setting(spark_source._LEAST) == wanted
    finally:
        session.close()


def test_where_a_cluster_puts_the_begins_of_large_files_elsewhere_they_fail_and_no_header_becomes_a_row(
    both, monkeypatch
):
    monkeypatch.setattr(spark_csv, "WHOLE_BYTES", 0)
    monkeypatch.setattr(spark_source, "cut_for", lambda *_: None)
    monkeypatch.setattr(spark_source, "cut_whole", lambda session, _: session.set({spark_source._LEAST: "1"}))
    for name in "abcdefgh":
        both.put(f"{name}.csv", f"id,s\n1,{name * 5}\n")
    both.on_spark("packed_begins", format={"type": "csv"}, columns={"columns": "id string, s string"})
    ended = [(file[1], file[5]) for file in both.files("packed_begins")]
    assert set(ended) == {("FAILED", "not-on-spark"), ("SUCCESS", "")}
    rows = both.rows("packed_begins")
    assert len(rows) == ended.count(("SUCCESS", ""))
    assert all('"id": "1"' in row for row in rows)


def test_a_file_that_takes_the_size_of_another_one_is_not_loaded_as_that_one(both, monkeypatch):
    for name, number in (("a", 1), ("b", 22)):
        both.put(f"{name}.jsonl", f'{{"id": {number}}}\n')
    read = spark_source.read

    def meddled(session, files, *rest):
        if len(files) == 2:
            before = (both.source / "b.jsonl").stat()
            (both.source / "a.jsonl").write_text('{"id": 33}\n')
            os.utime(both.source / "a.jsonl", ns=(before.st_atime_ns, before.st_mtime_ns))
        return read(session, files, *rest)

    monkeypatch.setattr(spark_source, "read", meddled)
    both.on_spark("taken", columns={"columns": "id bigint"})
    assert [(file[0], file[1], file[5]) for file in both.files("taken")] == [
        ("a.jsonl", "SKIPPED", "changed"),
        ("b.jsonl", "SUCCESS", ""),
    ]
    (row,) = both.rows("taken")
    assert "22" in row


def test_a_file_that_spark_cannot_read_as_it_is_fails_and_says_so_and_the_others_are_loaded(both):
    both.put("a:b.jsonl", '{"id": 1}\n')
    both.put("packed.jsonl.zst", '{"id": 1}\n')
    both.put("good.jsonl", '{"id": 1}\n')
    both.on_spark("refused", format={"type": "jsonl"}, columns={"columns": "id bigint"})
    assert [(file[0], file[1], file[5]) for file in both.files("refused")] == [
        ("a:b.jsonl", "FAILED", "not-on-spark"),
        ("good.jsonl", "SUCCESS", ""),
        ("packed.jsonl.zst", "FAILED", "not-on-spark"),
    ]


def test_files_called_gz_that_are_none_say_so_and_their_neighbours_are_loaded(both):
    for number in range(3):
        both.put(f"none-{number}.jsonl.gz", '{"id": 1}\n')
    both.put("good.jsonl", '{"id": 1}\n')
    summary = both.on_spark("gzip", columns={"columns": "id bigint"})
    assert (summary.metrics["rows"], summary.metrics["batches"]) == (1, 1)
    for number in range(3):
        [file] = FileService(both.database, both.settings).show(f"none-{number}.jsonl.gz")
        assert (file.state, file.reason) == ("QUARANTINED", "undecodable")
        assert "is not a gzip stream" in file.error


def test_a_broken_gz_says_what_is_wrong_with_it_where_spark_names_it_and_tells_no_reason(both):
    text = b"".join(b'{"id": %d}\n' % random.randrange(10**9) for _ in range(2000))
    packed = gzip.compress(text)
    both.put("head.jsonl.gz", packed[:20])
    both.put("flip.jsonl.gz", packed[:2000] + bytes([packed[2000] ^ 255]) + packed[2001:])
    both.put("good.jsonl", '{"id": 1}\n')
    both.on_spark("broken", columns={"columns": "id bigint"})
    for name, reason, told in (
        ("head", "truncated", "ends before its gzip stream does"),
        ("flip", "undecodable", "is not a sound gzip stream: "),
    ):
        [file] = FileService(both.database, both.settings).show(f"{name}.jsonl.gz")
        assert (file.state, file.reason) == ("QUARANTINED", reason)
        assert f"{name}.jsonl.gz {told}" in file.error


def test_a_file_alone_that_fails_its_job_is_blamed_after_a_trial_that_leaves_nothing_behind(both):
    both.put("cut.jsonl.gz", gzip.compress(b'{"id": 1, "at": "2025-01-01T00:00:00Z"}\n' * 10)[:-5])
    given = {
        "columns": {"columns": "id bigint not null, at timestamptz, tags array<string>"},
        "destination": {"partition_by": ["day(at)", "bucket(4, id)"]},
    }
    told = r"\(a packed file is not a whole gzip file\)\. A trial that was written in its place.*cut\.jsonl\.gz"
    with pytest.raises(SparkJobFailed, match=told if VERSION == "3.5" else r"cut\.jsonl\.gz"):
        both.on_spark("cut", **given)
    both.on_spark("cut", **given)
    # 4.0 names the file that it cannot read, which is another way to the same end.
    ended = {"3.5": ("FAILED", "job-failed"), "4.0": ("QUARANTINED", "truncated")}[VERSION]
    assert [(file[0], file[1], file[5]) for file in both.files("cut")] == [("cut.jsonl.gz", *ended)]
    with both.opened("cut") as loaded:
        assert loaded.scan().to_arrow().num_rows == 0
        assert len(loaded.metadata.snapshots) == len(loaded.history()), "no staged snapshot is left"


@pytest.mark.parametrize(("properties", "codec"), [({}, "ZSTD"), ({"write.parquet.compression-codec": "gzip"}, "GZIP")])
def test_data_files_are_packed_as_the_table_says_and_else_with_zstd(both, properties, codec):
    both.put("1.jsonl", '{"id": 1}\n')
    both.on_spark("packed", columns={"columns": "id bigint"}, destination={"properties": properties})
    with both.opened("packed") as loaded:
        [file] = loaded.inspect.files()["file_path"].to_pylist()
        with loaded.io.new_input(file).open() as opened:
            assert pq.ParquetFile(opened).metadata.row_group(0).column(0).compression == codec


def test_a_batch_without_a_good_row_lands_empty_and_its_rejects_are_kept(both):
    both.put("bad.jsonl", "no\nnor this\n")
    summary = both.on_spark("empty", columns={"columns": "id bigint"})
    assert (summary.metrics["rows"], summary.metrics["rejected"]) == (0, 2)
    assert [reject[2] for reject in both.rejects("empty")] == ["no", "nor this"]


def test_staging_that_was_switched_off_by_hand_is_switched_on_again_before_anything_is_written(both):
    both.put("1.jsonl", '{"id": 1}\n')
    both.on_spark("staged", columns={"columns": "id bigint"})
    with both.opened("staged") as loaded:
        loaded.transaction().remove_properties(spark_stage.STAGING).commit_transaction()
    both.put("2.jsonl", '{"id": 2}\nbad\n')
    both.on_spark("staged", columns={"columns": "id bigint"})
    with both.opened("staged") as loaded:
        assert loaded.properties[spark_stage.STAGING] == "true"
    assert [json.loads(row)["id"] for row in both.rows("staged")] == [1, 2]


def test_what_a_successor_needs_to_stop_the_work_is_stored_before_it_begins(both):
    both.put("1.jsonl", '{"id": 1}\n')
    both.on_spark("stored", columns={"columns": "id bigint"})
    with both.database.read_scope() as session:
        [job] = session.scalars(select(Batch.engine_job))
    assert {key: bool(value) for key, value in json.loads(job).items()} == {"session": True, "user": True}


def test_a_table_that_spark_keeps_for_half_a_minute_is_read_fresh_nevertheless(sqlite_database, tmp_path, spark_server):
    cached = SparkLoader(sqlite_database, tmp_path, replace(spark_server, catalog=CACHED))
    for number in range(3):
        cached.put(f"{number}.jsonl", f'{{"id": {number}, "c{number}": 1}}\n')
        cached.load(cached.server.table("fresh"), engine=(CLUSTER, "embedded")[number % 2])
    assert len(cached.rows("fresh")) == 3
    assert all(f"c{number} bigint" in cached.schema("fresh") for number in range(3))


def test_a_cluster_that_is_not_there_or_a_catalog_of_this_machine_is_refused_with_the_next_step(both):
    both.put("1.jsonl", '{"id": 1}\n')
    with pytest.raises(InvalidInput, match="There is no cluster 'other'"):
        both.load(both.server.table("never"), engine="other")
    with pytest.raises(InvalidInput, match="is in a file of this machine: the cluster big cannot use it"):
        both.load("local.demo.never", engine=CLUSTER)


@contextmanager
def written_batch(both, name):
    """An engine, and a batch of one file that it has staged."""
    path = both.put("1.jsonl", '{"id": 1}\n')
    given = {"engine": CLUSTER, "columns": {"columns": "id bigint"}}
    found = LoadService(both.database, both.settings).prepare(str(both.source), both.server.table(name), given)
    with (
        wiring.opened_sandbox(both.settings) as sandbox,
        wiring.opened_engine(both.database, both.settings, found.ingestion, sandbox) as engine,
    ):
        assert isinstance(engine, SparkEngine)
        engine.ensure_table()
        batch = batch_of(engine.table)
        size = path.stat().st_size
        file = BatchFile(7, str(path), f"{size}-{path.stat().st_mtime_ns}", size)
        yield engine, batch, engine.write(batch, [file])


def test_a_session_that_could_not_be_prepared_is_used_by_nobody(both, monkeypatch):
    prepare = spark_source.prepare

    def cut(session, access):
        monkeypatch.setattr(spark_source, "prepare", prepare)
        raise SparkUnavailable("The connection was cut.")

    with written_batch(both, "unprepared") as (engine, _, written):
        engine.discard(written)
        engine.close()
        monkeypatch.setattr(spark_source, "prepare", cut)
        with pytest.raises(SparkUnavailable):
            engine.job()
        assert engine.session.setting("spark.sql.caseSensitive") == "true"


def test_what_was_staged_is_not_seen_until_it_is_published_and_is_published_once(both):
    with written_batch(both, "once") as (engine, batch, written):
        assert engine.landing(batch).kind is LandingKind.NOT_LANDED
        assert both.rows("once") == []
        engine.table.look().append((), {})  # main moves, so that the files come by a copy of the snapshot
        for _ in range(2):
            landing = engine.publish(batch, written, {})
            assert landing.kind is LandingKind.LANDED
            assert landing.snapshot.summary[ATTEMPT] == written.attempt
        with pytest.raises(CommitConflict):
            spark_publish.cherry_pick(engine.session, engine.table.name, written.handle.snapshot.snapshot_id)
        engine.discard(written)
    assert len(both.rows("once")) == 1


def test_a_batch_whose_id_was_spent_is_refused_by_iceberg_itself(both):
    with written_batch(both, "spent") as (engine, batch, written):
        assert engine.spend(batch).kind is LandingKind.SPENT
        assert engine.publish(batch, written, {}).kind is LandingKind.SPENT
        with pytest.raises(CommitConflict):
            spark_publish.cherry_pick(engine.session, engine.table.name, written.handle.snapshot.snapshot_id)
        engine.discard(written)
        with both.opened("spent") as loaded:
            left = [one.snapshot_id for one in loaded.snapshots()]
        assert written.handle.snapshot.snapshot_id not in left
    assert both.rows("spent") == []
