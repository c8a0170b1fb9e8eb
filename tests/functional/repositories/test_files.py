from __future__ import annotations

import threading
import tracemalloc
from contextlib import contextmanager
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from app.ingest import ledger
from app.repositories import batches, files, leases
from app.repositories.files import NewFile
from app.repositories.leases import Holder
from app.values import BatchState, FileOutcome, FileState, ListedPage
from tests.fakes.ledger import NOON, Pipeline, add_ingestion, found, many, shape

S = FileState
# What a path can hold: any Unicode but NUL, which PostgreSQL has no place for, and half characters.
PATHS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("aAzZ09 .-_/%é́ıİß￿𐀀🦆\x7f\x01\\'\";"),
    min_size=1,
    max_size=6,
)
ON_A_SHARED_DATABASE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def pipeline(database) -> Pipeline:
    return Pipeline.new(database)


@contextmanager
def statements(database):
    """Collect what is sent to the database: (text, parameters)."""
    sent: list[tuple[str, object]] = []

    def note(connection, cursor, statement, parameters, context, executemany):
        if not statement.startswith(("BEGIN", "SAVEPOINT")):
            sent.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def plan_of(database, sent) -> str:
    """How SQLite would carry out the only statement that was sent."""
    [(statement, parameters)] = sent
    with database.session_scope() as session:
        rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "; ".join(row[3] for row in rows)


# --- ids


def test_ids_never_repeat_and_carry_the_epoch_of_their_database(database):
    given_out: list[int] = []
    for count in (1, 3, 1, 500):
        with database.session_scope() as session:
            given_out += files.allocate_ids(session, count)
    with database.session_scope() as session:
        epoch = session.execute(text("SELECT epoch FROM file_id_source")).scalar()

    assert given_out == sorted(set(given_out))
    assert {one >> 32 for one in given_out} == {epoch}
    assert given_out[0] & 0xFFFFFFFF == 1


def test_ids_of_the_highest_epoch_fit_a_signed_64_bit_column(database):
    with database.session_scope() as session:
        session.execute(text(f"UPDATE file_id_source SET epoch = {2**31 - 1}, next_sequence = {2**32 - 1}"))
    pipeline = Pipeline.new(database)
    [file_id] = pipeline.record(found("/data/last.jsonl"))

    assert file_id == 2**63 - 1
    assert pipeline.rows()[0]["id"] == file_id


def test_when_the_sequence_is_used_up_another_epoch_begins_and_no_id_repeats(database, monkeypatch):
    with database.session_scope() as session:
        session.execute(text(f"UPDATE file_id_source SET epoch = 5, next_sequence = {2**32 - 4}"))
    drawn = iter([5, 5, 2**31 - 1])
    monkeypatch.setattr("app.repositories.files.secrets.randbits", lambda bits: next(drawn))
    given_out = []
    for count in (3, 2, 1):
        with database.session_scope() as session:
            given_out.append(list(files.allocate_ids(session, count)))
    old, new = 5 << 32, (2**31 - 1) << 32
    assert given_out == [[old + 2**32 - 4, old + 2**32 - 3, old + 2**32 - 2], [new + 1, new + 2], [new + 3]]


def test_ids_given_at_the_same_time_are_different(database):
    barrier, lock = threading.Barrier(4), threading.Lock()
    given_out: list[int] = []

    def take():
        barrier.wait(20)
        for _ in range(10):
            with database.session_scope() as session:
                ids = list(files.allocate_ids(session, 7))
            with lock:
                given_out.extend(ids)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(given_out) == len(set(given_out)) == 280


# --- comparing a page


@ON_A_SHARED_DATABASE
@given(paths=st.sets(PATHS, min_size=1, max_size=12), data=st.data())
def test_a_range_of_paths_holds_what_python_puts_between_by_bytes(database, paths, data):
    pipeline = Pipeline(database, add_ingestion(database.engine, shape(uuid4().hex)).id, uuid4())
    pipeline.record(*(found(path) for path in sorted(paths)))
    ends = sorted([data.draw(st.sampled_from(sorted(paths)) | PATHS) for _ in range(2)])
    with database.session_scope() as session:
        known = files.known_between(session, pipeline.ingestion_id, ends[0], ends[1], 100)
        exact = files.known_paths(session, pipeline.ingestion_id, sorted(paths))

    low, high = (end.encode() for end in ends)
    assert {one.path for one in known} == {path for path in paths if low <= path.encode() <= high}
    assert {one.path for one in exact} == paths


