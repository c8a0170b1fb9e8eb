"""What the embedded engine cannot know, and columns that change while it writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.datatypes import Column
from app.errors import (
    TableChanged,
)
from app.values import LandingKind
from tests.fakes.types import parse_type
from tests.functional import hands
from tests.functional.ingest.engines.commits import changed_meanwhile, nth, tampered


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
