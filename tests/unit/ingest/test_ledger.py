from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from app.errors import IllegalTransition
from app.ingest import ledger
from app.ingest.ledger import RecordCounts, Verdict, final_outcomes, judge
from app.repositories.files import KnownFile, NewFile
from app.values import BATCH_TRANSITIONS, FILE_TRANSITIONS, BatchState, FileOutcome, FileState, FoundFile

S = FileState
NOW = FoundFile("/data/a", "now", 10, datetime(2026, 3, 1, tzinfo=UTC))
MODES = ["ignore", "append", "fail"]


def known(state, *, version="old", reason=None, pending=False, file_id=1) -> KnownFile:
    return KnownFile(file_id, NOW.path, version, state.value, reason, pending)


def same(state, reason=None, *, pending=False) -> KnownFile:
    return known(state, version="now", reason=reason, pending=pending, file_id=2)


def effect(verdict: Verdict) -> tuple:
    inserted = (verdict.insert.state, verdict.insert.reason) if verdict.insert else None
    return inserted, verdict.revive, verdict.supersede, verdict.counted_as


NEW = (S.DISCOVERED, None)

# What another version of the path can be, and what a version that is not known yet then means.
NOT_IN = {  # it never got in: the new one takes its place, whatever on_change says
    "waiting": (known(S.DISCOVERED), (1,)),
    "failed": (known(S.FAILED, reason="denied"), (1,)),
    "quarantined": (known(S.QUARANTINED, reason="truncated"), (1,)),
    "missing": (known(S.SKIPPED, reason=ledger.MISSING), ()),
    "superseded": (known(S.SKIPPED, reason=ledger.SUPERSEDED), ()),
    "empty": (known(S.SKIPPED, reason=ledger.EMPTY), ()),
}
TAKEN = {  # it got in, or may still
    "loaded": known(S.SUCCESS),
    "planned": known(S.DISCOVERED, pending=True),
    "processing": known(S.PROCESSING, pending=True),
    "failed in a batch that has not ended": known(S.FAILED, pending=True),
}
CHANGED = {
    "ignore": ((S.SKIPPED, ledger.ON_CHANGE_IGNORE), ledger.ON_CHANGE_IGNORE),
    "append": (NEW, "new"),
    "fail": ((S.QUARANTINED, ledger.ON_CHANGE_FAIL), ledger.ON_CHANGE_FAIL),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_path_nobody_knows_is_new(mode):
    assert effect(judge(NOW, [], mode)) == (NEW, None, (), "new")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", NOT_IN)
def test_a_version_that_replaces_one_that_never_got_in_is_the_file_now(case, mode):
    other, superseded = NOT_IN[case]
    assert effect(judge(NOW, [other], mode)) == (NEW, None, superseded, "new")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", TAKEN)
def test_a_version_beside_one_that_got_in_is_judged_by_on_change(case, mode):
    inserted, counted = CHANGED[mode]
    assert effect(judge(NOW, [TAKEN[case]], mode)) == (inserted, None, (), counted)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "one",
    [
        same(S.DISCOVERED),
        same(S.DISCOVERED, pending=True),
        same(S.PROCESSING, pending=True),
        same(S.SUCCESS),
        same(S.FAILED, "denied"),
        same(S.QUARANTINED, "truncated"),
        same(S.QUARANTINED, ledger.ON_CHANGE_FAIL),
        same(S.SKIPPED, ledger.EMPTY),
        same(S.SKIPPED, ledger.BY_HAND),
    ],
    ids=lambda k: f"{k.state}-{k.reason}-{k.pending}",
)
@pytest.mark.parametrize("others", [(), (known(S.SUCCESS),), (known(S.QUARANTINED),)], ids=["", "loaded", "given-up"])
def test_a_version_that_is_known_changes_nothing(one, others, mode):
    assert effect(judge(NOW, [one, *others], mode)) == (None, None, (), "known")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reason", sorted(ledger.REVIVABLE))
def test_a_version_left_out_before_it_was_loaded_comes_back_when_it_is_listed(reason, mode):
    assert effect(judge(NOW, [same(S.SKIPPED, reason)], mode)) == (None, 2, (), "new")


@pytest.mark.parametrize("reason", sorted(ledger.REVIVABLE))
def test_coming_back_it_takes_the_place_of_what_never_got_in(reason):
    verdict = judge(NOW, [known(S.FAILED), same(S.SKIPPED, reason)], "fail")
    assert effect(verdict) == (None, 2, (1,), "new")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reason", sorted(ledger.REVIVABLE))
@pytest.mark.parametrize("case", TAKEN)
def test_beside_a_version_that_got_in_it_comes_back_only_to_be_appended(case, reason, mode):
    verdict = judge(NOW, [TAKEN[case], same(S.SKIPPED, reason)], mode)
    if mode == "append" and reason in {ledger.MISSING, ledger.CHANGED}:
        assert effect(verdict) == (None, 2, (), "new")
    else:
        assert effect(verdict) == (None, None, (), reason)