def test_a_range_of_another_ingestion_is_not_seen(database):
    mine, other = Pipeline.new(database, "mine"), Pipeline.new(database, "other")
    other.record(found("/data/x"))
    with database.session_scope() as session:
        assert files.known_between(session, mine.ingestion_id, "/", "~", 10) == []
        assert files.known_paths(session, mine.ingestion_id, ["/data/x"]) == []


def test_a_range_with_more_than_the_limit_is_refused_so_that_memory_stays_bounded(pipeline):
    pipeline.record(*many(11))
    with pipeline.database.session_scope() as session:
        assert files.known_between(session, pipeline.ingestion_id, "/", "~", 10) is None
        assert len(files.known_between(session, pipeline.ingestion_id, "/", "~", 11)) == 11


def test_a_page_that_spans_many_other_keys_is_compared_path_by_path(pipeline):
    listed = list(many(3000))
    pipeline.record(*listed)
    new = found("/data/orders/001500.jsonl.new")
    page = ListedPage(files=(listed[-1], new, listed[0]))  # out of order, and 2,998 known keys between
    counts = ledger.RecordCounts()
    with pipeline.database.session_scope() as session, statements(pipeline.database) as sent:
        verdicts = ledger.compare(session, pipeline.ingestion_id, page, "ignore", counts)

    assert [v.insert.found for v in verdicts] == [new]
    assert (counts.new, counts.known) == (1, 2)
    assert len(sent) == 2, "the range that was too wide, then the paths"


def test_a_page_in_order_costs_one_statement(pipeline):
    listed = list(many(3000))
    pipeline.record(*listed)
    with pipeline.database.session_scope() as session, statements(pipeline.database) as sent:
        assert (
            ledger.compare(
                session, pipeline.ingestion_id, ListedPage(files=tuple(listed)), "ignore", ledger.RecordCounts()
            )
            == []
        )
    assert len(sent) == 1


def test_known_files_are_compared_page_by_page_in_bounded_memory(pipeline):
    new = [NewFile(found(f"/data/{n:06d}"), S.DISCOVERED) for n in range(40_000)]
    with pipeline.database.session_scope() as session:
        files.insert_new(session, pipeline.ingestion_id, pipeline.run_id, new, NOON)
    counts = ledger.RecordCounts()

    def compare(first: int) -> int:
        page = ListedPage(files=tuple(found(f"/data/{n:06d}") for n in range(first, first + 5000)))
        with pipeline.database.session_scope() as session:
            return len(ledger.compare(session, pipeline.ingestion_id, page, "ignore", counts))

    tracemalloc.start()
    try:
        assert compare(0) == 0
        one_page = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(compare(first) for first in range(5000, 35_000, 5000)) == 0
    tracemalloc.start()
    try:
        assert compare(35_000) == 0
        assert tracemalloc.get_traced_memory()[1] < 1.5 * one_page, "a page costs the same, wherever it stands"
    finally:
        tracemalloc.stop()
    assert one_page < 20_000_000
    assert (counts.known, counts.new) == (40_000, 0)


# --- indexes


def test_the_queries_that_run_each_time_use_their_indexes(sqlite_database):
    pipeline = Pipeline.new(sqlite_database)
    pipeline.record(*many(3))
    with sqlite_database.session_scope() as session:
        with statements(sqlite_database) as waiting:
            files.waiting(session, pipeline.ingestion_id, 0, 10)
        with statements(sqlite_database) as between:
            files.known_between(session, pipeline.ingestion_id, "/a", "/b", 10)
        with statements(sqlite_database) as unfinished:
            batches.unfinished(session, pipeline.ingestion_id)
        with statements(sqlite_database) as not_loaded:
            files.waiting_count(session, pipeline.ingestion_id)
        with statements(sqlite_database) as of_batch:
            files.of_batch(session, uuid4())

    waits = plan_of(sqlite_database, waiting)
    assert "ix_processed_files_waiting (ingestion_id=? AND id>?)" in waits
    assert "TEMP B-TREE" not in waits
    assert "(ingestion_id=? AND path>? AND path<?)" in plan_of(sqlite_database, between)
    assert "ix_batches_unfinished (ingestion_id=?)" in plan_of(sqlite_database, unfinished)
    assert "ix_processed_files_not_loaded (ingestion_id=?" in plan_of(sqlite_database, not_loaded)
    assert "ix_processed_files_batch_id (batch_id=?)" in plan_of(sqlite_database, of_batch)


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
        batches.claim(session, row, epoch=1, table_uuid=uuid4(), head=None, now=NOON)
        files.claim(session, batch.id, pipeline.run_id, NOON, first=True)
    assert [r["state"] for r in pipeline.rows()] == ["PROCESSING", "PROCESSING", "DISCOVERED"]
    outcomes = [
        FileOutcome(ids[0], S.SUCCESS, rows=7, rescued=2, rejected=1),
        FileOutcome(ids[1], S.FAILED, reason="denied", error="No access."),
    ]
    with database.session_scope() as session:
        files.settle(session, batch.id, outcomes, 4711, NOON)
        files.settled_events(session, batch.id, pipeline.run_id, NOON)

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
        assert files.counts(session, pipeline.ingestion_id) == {"SUCCESS": 1, "FAILED": 1, "DISCOVERED": 1}


