"""The embedded engine: files in, one snapshot out, once."""

from __future__ import annotations

import gzip
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pyiceberg.exceptions import AuthorizationExpiredError
from requests.exceptions import ConnectionError as RequestsConnectionError

from app import failpoints
from app.catalog import rejects as reject_table
from app.catalog.names import parse_table_name
from app.catalog.open import local_options, open_catalog
from app.config import Settings
from app.datatypes import Column, parse_type
from app.errors import (
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    FileMissing,
    InvalidInput,
    LandingIncomplete,
    TableChanged,
    TableNotFound,
)
from app.ingest import commit
from app.ingest.engines import embedded_publish
from app.ingest.landing import reject_file_of
from app.storage import open_store
from app.values import BatchFile, FileState, LandingKind, RejectFile
from tests.functional import hands


def tampered(monkeypatch, table, around):
    """Let `around(real)` be the catalog's way to commit to this table; other tables keep theirs."""
    library = table.catalog.library
    real = library.commit_table

    def commit_table(target, requirements, updates):
        if target.name() == table.name.identifier:
            return around(lambda: real(target, requirements, updates))
        return real(target, requirements, updates)

    monkeypatch.setattr(library, "commit_table", commit_table)


def nth(number, act):
    """Do `act(real)` at the n-th commit, and let all others through."""
    seen = []

    def around(real):
        seen.append(1)
        return act(real) if len(seen) == number else real()

    return around


def changed_meanwhile(monkeypatch, change):
    """The columns change while a commit is under way, whose answer is lost."""
    monkeypatch.undo()
    change()
    lost(None)


def lost(real):
    message = "connection reset"
    raise RequestsConnectionError(message)


def expired(*_):
    raise AuthorizationExpiredError("the token has expired")


def lands_but_lost(real):
    real()
    lost(real)


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