@pytest.mark.parametrize("mode", MODES)
def test_a_version_that_is_loaded_or_may_be_is_never_superseded_nor_revived(mode):
    for taken in TAKEN.values():
        for one in [None, *(same(S.SKIPPED, reason) for reason in ledger.REVIVABLE)]:
            verdict = judge(NOW, [taken, *([one] if one else [])], mode)
            assert taken.id not in verdict.supersede
            assert verdict.revive != taken.id


def test_of_several_versions_one_that_got_in_decides():
    verdict = judge(NOW, [known(S.QUARANTINED), known(S.SUCCESS, version="older", file_id=3)], "ignore")
    assert effect(verdict)[0] == (S.SKIPPED, ledger.ON_CHANGE_IGNORE)
    assert verdict.supersede == ()


def test_what_is_left_out_says_why_in_a_sentence():
    for mode, word in (("ignore", "on_change: ignore"), ("fail", "on_change: fail")):
        assert word in judge(NOW, [known(S.SUCCESS)], mode).insert.error


# --- empty files


def test_an_empty_file_is_kept_and_not_loaded():
    verdict = ledger._empty(judge(NOW, [], "ignore"))
    assert effect(verdict) == ((S.SKIPPED, ledger.EMPTY), None, (), ledger.EMPTY)


def test_an_empty_file_that_is_known_is_not_revived():
    verdict = ledger._empty(judge(NOW, [same(S.SKIPPED, ledger.MISSING)], "ignore"))
    assert (verdict.insert, verdict.revive, verdict.counted_as) == (None, None, "known")


# --- counts


def test_counts_tell_new_known_and_left_out_apart():
    counts = RecordCounts()
    for verdict in (
        Verdict(insert=NewFile(NOW, S.DISCOVERED), counted_as="new"),
        Verdict(),
        Verdict(),
        Verdict(counted_as=ledger.ON_CHANGE_IGNORE),
    ):
        counts.add(verdict, 10)
    assert (counts.new, counts.new_bytes, counts.known, counts.left) == (1, 10, 2, {ledger.ON_CHANGE_IGNORE: 1})


# --- transitions


@pytest.mark.parametrize("new", S)
def test_a_loaded_file_moves_nowhere(new):
    with pytest.raises(IllegalTransition, match="/data/a is loaded"):
        ledger.require_file_move("/data/a", S.SUCCESS, new)


@pytest.mark.parametrize("old", S)
@pytest.mark.parametrize("new", S)
def test_a_file_moves_only_as_the_table_of_transitions_says(old, new):
    if new in FILE_TRANSITIONS[old]:
        ledger.require_file_move("/data/a", old, new)
    else:
        with pytest.raises(IllegalTransition, match="/data/a"):
            ledger.require_file_move("/data/a", old, new)


@pytest.mark.parametrize("old", BatchState)
@pytest.mark.parametrize("new", BatchState)
def test_a_batch_moves_only_as_the_table_of_transitions_says(old, new):
    batch_id = uuid4()
    if new in BATCH_TRANSITIONS[old]:
        ledger.require_batch_move(batch_id, old, new)
    else:
        with pytest.raises(IllegalTransition, match=str(batch_id)):
            ledger.require_batch_move(batch_id, old, new)


def test_every_state_has_its_transitions_and_what_ended_stays_ended():
    assert set(FILE_TRANSITIONS) == set(FileState)
    assert set(BATCH_TRANSITIONS) == set(BatchState)
    for ended in (BatchState.SETTLED, BatchState.SPENT):
        assert not BATCH_TRANSITIONS[ended]


# --- what a file ends as


def failed(reason: str) -> FileOutcome:
    return FileOutcome(7, S.FAILED, reason=reason, error="It broke.")


def end_of(outcome: FileOutcome, attempts: int, max_attempts: int = 3) -> FileOutcome:
    [final] = final_outcomes([outcome], {7: attempts}, max_attempts)
    return final


@pytest.mark.parametrize("reason", sorted(ledger.HOPELESS))
def test_hopeless_content_is_given_up_at_once(reason):
    assert end_of(failed(reason), 1) == dataclasses.replace(failed(reason), state=S.QUARANTINED)


@pytest.mark.parametrize("attempts", [1, 99])
@pytest.mark.parametrize("reason", [ledger.MISSING, ledger.CHANGED])
def test_a_version_that_is_gone_waits_to_be_listed_again(reason, attempts):
    assert end_of(failed(reason), attempts) == dataclasses.replace(failed(reason), state=S.SKIPPED)


def test_other_failures_are_tried_again_up_to_the_limit():
    assert end_of(failed("denied"), 1) == failed("denied")
    assert end_of(failed("denied"), 2) == failed("denied")
    given_up = end_of(failed("denied"), 3)
    assert given_up.state is S.QUARANTINED
    assert given_up.error == "It broke. Given up after 3 attempts."
    assert given_up.reason == "denied"


@pytest.mark.parametrize("state", [S.SUCCESS, S.SKIPPED, S.QUARANTINED])
def test_what_the_engine_has_decided_stays(state):
    outcome = FileOutcome(7, state, rows=3, reason="truncated")
    assert end_of(outcome, 99) == outcome


def test_a_file_whose_attempts_nobody_knows_counts_one():
    assert final_outcomes([failed("denied")], {}, 2) == (failed("denied"),)