def test_settling_touches_no_file_of_another_batch(pipeline):
    ids = pipeline.record(*many(2))
    with pipeline.database.session_scope() as session:
        mine, other = (pipeline.plan(session, file_id, file_id) for file_id in ids)
        files.settle(session, mine.id, [FileOutcome(file_id, S.SUCCESS) for file_id in ids], 1, NOON)
    assert [row["state"] for row in pipeline.rows()] == ["SUCCESS", "DISCOVERED"]
    assert other.file_count == 1


def test_an_attempt_in_a_batch_that_is_split_or_released_is_counted_once(pipeline):
    """A file is not to blame for its neighbour: halving a batch must not use up the attempts of all its files."""
    ids = pipeline.record(*many(2))
    with pipeline.database.session_scope() as session:
        parent = pipeline.plan(session, ids[0], ids[1])
        files.claim(session, parent.id, pipeline.run_id, NOON, first=True)
        files.claim(session, parent.id, pipeline.run_id, NOON, first=False)
        child = pipeline.plan(session, 0, 0)
        files.hand_over(session, parent.id, child.id, ids[0], ids[1])
        files.claim(session, child.id, pipeline.run_id, NOON, first=True)
        assert files.attempts_of(session, child.id) == dict.fromkeys(ids, 1)
        files.set_free(session, child.id)
    assert [(row["state"], row["attempts"]) for row in pipeline.rows()] == [("DISCOVERED", 0)] * 2


def test_a_skipped_version_that_is_listed_again_is_revived_with_its_history(pipeline):
    one = found("/data/orders/a")
    [file_id] = pipeline.record(one)
    with pipeline.database.session_scope() as session:
        batch = pipeline.plan(session, file_id, file_id)
        files.claim(session, batch.id, pipeline.run_id, NOON, first=True)
        gone = [FileOutcome(file_id, S.SKIPPED, reason=ledger.MISSING, error="It was gone.")]
        files.settle(session, batch.id, gone, None, NOON)
        files.settled_events(session, batch.id, pipeline.run_id, NOON)
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


def test_the_sample_of_waiting_files_has_the_first_the_last_and_some_between(pipeline):
    ids = pipeline.record(*many(100))
    with pipeline.database.session_scope() as session:
        sample = [file.file_id for file in files.sample_waiting(session, pipeline.ingestion_id, 5)]
        assert sample[0] == ids[0]
        assert sample[-1] == ids[-1]
        assert len(sample) == 5
        assert sample == sorted(sample)
        assert [f.file_id for f in files.sample_waiting(session, pipeline.ingestion_id, 1)] == [ids[0]]
        assert [f.file_id for f in files.sample_waiting(session, pipeline.ingestion_id, 1000)] == ids
        assert files.sample_waiting(session, uuid4(), 5) == []


# --- sets, not files


def test_claiming_and_settling_ten_thousand_files_takes_a_handful_of_statements(pipeline):
    ids = pipeline.record(*many(10_000))
    outcomes = [FileOutcome(i, S.FAILED if i % 100 == 0 else S.SUCCESS, rows=3) for i in ids]
    with statements(pipeline.database) as sent, pipeline.database.session_scope() as session:
        batch = pipeline.plan(session, ids[0], ids[-1])
        files.claim(session, batch.id, pipeline.run_id, NOON, first=True)
        files.settle(session, batch.id, outcomes, 1, NOON)
        files.settled_events(session, batch.id, pipeline.run_id, NOON)

    assert len(sent) <= 8, [statement for statement, _ in sent]
    with pipeline.database.session_scope() as session:
        assert files.counts(session, pipeline.ingestion_id) == {"SUCCESS": 9900, "FAILED": 100}
        assert session.execute(text("SELECT count(*) FROM file_events")).scalar() == 20_000