class TestOnce:
    def test_publishing_again_answers_the_first_landing(self, bench):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        first = one.publish(batch, [file], one.engine.write(batch, [file]))
        second = one.publish(batch, [file], one.engine.write(batch, [file]))
        assert second.kind is LandingKind.LANDED
        assert second.snapshot == first.snapshot
        assert one.ids() == [1]

    def test_a_foreign_commit_between_look_and_commit_is_overcome(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])

        def foreign_first(real):
            one.table.look().append((), {"who": "foreign"})
            return real()

        tampered(monkeypatch, one.table, nth(1, foreign_first))
        assert one.publish(batch, [file], written).kind is LandingKind.LANDED
        assert one.ids() == [1]
        assert len(one.table.lineage().ancestors) == 2

    def test_a_rival_that_lands_the_batch_between_look_and_commit_is_the_answer(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        ours, theirs = one.engine.write(batch, [file]), one.engine.write(batch, [file])
        rival = []

        def rival_first(real):
            rival.append(one.publish(batch, [file], theirs))
            return real()

        tampered(monkeypatch, one.table, nth(1, rival_first))
        answer = one.publish(batch, [file], ours)
        assert answer.snapshot == rival[0].snapshot
        assert answer.snapshot.summary["autoloader.attempt"] == theirs.attempt
        assert one.ids() == [1]

    def test_an_answer_lost_after_landing_is_found(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        tampered(monkeypatch, one.table, nth(1, lands_but_lost))
        answer = one.publish(batch, [file], written)
        assert answer.kind is LandingKind.LANDED
        assert answer.snapshot.summary["autoloader.attempt"] == written.attempt
        assert one.ids() == [1]

    def test_an_answer_lost_before_landing_is_made_good(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        tampered(monkeypatch, one.table, nth(1, lost))
        assert one.publish(batch, [file], written).kind is LandingKind.LANDED
        assert one.ids() == [1]

    def test_an_answer_that_stays_lost_is_unknown_and_keeps_its_files(self, bench, monkeypatch, tmp_path):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        tampered(monkeypatch, one.table, lost)
        with pytest.raises(CommitUnknown):
            one.publish(batch, [file], written)
        assert all(Path(path.removeprefix("file://")).exists() for path in written.handle.paths)

    def test_a_catalog_that_falls_silent_after_the_commit_is_unknown(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        library = one.table.catalog.library
        real_load = library.load_table

        def lands_and_dies(real):
            real()
            monkeypatch.setattr(library, "load_table", lambda _: lost(None))
            lost(real)

        tampered(monkeypatch, one.table, nth(1, lands_and_dies))
        with pytest.raises(CommitUnknown, match="whether it landed"):
            one.publish(batch, [file], written)
        monkeypatch.setattr(library, "load_table", real_load)
        assert one.engine.landing(batch).kind is LandingKind.LANDED

    def test_a_catalog_that_refuses_us_after_a_commit_was_sent_is_unknown(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])

        def lands_and_the_token_expires(real):
            real()
            monkeypatch.setattr(one.table.catalog.library, "load_table", expired)
            lost(real)

        tampered(monkeypatch, one.table, nth(1, lands_and_the_token_expires))
        with pytest.raises(CommitUnknown, match="whether it landed: The catalog refused us"):
            embedded_publish.publish(one.table, batch, written.handle, {}, 2)

    def test_a_catalog_that_is_silent_from_the_start_is_unavailable_and_nothing_was_sent(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        monkeypatch.setattr(one.table.catalog.library, "load_table", lambda _: lost(None))
        with pytest.raises(CatalogUnavailable):
            embedded_publish.publish(one.table, batch, written.handle, {}, 3)

    def test_a_table_that_stays_busy_is_a_conflict(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        turns = []

        def always_late(real):
            if not turns or turns[-1] != "foreign":
                turns.append("foreign")
                one.table.look().append((), {})
                turns.append("ours")
            return real()

        tampered(monkeypatch, one.table, always_late)
        with pytest.raises(CommitConflict):
            one.publish(batch, [file], written)
        assert one.rows() == []

    @pytest.mark.parametrize("retries", ["0", "20"])
    def test_of_rivals_that_publish_one_batch_at_once_one_lands(self, bench, catalog, tmp_path, retries):
        one = bench(destination={"table": "db.events", "properties": {"commit.retry.num-retries": retries}})
        file = one.put({"id": 1})
        batch = one.batch([file])
        attempts = [one.engine.write(batch, [file]) for _ in range(4)]
        gate = threading.Barrier(4)

        def rival(written):
            with open_catalog("local", local_options(tmp_path / "home")) as other:
                table = other.table("db.events")
                gate.wait()
                return embedded_publish.publish(table, batch, written.handle, {"attempt": written.attempt}, 20)

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(rival, attempts))
        assert {answer.kind for answer in answers} == {LandingKind.LANDED}
        assert len({answer.snapshot.snapshot_id for answer in answers}) == 1
        assert one.ids() == [1]


class TestSpending:
    def test_a_spent_id_is_never_published(self, bench):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        spent = one.engine.spend(batch)
        assert spent.kind is LandingKind.SPENT
        assert spent.snapshot.summary["autoloader.outcome"] == "spent"
        assert spent.snapshot.summary["published-wap-id"] == str(batch.id)
        late = one.publish(batch, [file], written)
        assert (late.kind, late.snapshot) == (LandingKind.SPENT, spent.snapshot)
        assert one.rows() == []
        assert one.engine.spend(batch).snapshot == spent.snapshot

    def test_a_landed_id_is_not_spent(self, bench):
        one = bench()
        file = one.put({"id": 1})
        batch, landing = one.load(file)
        assert one.engine.spend(batch).snapshot == landing.snapshot
        assert len(one.table.lineage().ancestors) == 1

    def test_a_zombie_that_lands_while_the_id_is_being_spent_wins(self, bench, monkeypatch):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])

        def zombie_first(real):
            one.publish(batch, [file], written)
            return real()

        tampered(monkeypatch, one.table, nth(1, zombie_first))
        assert one.engine.spend(batch).kind is LandingKind.LANDED
        assert one.ids() == [1]
        assert len(one.table.lineage().ancestors) == 1

    def test_a_spend_whose_answer_is_lost_is_looked_for(self, bench, monkeypatch):
        one = bench()
        batch = one.batch()
        tampered(monkeypatch, one.table, nth(1, lands_but_lost))
        assert one.engine.spend(batch).kind is LandingKind.SPENT
        assert len(one.table.lineage().ancestors) == 1

    def test_a_child_is_based_upon_the_spending_and_lands_once(self, bench):
        one = bench()
        file = one.put({"id": 1})
        parent = one.batch([file])
        zombie = one.engine.write(parent, [file])
        spent = one.engine.spend(parent)
        child = replace(
            parent,
            id=uuid4(),
            parent_id=parent.id,
            table_uuid=spent.table_uuid,
            base_snapshot_id=spent.snapshot.snapshot_id,
        )
        assert one.publish(child, [file], one.engine.write(child, [file])).kind is LandingKind.LANDED
        assert one.publish(parent, [file], zombie).kind is LandingKind.SPENT
        assert one.ids() == [1]


class TestWhatCannotBeKnown:
    def test_a_table_made_again_is_unknown_and_stays_untouched(self, bench, catalog):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        hands.drop(one.table)
        one.engine.ensure_table()
        assert one.publish(batch, [file], written).kind is LandingKind.UNKNOWN
        assert one.engine.spend(batch).kind is LandingKind.UNKNOWN
        assert one.table.lineage().ancestors == ()

    def test_a_rollback_past_the_base_is_unknown(self, bench):
        one = bench()
        one.load(one.put({"id": 1}))
        first = one.table.state().head
        one.load(one.put({"id": 2}))
        file = one.put({"id": 3})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        hands.roll_back(one.table, first)
        assert one.publish(batch, [file], written).kind is LandingKind.UNKNOWN
        assert one.ids() == [1]

    def test_a_first_batch_whose_table_was_replaced_is_unknown(self, bench):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        one.publish(batch, [file], one.engine.write(batch, [file]))
        hands.replace(one.table)
        assert one.engine.landing(batch).kind is LandingKind.UNKNOWN
        assert one.engine.spend(batch).kind is LandingKind.UNKNOWN

    def test_a_table_that_was_replaced_can_be_loaded_and_counts_from_a_snapshot_of_ours(self, bench):
        one = bench()
        one.load(one.put({"id": 1}))
        hands.replace(one.table)
        state = one.engine.table_to_claim()
        assert state.head is not None
        assert one.table.lineage().ancestors[0].summary["autoloader.outcome"] == "begun"
        assert one.engine.ensure_table() == one.engine.table_to_claim() == state
        _, landing = one.load(one.put({"id": 2}))
        assert landing.kind is LandingKind.LANDED
        assert one.ids() == [2]

    def test_a_new_table_is_claimed_as_it_is(self, bench):
        one = bench()
        assert one.engine.ensure_table().head is None
        assert one.engine.table_to_claim().head is None

    def test_a_base_that_was_expired_is_unknown(self, bench):
        one = bench()
        one.load(one.put({"id": 1}))
        batch = one.batch()
        one.load(one.put({"id": 2}))
        later = datetime.now(UTC) + timedelta(days=1)
        assert one.engine.expire(frozenset({batch.base_snapshot_id}), later) == 0
        assert one.engine.expire(frozenset(), later) == 1
        assert one.engine.landing(batch).kind is LandingKind.UNKNOWN


class TestColumnsThatChangeMeanwhile:
    def test_a_column_that_is_dropped_after_writing_makes_the_batch_be_written_again(self, bench):
        one = bench()
        file = one.put({"id": 1, "name": "a"})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        with one.table.look().loaded.update_schema() as update:
            update.delete_column("name")
        one.table.add_columns([Column("name", parse_type("int"))])
        with pytest.raises(TableChanged, match="string, now gone"):
            one.publish(batch, [file], written)
        again = one.engine.write(batch, [file])
        assert one.publish(batch, [file], again).kind is LandingKind.LANDED
        (row,) = one.rows()
        assert row["name"] is None
        assert "a" in row["_rescued_data"]

    @pytest.mark.parametrize("sent", [False, True])
    def test_files_that_must_be_written_again_are_thrown_away_only_if_no_commit_was_sent(
        self, bench, monkeypatch, sent
    ):
        one = bench()
        file = one.put({"id": 1, "name": "a"}, "broken")
        batch = one.batch([file])
        written = one.engine.write(batch, [file])

        def drop_a_column(real=None):
            with one.table.look().loaded.update_schema() as update:
                update.delete_column("name")
            return real() if real else None

        if sent:
            tampered(monkeypatch, one.table, nth(1, lambda real: changed_meanwhile(monkeypatch, drop_a_column)))
        else:
            drop_a_column()
        with pytest.raises(TableChanged):
            one.publish(batch, [file], written)
        one.engine.discard(written)
        there = [Path(path.removeprefix("file://")).exists() for path in written.handle.paths]
        assert there == [sent, sent]

    def test_files_of_the_table_are_never_thrown_away(self, bench):
        one = bench()
        file = one.put({"id": 1})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        one.publish(batch, [file], written)
        one.engine.discard(written)
        assert one.ids() == [1]

    def test_a_column_added_or_renamed_after_writing_does_no_harm(self, bench):
        one = bench()
        file = one.put({"id": 1, "name": "a"})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        one.table.add_columns([Column("other", parse_type("int"))])
        with one.table.look().loaded.update_schema() as update:
            update.rename_column("name", "label")
        assert one.publish(batch, [file], written).kind is LandingKind.LANDED
        assert one.rows()[0]["label"] == "a"

    def test_a_partition_that_changes_after_writing_makes_the_batch_be_written_again(self, bench):
        one = bench()
        file = one.put({"id": 1, "name": "a"})
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        with one.table.look().loaded.update_spec() as update:
            update.add_identity("name")
        with pytest.raises(TableChanged, match="partition"):
            one.publish(batch, [file], written)
        one.publish(batch, [file], one.engine.write(batch, [file]))
        assert one.ids() == [1]


class TestRejects:
    @pytest.fixture
    def landed(self, bench):
        one = bench()
        file = one.put({"id": 1}, "broken {", "also broken")
        batch = one.batch([file])
        written = one.engine.write(batch, [file])
        landing = one.publish(batch, [file], written)
        rejects = one.table.catalog.table(parse_table_name("local.db.events").rejects)
        return one, file, batch, landing, rejects

    def test_are_published_once_with_file_line_reason_and_text(self, landed):
        one, file, batch, landing, rejects = landed
        assert one.rows(rejects) == []
        for _ in range(3):
            commit.complete_rejects(one.engine, batch, landing)
        rows = one.rows(rejects)
        assert len(rows) == 2
        assert {row["raw"].strip() for row in rows} == {"broken {", "also broken"}
        assert {row["line"] for row in rows} == {2, 3}
        assert {row["file_id"] for row in rows} == {file.file_id}
        assert {row["source_file"] for row in rows} == {file.path}
        assert {row["batch_id"] for row in rows} == {str(batch.id)}
        assert {row["run_id"] for row in rows} == {str(batch.run_id)}
        assert all(row["ingested_at"] is not None and row["reason"] for row in rows)
        assert len(rejects.lineage().ancestors) == 1

    def test_whose_answer_is_lost_are_published_once(self, landed, monkeypatch):
        one, _, batch, landing, rejects = landed
        tampered(monkeypatch, rejects, nth(1, lands_but_lost))
        commit.complete_rejects(one.engine, batch, landing)
        assert len(one.rows(rejects)) == 2
        assert len(rejects.lineage().ancestors) == 1

    def test_that_a_rival_publishes_first_are_published_once(self, landed, monkeypatch):
        one, _, batch, landing, rejects = landed

        def rival_first(real):
            commit.complete_rejects(one.engine, batch, landing)
            return real()

        tampered(monkeypatch, rejects, nth(1, rival_first))
        commit.complete_rejects(one.engine, batch, landing)
        assert len(rejects.lineage().ancestors) == 1

    def test_count_by_the_attempt_that_landed_not_by_the_last_one_written(self, bench):
        one = bench()
        file = one.put({"id": 1}, "broken")
        batch = one.batch([file])
        first, second = one.engine.write(batch, [file]), one.engine.write(batch, [file])
        assert first.handle.reject_file != second.handle.reject_file
        landing = one.publish(batch, [file], first)
        assert landing.snapshot.summary["autoloader.reject-file"] == first.handle.reject_file.path
        one.engine.discard(second)
        commit.complete_rejects(one.engine, batch, landing)
        rejects = one.table.catalog.table(one.table.name.rejects)
        assert len(one.rows(rejects)) == 1

    def test_are_looked_for_among_the_rows_only_where_history_cannot_tell(self, landed, monkeypatch):
        one, _, batch, landing, rejects = landed
        monkeypatch.setattr(reject_table, "has_rows_of", None)
        for _ in range(2):
            commit.complete_rejects(one.engine, batch, landing)
        assert len(one.rows(rejects)) == 2

    @pytest.mark.parametrize("lost", ["expired", "copied", "replaced", "unnamed"])
    def test_whose_snapshot_is_lost_are_not_published_again_as_long_as_their_rows_are_there(self, landed, lost):
        one, _, batch, landing, rejects = landed
        commit.complete_rejects(one.engine, batch, landing)
        rows = rejects.look().loaded.scan().to_arrow()
        if lost == "copied":  # CREATE TABLE … AS SELECT under another name, drop, rename
            hands.drop(rejects)
            reject_table.ensure(one.table.catalog, one.table.name)
        if lost == "replaced":
            hands.replace(rejects)
        if lost in {"copied", "replaced"}:
            rejects.look().loaded.append(rows)
        hands.append_nothing(rejects)
        first = rejects.lineage().ancestors[-1].snapshot_id
        if lost in {"expired", "unnamed"}:
            hands.forget(rejects, [first])
        if lost == "unnamed":
            one.engine.publish_rejects(batch, RejectFile(landing.snapshot.summary["autoloader.reject-file"]))
        commit.complete_rejects(one.engine, batch, landing)
        assert len(one.rows(rejects)) == 2

    @pytest.mark.parametrize("lost", ["made again", "replaced", "rolled back", "rolled back past its base"])
    def test_whose_rows_were_taken_away_before_the_batch_was_settled_come_back(self, bench, lost):
        one = bench()
        first, _ = one.load(file := one.put({"id": 0}, "broken"))
        rejects = one.table.catalog.table(one.table.name.rejects)
        oldest = hands.append_nothing(rejects)
        one.engine.publish_rejects(first, reject_file_of(one.engine.landing(first).snapshot.summary))
        base = rejects.state().head
        batch, landing = one.load(file := one.put({"id": 1}, "also broken"))
        commit.complete_rejects(one.engine, batch, landing)
        if lost == "made again":
            hands.drop(rejects)
        elif lost == "replaced":
            hands.replace(rejects)
        else:
            hands.roll_back(rejects, base if lost == "rolled back" else oldest)
        for _ in range(2):
            commit.complete_rejects(one.engine, batch, landing)
        assert [row["file_id"] for row in one.rows(rejects)].count(file.file_id) == 1

    def test_have_their_history_expired_with_the_tables_but_not_while_a_batch_is_unfinished(self, landed):
        one, _, batch, landing, rejects = landed
        commit.complete_rejects(one.engine, batch, landing)
        base = one.table.state().head
        hands.append_nothing(one.table)
        hands.append_nothing(rejects)
        later = datetime.now(UTC) + timedelta(days=1)
        assert one.engine.expire(frozenset({base}), later) == 0
        assert len(rejects.lineage().ancestors) == 2
        assert one.engine.expire(frozenset(), datetime.now(UTC) - timedelta(days=5)) == 0
        assert one.engine.expire(frozenset(), later) == 2
        assert len(rejects.lineage().ancestors) == 1
        assert len(one.rows(rejects)) == 2

    def test_of_a_table_that_is_not_there_leave_nothing_to_expire(self, bench):
        assert bench().engine.expire(frozenset(), datetime.now(UTC)) == 0

    def test_whose_file_is_gone_or_broken_are_told_so(self, landed):
        one, _, batch, landing, _ = landed
        path = Path(landing.snapshot.summary["autoloader.reject-file"].removeprefix("file://"))
        path.write_bytes(b"junk")
        with pytest.raises(LandingIncomplete, match=r"The reject file .* cannot be read"):
            commit.complete_rejects(one.engine, batch, landing)
        path.unlink()
        with pytest.raises(LandingIncomplete, match="There is no reject file"):
            commit.complete_rejects(one.engine, batch, landing)

    def test_of_a_spent_batch_are_not_published(self, bench):
        one = bench()
        file = one.put({"id": 1}, "broken")
        batch = one.batch([file])
        one.engine.write(batch, [file])
        commit.complete_rejects(one.engine, batch, one.engine.spend(batch))
        assert one.rows(one.table.catalog.table(one.table.name.rejects)) == []


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
