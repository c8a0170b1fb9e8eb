"""Main's history is called whole only where nothing can be hidden (point 4)."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.datatypes import parse_schema
from app.ingest.landing import decide
from app.values import LandingKind
from tests.functional import hands
from tests.functional.catalog.conftest import batch_of


def test_a_new_table_has_its_whole_history_and_so_it_has_with_its_first_snapshots(table):
    assert table.lineage().complete
    for _ in range(3):
        hands.append_nothing(table)
        assert table.lineage().complete


@pytest.mark.parametrize("after", [0, 2], ids=["empty", "loaded-anew"])
def test_a_table_that_was_replaced_has_not(table, after):
    batch = batch_of(table)
    table.look().append((), {"autoloader.batch-id": str(batch.id)})
    hands.append_nothing(table)
    hands.replace(table)
    for _ in range(after):
        hands.append_nothing(table)
    found = table.lineage()
    assert (len(found.ancestors), len(found.outside), found.complete) == (after, 2, False)
    answer = decide(found, batch)
    assert answer.kind is LandingKind.UNKNOWN
    assert "or the table was replaced" in answer.evidence


def test_a_table_whose_only_snapshots_were_expired_has_not(table):
    first = hands.append_nothing(table)
    hands.replace(table)
    hands.forget(table, [first])
    found = table.lineage()
    assert (found.ancestors, found.outside, found.complete) == ((), frozenset(), False)


def test_snapshots_that_are_staged_or_of_a_branch_hide_nothing(table):
    hands.stage(table, uuid4())
    assert table.lineage().complete
    transaction = table.look().loaded.transaction()
    transaction.update_snapshot(branch="audit").fast_append().commit()
    transaction.commit_transaction()
    assert table.lineage().ancestors == ()
    assert table.lineage().complete
    hands.append_nothing(table)
    assert (len(table.lineage().outside), table.lineage().complete) == (2, True)


def test_a_table_of_format_1_has_only_as_long_as_it_is_new(catalog):
    catalog.create("db.old", parse_schema("id bigint"), properties={"format-version": "1"})
    table = catalog.table("db.old")
    assert table.lineage().complete
    hands.append_nothing(table)
    assert not table.lineage().complete
    hands.replace(table)
    assert not table.lineage().complete
