"""The reject table as the embedded engine fills it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.catalog import rejects as reject_table
from app.catalog.names import parse_table_name
from app.errors import (
    LandingIncomplete,
)
from app.ingest import commit
from app.ingest.landing import reject_file_of
from app.values import RejectFile
from tests.functional import hands
from tests.functional.ingest.engines.commits import lands_but_lost, nth, tampered


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
