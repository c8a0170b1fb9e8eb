from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from app.errors import IllegalTransition
from app.ingest import ledger
from app.repositories import batches, file_moves, files
from app.values import FILE_TRANSITIONS, BatchState, FileOutcome, FileState, ListedPage
from tests.fakes.ledger import NOON, Pipeline, found, many
from tests.fakes.statements import statements

S = FileState


def claimed(session, pipeline: Pipeline, ids: list[int]):
    """A stored batch of these files, claimed."""
    batch = pipeline.plan(session, ids[0], ids[-1])
    claim(session, pipeline, batch)
    return batch


def claim(session, pipeline: Pipeline, batch, *, first: bool = True) -> None:
    file_moves.claim(session, batch.id, pipeline.run_id, NOON, first=first, expected=batch.file_count)


def set_state(pipeline: Pipeline, file_id: int, state: FileState) -> None:
    with pipeline.database.session_scope() as session:
        session.execute(text("UPDATE processed_files SET state = :s WHERE id = :i"), {"s": state.value, "i": file_id})


# --- the way of a file


def test_the_way_of_a_file_from_discovery_to_its_history(pipeline):
    database = pipeline.database
    ids = pipeline.record(*many(3))
    with database.session_scope() as session:
        assert files.waiting(session, pipeline.ingestion_id, 0, 10) == [(file_id, 10) for file_id in ids]
        batch = pipeline.plan(session, ids[0], ids[1])
        assert batch.file_count == 2
        assert files.waiting(session, pipeline.ingestion_id, 0, 10) == [(ids[2], 10)]
    with database.session_scope() as session:
        row = batches.by_id(session, batch.id)
        batches.claim(session, row, epoch=1, base=(uuid4(), None), now=NOON, engine="embedded")
        claim(session, pipeline, row)
    assert [r["state"] for r in pipeline.rows()] == ["PROCESSING", "PROCESSING", "DISCOVERED"]
    outcomes = [
        FileOutcome(ids[0], S.SUCCESS, rows=7, rescued=2, rejected=1),
        FileOutcome(ids[1], S.FAILED, reason="denied", error="No access."),
    ]
    with database.session_scope() as session:
        file_moves.settle(session, batch.id, outcomes, 4711, NOON)
        file_moves.settled_events(session, batch.id, pipeline.run_id, NOON)

    loaded, failed, waiting = pipeline.rows()
    assert (loaded["state"], loaded["row_count"], loaded["rescued_count"], loaded["rejected_count"]) == (
        "SUCCESS",
        7,
        2,
        1,
    )
    assert (loaded["snapshot_id"], loaded["attempts"], loaded["batch_id"] is None) == (4711, 1, False)
    assert (failed["state"], failed["reason"], failed["error"]) == ("FAILED", "denied", "No access.")
    assert (failed["snapshot_id"], failed["batch_id"], failed["attempts"]) == (None, None, 1)
    assert (waiting["state"], waiting["attempts"]) == ("DISCOVERED", 0)
    assert pipeline.events(ids[0]) == ["PROCESSING", "SUCCESS"]
    assert pipeline.events(ids[1]) == ["PROCESSING", "FAILED"]
    assert pipeline.events(ids[2]) == []
    with database.session_scope() as session:
        assert [i for i, _ in files.waiting(session, pipeline.ingestion_id, 0, 10)] == ids[1:], "it is tried again"
    assert pipeline.counts() == {"SUCCESS": 1, "FAILED": 1, "DISCOVERED": 1}


def test_an_attempt_in_a_batch_that_is_split_or_released_is_counted_once(pipeline):
    """A file is not to blame for its neighbour: halving a batch must not use up the attempts of all its files."""
    ids = pipeline.record(*many(2))
    with pipeline.database.session_scope() as session:
        parent = claimed(session, pipeline, ids)
        claim(session, pipeline, parent, first=False)
        child = pipeline.plan(session, 0, 0)
        child.file_count = 2
        file_moves.hand_over(session, parent.id, child.id, ids[0], ids[1], expected=2)
        claim(session, pipeline, child)
        assert files.attempts_of(session, child.id) == dict.fromkeys(ids, 1)
        file_moves.set_free(session, child.id, expected=2)
    assert [(row["state"], row["attempts"]) for row in pipeline.rows()] == [("DISCOVERED", 0)] * 2


