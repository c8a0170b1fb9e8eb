"""Every answer that main's history can give about a batch (protocol, points 4 and 5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.landing import decide
from app.values import Batch, BatchState, LandingKind, Lineage, SnapshotInfo

BATCH_ID = UUID("11111111-1111-4111-8111-111111111111")
TABLE = UUID("22222222-2222-4222-8222-222222222222")
OTHER_TABLE = UUID("33333333-3333-4333-8333-333333333333")
NOW = datetime(2026, 1, 2, tzinfo=UTC)

UNKNOWN, LANDED, SPENT, NOT_LANDED = (
    LandingKind.UNKNOWN,
    LandingKind.LANDED,
    LandingKind.SPENT,
    LandingKind.NOT_LANDED,
)


def batch(base: int | None = 10, table: UUID | None = TABLE) -> Batch:
    return Batch(BATCH_ID, uuid4(), uuid4(), BatchState.CLAIMED, 1, 1, 1, 1, table, base)


def land(key: str = "autoloader.batch-id") -> dict[str, str]:
    return {key: str(BATCH_ID)}


def spend(key: str = "autoloader.batch-id") -> dict[str, str]:
    return {key: str(BATCH_ID), "published-wap-id": str(BATCH_ID), "autoloader.outcome": "spent"}


def main(*summaries: dict[str, str] | None, oldest: int = 10, complete: bool = True, table: UUID = TABLE) -> Lineage:
    """Main's history, the oldest first, ids counting up from `oldest`."""
    chain = [
        SnapshotInfo(oldest + place, oldest + place - 1 if place else None, NOW, summary or {})
        for place, summary in enumerate(summaries)
    ]
    return Lineage(table, tuple(reversed(chain)), complete)


@pytest.mark.parametrize("key", ["autoloader.batch-id", "wap.id", "published-wap-id"])
def test_a_snapshot_that_carries_the_id_under_any_of_its_names_is_the_landing(key):
    answer = decide(main(None, land(key), None), batch())
    assert (answer.kind, answer.snapshot.snapshot_id, answer.head, answer.table_uuid) == (LANDED, 11, 12, TABLE)


def test_another_batch_is_not_taken_for_ours():
    assert decide(main(None, {"autoloader.batch-id": str(uuid4())}), batch()).kind is NOT_LANDED


def test_a_batch_whose_own_id_is_a_parent_or_a_value_elsewhere_has_not_landed():
    assert decide(main(None, {"autoloader.parent": str(BATCH_ID)}), batch()).kind is NOT_LANDED


@pytest.mark.parametrize(
    ("lineage", "base", "expected"),
    [
        (main(None, None), 10, NOT_LANDED),
        (main(None), 10, NOT_LANDED),
        (main(None, spend()), 10, SPENT),
        (main(None, land()), 10, LANDED),
        # landed beats spent, whichever is nearer
        (main(None, land(), spend()), 10, LANDED),
        (main(None, spend(), land()), 10, LANDED),
        (main(None, land(), None, spend(), None), 10, LANDED),
        # the base is not in a history that is whole: rolled back
        (main(None, None), 99, UNKNOWN),
        (main(None, spend()), 99, UNKNOWN),
        (main(None, land()), 99, UNKNOWN),
        # the base is beyond what is still known: expired
        (main(None, None, complete=False), 9, UNKNOWN),
        (main(None, spend(), complete=False), 9, UNKNOWN),
        (main(None, land(), complete=False), 9, LANDED),
        # a history whose oldest part is gone, but that reaches the base
        (main(None, None, complete=False), 10, NOT_LANDED),
        (main(None, spend(), complete=False), 10, SPENT),
        (main(None, land(), complete=False), 10, LANDED),
        # the table was empty at the claim
        (main(), None, NOT_LANDED),
        (main(None, None), None, NOT_LANDED),
        (main(spend()), None, SPENT),
        (main(land()), None, LANDED),
        (main(None, None, complete=False), None, UNKNOWN),
        (main(None, spend(), complete=False), None, UNKNOWN),
        (main(None, land(), complete=False), None, LANDED),
        # main is empty again although it had a head at the claim
        (main(), 10, UNKNOWN),
    ],
)
def test_the_answer_for_a_claimed_batch(lineage, base, expected):
    assert decide(lineage, batch(base)).kind is expected


@pytest.mark.parametrize("summaries", [(), (None,), (None, land()), (None, spend())])
@pytest.mark.parametrize("base", [None, 10])
def test_a_table_that_was_made_again_answers_nothing(summaries, base):
    answer = decide(main(*summaries, table=OTHER_TABLE), batch(base))
    assert answer.kind is UNKNOWN
    assert str(TABLE) in answer.evidence
    assert str(OTHER_TABLE) in answer.evidence


@pytest.mark.parametrize("complete", [True, False])
def test_a_landing_whose_base_was_rolled_away_is_unknown_even_when_older_history_is_gone(complete):
    lineage = replace(main(None, land(), complete=complete), outside=frozenset({77}))
    answer = decide(lineage, batch(77))
    assert answer.kind is UNKNOWN
    assert "77" in answer.evidence
    assert "rolled back" in answer.evidence


@pytest.mark.parametrize(
    ("summaries", "complete", "expected"),
    [
        ((None,), True, NOT_LANDED),
        ((None,), False, NOT_LANDED),
        ((), True, NOT_LANDED),
        ((None, land()), False, LANDED),
        ((None, spend()), True, SPENT),
        ((None, spend()), False, UNKNOWN),
    ],
)
def test_a_batch_that_nobody_claimed_is_looked_for_without_a_base(summaries, complete, expected):
    assert decide(main(*summaries, complete=complete), batch(None, None)).kind is expected


def test_staged_and_rolled_back_snapshots_are_no_landing():
    lineage = replace(main(None), outside=frozenset({500}))
    assert decide(lineage, batch()).kind is NOT_LANDED


def test_of_two_landings_the_older_is_answered_and_the_other_is_told():
    answer = decide(main(None, land(), land("wap.id")), batch())
    assert (answer.kind, answer.snapshot.snapshot_id) == (LANDED, 11)
    assert "12" in answer.evidence


def test_every_answer_has_a_sentence():
    for summary, base, complete in product((None, land(), spend()), (None, 10, 99), (True, False)):
        assert decide(main(None, summary, complete=complete), batch(base)).evidence.endswith(".")


entries = st.lists(st.sampled_from(["foreign", "land", "spend"]), max_size=8)


@given(entries, st.booleans(), st.booleans(), st.integers(-1, 9))
def test_absence_and_spending_are_only_answered_when_nothing_can_be_hidden(kinds, complete, same_table, base_place):
    summaries = [{"foreign": None, "land": land(), "spend": spend()}[kind] for kind in kinds]
    base = None if base_place < 0 else 10 + base_place
    lineage = main(*summaries, complete=complete, table=TABLE if same_table else OTHER_TABLE)
    answer = decide(lineage, batch(base))
    reached = complete if base is None else base_place < len(kinds)
    if answer.kind in {NOT_LANDED, SPENT}:
        assert same_table
        assert reached
        assert "land" not in kinds
    if answer.kind is LANDED:
        assert same_table
        assert "land" in kinds
        assert answer.snapshot.snapshot_id == 10 + kinds.index("land")
    if answer.kind is SPENT:
        assert "spend" in kinds
    if answer.kind is NOT_LANDED:
        assert "spend" not in kinds
    if same_table and "land" in kinds and (reached or not complete):
        assert answer.kind is LANDED
