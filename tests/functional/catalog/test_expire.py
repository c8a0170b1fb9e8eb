"""History is forgotten only where nobody can need it (point 11), and what is forgotten is noticed (point 4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.catalog.expire import retention_warning
from app.ingest.landing import decide
from app.values import LandingKind
from tests.functional import hands
from tests.functional.catalog.conftest import batch_of

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def chain(table):
    """Five snapshots, the oldest first."""
    return [table.look().append((), {"n": str(n)}).snapshot_id for n in range(5)]


def left(table) -> list[int]:
    return [snapshot.snapshot_id for snapshot in reversed(table.lineage().ancestors)]


def test_old_snapshots_go_and_the_head_stays(table, chain, writer, rows):
    writer.append(table, [{"id": 1}])
    assert table.expire(set(), LATER) == 5
    assert len(left(table)) == 1
    assert [row["id"] for row in rows(table)] == [1]


def test_a_base_and_all_after_it_stay(table, chain):
    assert table.expire({chain[2]}, LATER) == 2
    assert left(table) == chain[2:]


def test_the_oldest_of_several_bases_counts(table, chain):
    assert table.expire({chain[3], chain[1]}, LATER) == 1
    assert left(table) == chain[1:]


@pytest.mark.parametrize("protected", [{None}, {None, 1}, {123456}])
def test_a_base_that_is_not_there_or_an_empty_table_as_base_keeps_everything(table, chain, protected):
    assert table.expire(protected, LATER) == 0
    assert left(table) == chain


def test_young_snapshots_stay(table, chain):
    assert table.expire(set(), datetime.now(UTC) - timedelta(days=5)) == 0
    assert left(table) == chain


def test_snapshots_that_a_tag_names_and_the_tables_own_minimum_stay(table, chain):
    look = table.look()
    look.loaded.manage_snapshots().create_tag(chain[0], "keep").commit()
    with table.look().loaded.transaction() as change:
        change.set_properties({"history.expire.min-snapshots-to-keep": "3"})
    assert table.expire(set(), LATER) == 1
    assert left(table) == chain[2:]
    assert table.look().loaded.metadata.snapshot_by_id(chain[0]) is not None


def test_no_more_than_the_limit_goes_at_once(table, chain):
    assert table.expire(set(), LATER, limit=2) == 2
    assert left(table) == chain[2:]
    assert table.expire(set(), LATER, limit=2) == 2
    assert left(table) == chain[4:]


class TestWhatExpiryDoesToAnswers:
    def test_a_batch_of_an_empty_table_is_unknown_once_its_landing_may_be_gone(self, table):
        batch = batch_of(table)
        landed = table.look().append((), {"autoloader.batch-id": str(batch.id)})
        table.look().append((), {})
        assert decide(table.lineage(), batch).snapshot.snapshot_id == landed.snapshot_id
        table.expire(set(), LATER)
        # The survivor has no parent any more, and still is not taken for the table's first snapshot.
        survivor = table.lineage()
        assert survivor.ancestors[-1].parent_id is None
        assert not survivor.complete
        assert decide(survivor, batch).kind is LandingKind.UNKNOWN

    def test_a_batch_whose_base_was_expired_by_others_is_unknown(self, table, chain):
        batch = batch_of(table)
        table.look().append((), {"autoloader.batch-id": str(batch.id)})
        table.look().append((), {})
        table.expire(set(), LATER)
        assert decide(table.lineage(), batch).kind is LandingKind.UNKNOWN

    def test_a_batch_that_has_not_landed_stays_so_when_only_older_history_went(self, table, chain):
        batch = batch_of(table)
        table.look().append((), {})
        assert table.expire({batch.base_snapshot_id}, LATER) == 4
        assert decide(table.lineage(), batch).kind is LandingKind.NOT_LANDED

    def test_a_staged_snapshot_before_the_first_commit_does_not_cast_doubt(self, table):
        batch = batch_of(table)
        hands.stage(table, batch.id)
        assert table.lineage().ancestors == ()
        assert decide(table.lineage(), batch).kind is LandingKind.NOT_LANDED
        table.look().append((), {})
        found = table.lineage()
        assert found.complete
        assert len(found.outside) == 1
        assert decide(found, batch).kind is LandingKind.NOT_LANDED

    def test_a_rollback_past_the_base_is_unknown_and_one_to_the_base_is_not(self, table, chain):
        batch = batch_of(table)
        table.look().append((), {"autoloader.batch-id": str(batch.id)})
        hands.roll_back(table, batch.base_snapshot_id)
        assert decide(table.lineage(), batch).kind is LandingKind.NOT_LANDED
        hands.roll_back(table, chain[1])
        answer = decide(table.lineage(), batch)
        assert answer.kind is LandingKind.UNKNOWN
        assert "rolled back" in answer.evidence

    def test_a_table_made_again_is_unknown(self, catalog, table, chain):
        batch = batch_of(table)
        schema = table.state().schema
        hands.drop(table)
        catalog.create("db.events", schema)
        assert decide(table.lineage(), batch).kind is LandingKind.UNKNOWN


@pytest.mark.parametrize(
    ("properties", "warned"),
    [
        ({}, False),
        ({"history.expire.max-snapshot-age-ms": "432000000"}, False),
        ({"history.expire.max-snapshot-age-ms": "3600000"}, True),
        ({"history.expire.max-snapshot-age-ms": "soon"}, False),
    ],
)
def test_a_table_that_forgets_sooner_than_a_load_can_last_is_warned_about(properties, warned):
    text = retention_warning("db.t", properties, timedelta(days=5))
    assert bool(text) is warned
    if warned:
        assert "1:00:00" in text
        assert "432000000" in text