def test_a_skipped_version_that_is_listed_again_is_revived_with_its_history(pipeline):
    one = found("/data/orders/a")
    [file_id] = pipeline.record(one)
    with pipeline.database.session_scope() as session:
        batch = claimed(session, pipeline, [file_id])
        gone = [FileOutcome(file_id, S.SKIPPED, reason=ledger.MISSING, error="It was gone.")]
        file_moves.settle(session, batch.id, gone, None, NOON)
        file_moves.settled_events(session, batch.id, pipeline.run_id, NOON)
        batches.change(session, batch.id, state=BatchState.SETTLED.value)
    assert pipeline.rows()[0]["state"] == "SKIPPED"

    counts = ledger.RecordCounts()
    with pipeline.database.session_scope() as session:
        page = ListedPage(files=(one,))
        verdicts = ledger.compare(session, pipeline.ingestion_id, page, "ignore", counts)
        ledger.store(session, pipeline.ingestion_id, pipeline.run_id, verdicts, NOON)
    [row] = pipeline.rows()
    assert (row["id"], row["state"], row["reason"], row["error"], row["batch_id"]) == (
        file_id,
        "DISCOVERED",
        None,
        None,
        None,
    )
    assert row["settled_at"] is None
    assert counts.new == 1
    assert pipeline.events(file_id) == ["PROCESSING", "SKIPPED", "DISCOVERED"]
    with pipeline.database.session_scope() as session:
        assert files.waiting(session, pipeline.ingestion_id, 0, 10) == [(file_id, 10)]


def test_a_newer_version_takes_the_place_of_one_that_never_got_in(pipeline):
    [old] = pipeline.record(found("/data/orders/a", "v1"))
    with pipeline.database.session_scope() as session:
        page = ListedPage(files=(found("/data/orders/a", "v2"),))
        verdicts = ledger.compare(session, pipeline.ingestion_id, page, "fail", ledger.RecordCounts())
        ledger.store(session, pipeline.ingestion_id, pipeline.run_id, verdicts, NOON)
    assert pipeline.states() == {"/data/orders/a@v1": "SKIPPED", "/data/orders/a@v2": "DISCOVERED"}
    assert pipeline.events(old) == ["SKIPPED"]


# --- moves that the table of transitions does not have


@pytest.mark.parametrize("old", list(FileState))
@pytest.mark.parametrize("new", [S.DISCOVERED, S.SKIPPED])
def test_a_file_goes_only_where_the_transitions_allow(sqlite_database, old, new):
    pipeline = Pipeline.new(sqlite_database)
    [file_id] = pipeline.record(found("/data/orders/a"))
    set_state(pipeline, file_id, old)

    def move() -> None:
        with sqlite_database.session_scope() as session:
            file_moves.move(session, [file_id], new, NOON, reason=None, error=None)

    if new in FILE_TRANSITIONS[old]:
        move()
        assert pipeline.rows()[0]["state"] == new
    else:
        with pytest.raises(IllegalTransition, match=f"0 of 1 files could become {new}"):
            move()
        assert (pipeline.rows()[0]["state"], pipeline.events(file_id)) == (old, [])


def test_one_file_that_may_not_be_moved_stops_all_and_is_named(pipeline):
    ids = pipeline.record(*many(3))
    set_state(pipeline, ids[1], S.SUCCESS)
    with (
        pytest.raises(IllegalTransition, match=rf"2 of 3 files could become SKIPPED; look at: {ids[1]} \(SUCCESS\)"),
        pipeline.database.session_scope() as session,
    ):
        file_moves.move(session, ids, S.SKIPPED, NOON, reason="by-hand", error=None)
    assert [row["state"] for row in pipeline.rows()] == ["DISCOVERED", "SUCCESS", "DISCOVERED"]


def test_a_file_in_a_batch_that_may_still_land_is_not_moved_out_of_it(pipeline):
    ids = pipeline.record(*many(1))
    with pipeline.database.session_scope() as session:
        pipeline.plan(session, ids[0], ids[0])
    with pytest.raises(IllegalTransition), pipeline.database.session_scope() as session:
        file_moves.move(session, ids, S.SKIPPED, NOON, reason="by-hand", error=None)


def test_a_batch_with_a_file_that_is_loaded_or_gone_is_not_claimed(pipeline):
    ids = pipeline.record(*many(2))
    with pipeline.database.session_scope() as session:
        batch = pipeline.plan(session, ids[0], ids[1])
    set_state(pipeline, ids[0], S.SUCCESS)
    with (
        pytest.raises(IllegalTransition, match=rf"1 of 2 .*{ids[0]} \(SUCCESS\)"),
        pipeline.database.session_scope() as session,
    ):
        claim(session, pipeline, batch)
    with pipeline.database.session_scope() as session:
        session.execute(text("UPDATE processed_files SET batch_id = NULL, state = 'DISCOVERED'"))
    with pytest.raises(IllegalTransition, match="0 of 2"), pipeline.database.session_scope() as session:
        claim(session, pipeline, batch)


def test_settling_refuses_files_of_another_batch_and_such_as_were_not_claimed(pipeline):
    ids = pipeline.record(*many(2))
    with pipeline.database.session_scope() as session:
        mine = claimed(session, pipeline, ids[:1])
        other = pipeline.plan(session, ids[1], ids[1])
    for batch_id, wrong in ((mine.id, ids), (other.id, ids[1:])):
        with (
            pytest.raises(IllegalTransition, match="could become SUCCESS"),
            pipeline.database.session_scope() as session,
        ):
            file_moves.settle(session, batch_id, [FileOutcome(i, S.SUCCESS) for i in wrong], 1, NOON)
    assert [row["state"] for row in pipeline.rows()] == ["PROCESSING", "DISCOVERED"]