def test_settling_finds_each_file_by_its_key_also_with_statistics_of_before_the_batch(pipeline):
    """By the batch's index instead, 10,000 files of one batch took 90 s."""
    database = pipeline.database
    ids = pipeline.record(*many(2000))
    with database.session_scope() as session:
        session.execute(text("ANALYZE"))  # no file is in a batch yet
    with database.session_scope() as session:
        batch = pipeline.plan(session, ids[0], ids[-1])
    with database.session_scope() as session:
        with statements(database) as sent:
            files.settle(session, batch.id, [FileOutcome(i, S.SUCCESS) for i in ids], 1, NOON)
        [(statement, parameters)] = sent
        explain = "EXPLAIN" if database.kind == "postgresql" else "EXPLAIN QUERY PLAN"
        rows = session.connection().exec_driver_sql(f"{explain} {statement}", parameters[0]).all()
    plan = " ".join(str(row) for row in rows)
    assert "pk_processed_files" in plan or "(id=?)" in plan
    assert "ix_processed_files_batch_id" not in plan


def test_recording_a_page_of_new_files_takes_two_statements(pipeline):
    new = [NewFile(one, S.DISCOVERED) for one in many(5000)]
    with statements(pipeline.database) as sent, pipeline.database.session_scope() as session:
        files.insert_new(session, pipeline.ingestion_id, pipeline.run_id, new, NOON)
    assert len(sent) == 2


def test_two_ingestions_that_record_at_once_both_get_through(database):
    pipelines = [Pipeline.new(database, name) for name in ("one", "two")]
    barrier, failures = threading.Barrier(2), []

    def record(pipeline: Pipeline) -> None:
        holder = Holder(uuid4().hex, "here", "boot", 1, "1")
        with database.session_scope() as session:
            leases.create(session, pipeline.ingestion_id)
            seen = leases.read(session, pipeline.ingestion_id)
            epoch = leases.take(session, seen, holder, pipeline.run_id, 60)
        barrier.wait(20)
        try:
            for page in range(8):
                listed = [found(f"/data/{page:02d}/{n:04d}", f"v{version}") for n in range(200) for version in (1, 2)]
                for some in (listed[::2], listed[1::2]):  # the second supersedes the first
                    with database.session_scope() as session:
                        listed_page = ListedPage(files=tuple(some))
                        counts = ledger.RecordCounts()
                        verdicts = ledger.compare(session, pipeline.ingestion_id, listed_page, "ignore", counts)
                    with database.session_scope() as session:
                        leases.hold(session, pipeline.ingestion_id, epoch, 60)
                        ledger.store(session, pipeline.ingestion_id, pipeline.run_id, verdicts, NOON)
        except Exception as error:  # noqa: BLE001 - the main thread shows it
            failures.append(error)

    threads = [threading.Thread(target=record, args=(pipeline,)) for pipeline in pipelines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert failures == []
    for pipeline in pipelines:
        with database.session_scope() as session:
            assert files.counts(session, pipeline.ingestion_id) == {"DISCOVERED": 1600, "SKIPPED": 1600}
    ids = [row["id"] for row in pipelines[0].rows()]
    assert len(ids) == len(set(ids)) == 6400


def test_a_version_is_stored_once(pipeline):
    pipeline.record(found("/data/a"))
    with pytest.raises(Exception, match=r"(?i)unique"):
        pipeline.record(found("/data/a"))
    assert len(pipeline.rows()) == 1


def test_reading_back_a_batch_gives_its_files_in_order_of_id(pipeline):
    ids = pipeline.record(found("/b", size=1), found("/a", size=2))
    with pipeline.database.session_scope() as session:
        batch = pipeline.plan(session, ids[0], ids[-1])
        members = files.of_batch(session, batch.id)
        value = batches.as_value(batch)
    assert [(m.file_id, m.path, m.version, m.size) for m in members] == [
        (ids[0], "/b", "v1", 1),
        (ids[1], "/a", "v1", 2),
    ]
    assert (value.state, value.file_count, value.claims, value.table_uuid) == (BatchState.PLANNED, 2, 0, None)
