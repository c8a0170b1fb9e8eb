"""What the embedded engine publishes: once, whatever becomes of the commit's answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from app.catalog.open import local_options, open_catalog
from app.errors import (
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
)
from app.ingest.engines import embedded_publish
from app.values import LandingKind
from tests.functional.ingest.engines.commits import expired, lands_but_lost, lost, nth, tampered


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