def test_files_that_are_settled_are_neither_handed_over_nor_set_free(pipeline):
    ids = pipeline.record(*many(2))
    with pipeline.database.session_scope() as session:
        parent = claimed(session, pipeline, ids)
        child = pipeline.plan(session, 0, 0)
        file_moves.settle(session, parent.id, [FileOutcome(ids[0], S.SUCCESS)], 1, NOON)
    with pytest.raises(IllegalTransition, match="1 of 2"), pipeline.database.session_scope() as session:
        file_moves.hand_over(session, parent.id, child.id, ids[0], ids[1], expected=2)
    with pytest.raises(IllegalTransition, match="1 of 2"), pipeline.database.session_scope() as session:
        file_moves.set_free(session, parent.id, expected=2)
    assert [row["state"] for row in pipeline.rows()] == ["SUCCESS", "PROCESSING"]


# --- all of a state


def test_all_files_of_a_state_wait_again_in_a_handful_of_statements(pipeline):
    ids = pipeline.record(*many(3000))
    with pipeline.database.session_scope() as session:
        session.execute(text("UPDATE processed_files SET state = 'QUARANTINED', reason = 'denied', error = 'No.'"))
    set_state(pipeline, ids[0], S.SUCCESS)
    set_state(pipeline, ids[1], S.SKIPPED)
    with pipeline.database.session_scope() as session, statements(pipeline.database) as sent:
        freed = file_moves.let_wait_again(session, pipeline.ingestion_id, [S.QUARANTINED], NOON, 2)
    assert (freed.count, freed.first) == (2998, (ids[2], ids[3]))
    assert len(sent) == 3
    assert pipeline.counts() == {"DISCOVERED": 2998, "SUCCESS": 1, "SKIPPED": 1}
    with pipeline.database.session_scope() as session:
        assert session.execute(text("SELECT count(*) FROM file_events WHERE state = 'DISCOVERED'")).scalar() == 2998
    assert (pipeline.rows()[2]["reason"], pipeline.rows()[2]["error"]) == (None, None)


def test_a_failed_file_that_a_stored_batch_holds_is_left_in_it(pipeline):
    ids = pipeline.record(*many(2))
    for file_id in ids:
        set_state(pipeline, file_id, S.FAILED)
    with pipeline.database.session_scope() as session:
        batch = pipeline.plan(session, ids[0], ids[0])
        assert file_moves.let_wait_again(session, pipeline.ingestion_id, [S.FAILED], NOON, 9).first == (ids[1],)
        assert [file.file_id for file in files.of_batch(session, batch.id)] == [ids[0]]


# --- sets, not files


def test_claiming_and_settling_ten_thousand_files_takes_a_handful_of_statements(pipeline):
    ids = pipeline.record(*many(10_000))
    outcomes = [FileOutcome(i, S.FAILED if i % 100 == 0 else S.SUCCESS, rows=3) for i in ids]
    with statements(pipeline.database) as sent, pipeline.database.session_scope() as session:
        batch = claimed(session, pipeline, ids)
        file_moves.settle(session, batch.id, outcomes, 1, NOON)
        file_moves.settled_events(session, batch.id, pipeline.run_id, NOON)

    assert len(sent) <= 8, [statement for statement, _ in sent]
    assert pipeline.counts() == {"SUCCESS": 9900, "FAILED": 100}
    with pipeline.database.session_scope() as session:
        assert session.execute(text("SELECT count(*) FROM file_events")).scalar() == 20_000


def test_settling_finds_each_file_by_its_key_also_with_statistics_of_before_the_batch(pipeline):
    """By the batch's index instead, 10,000 files of one batch took 90 s."""
    database = pipeline.database
    ids = pipeline.record(*many(2000))
    with database.session_scope() as session:
        session.execute(text("ANALYZE"))  # no file is in a batch yet
    with database.session_scope() as session:
        batch = claimed(session, pipeline, ids)
    with database.session_scope() as session:
        with statements(database) as sent:
            file_moves.settle(session, batch.id, [FileOutcome(i, S.SUCCESS) for i in ids], 1, NOON)
        [(statement, parameters)] = sent
        explain = "EXPLAIN" if database.kind == "postgresql" else "EXPLAIN QUERY PLAN"
        rows = session.connection().exec_driver_sql(f"{explain} {statement}", parameters[0]).all()
    plan = " ".join(str(row) for row in rows)
    assert "pk_processed_files" in plan or "(id=?)" in plan
    assert "ix_processed_files_batch_id" not in plan
