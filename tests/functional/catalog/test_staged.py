"""Staged snapshots: found by what they say, taken away only where nobody published them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from app.catalog import read, staged
from app.ingest.landing import ATTEMPT, decide
from app.values import LandingKind
from tests.functional import hands
from tests.functional.catalog.conftest import batch_of

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def begun(table):
    """A table with a snapshot on main."""
    table.look().append((), {})
    return table


def known(table):
    return {snapshot.snapshot_id for snapshot in table.look().loaded.metadata.snapshots}


def test_a_staged_snapshot_is_found_and_is_not_published(begun):
    batch = uuid4()
    snapshot = hands.stage(begun, batch, {ATTEMPT: "a1"})
    look = begun.look()
    assert staged.find(look, ATTEMPT, "a1").snapshot_id == snapshot
    assert staged.find(look, ATTEMPT, "a2") is None
    assert not staged.is_published(look, snapshot)


def test_what_is_staged_is_counted_beside_the_snapshots_of_the_table(begun):
    before = read.describe(begun.look())
    hands.stage(begun, uuid4(), {ATTEMPT: "a1"})
    after = read.describe(begun.look())
    assert (before.snapshots, before.staged) == (1, 0)
    assert (after.snapshots, after.staged) == (1, 1)


def test_what_is_dropped_is_forgotten_with_its_files(begun, writer, rows):
    files = writer.land(begun.look(), [{"id": 1}])
    snapshot = hands.stage(begun, uuid4(), {}, files)
    paths = [Path(file.file_path.removeprefix("file://")) for file in files]
    assert all(path.exists() for path in paths)
    staged.drop(begun.look(), [snapshot])
    assert snapshot not in known(begun)
    assert not any(path.exists() for path in paths)
    assert rows(begun) == []


def test_what_was_published_by_a_cherry_pick_is_never_dropped_nor_forgotten(begun, writer):
    files = writer.land(begun.look(), [{"id": 1}])
    snapshot = hands.stage(begun, uuid4(), {"autoloader.batch-id": "b"}, files)
    begun.look().append((), {"source-snapshot-id": str(snapshot)})
    staged.drop(begun.look(), [snapshot])
    assert staged.forget_old(begun.look(), LATER, 10) == 0
    assert snapshot in known(begun)
    assert all(Path(file.file_path.removeprefix("file://")).exists() for file in files)


def test_old_leftovers_of_ours_are_forgotten_and_young_and_foreign_ones_stay(begun):
    ours = hands.stage(begun, uuid4(), {"autoloader.batch-id": "b"})
    foreign = hands.stage(begun, uuid4(), {})
    assert staged.forget_old(begun.look(), datetime.now(UTC) - timedelta(days=5), 10) == 0
    assert staged.forget_old(begun.look(), LATER, 10) == 1
    assert known(begun) & {ours, foreign} == {foreign}


def test_a_cherry_pick_onto_a_moved_main_still_tells_the_attempt_that_was_staged(begun):
    batch = batch_of(begun)
    snapshot = hands.stage(begun, batch.id, {ATTEMPT: "a1", "other": "x"})
    begun.look().append((), {"published-wap-id": str(batch.id), "source-snapshot-id": str(snapshot)})
    landing = decide(begun.lineage(), batch)
    assert landing.kind is LandingKind.LANDED
    assert landing.snapshot.summary[ATTEMPT] == "a1"
    assert "other" not in landing.snapshot.summary


def test_a_property_is_given_once(begun):
    assert begun.require_properties({"write.wap.enabled": "true"})
    assert not begun.require_properties({"write.wap.enabled": "true"})
    assert begun.look().properties["write.wap.enabled"] == "true"
