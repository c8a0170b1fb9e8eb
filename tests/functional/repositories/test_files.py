from __future__ import annotations

import threading
import tracemalloc
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.ingest import ledger
from app.models import DEFAULT_TENANT
from app.repositories import batches, file_moves, file_views, files, leases, runs
from app.repositories.file_views import Scope
from app.repositories.files import NewFile
from app.repositories.leases import Holder
from app.values import BatchState, FileState, ListedPage
from tests.fakes.ledger import NOON, Pipeline, add_ingestion, found, many, shape
from tests.fakes.statements import plan_of, statements

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
        barrier.wait(180)
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
    pipeline = Pipeline(database, add_ingestion(database.engine, shape(f"i-{uuid4().hex}")).id, uuid4())
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


def test_among_known_files_a_version_that_was_given_up_for_another_is_judged_anew(pipeline):
    listed = list(many(20))
    ids = pipeline.record(*listed)
    with pipeline.database.session_scope() as session:
        file_moves.move(session, [ids[3]], FileState.SKIPPED, NOON, reason=ledger.CHANGED, error="It changed.")
        file_moves.move(session, [ids[4]], FileState.SKIPPED, NOON, reason=ledger.BY_HAND, error="Left out.")
        counts = ledger.RecordCounts()
        page = ListedPage(files=tuple(listed))
        verdicts = ledger.compare(session, pipeline.ingestion_id, page, "ignore", counts)

    assert [verdict.revive for verdict in verdicts] == [ids[3]]
    assert (counts.new, counts.known) == (1, 19)


def test_of_two_entries_for_one_path_in_a_page_the_last_counts(pipeline):
    old, new = found("/data/orders/a", "v1"), found("/data/orders/a", "v2")
    pipeline.record(old)
    counts = ledger.RecordCounts()
    with pipeline.database.session_scope() as session:
        page = ListedPage(files=(old, new))
        verdicts = ledger.compare(session, pipeline.ingestion_id, page, "ignore", counts)

    assert [verdict.insert.found for verdict in verdicts] == [new]
    assert (counts.new, counts.known) == (1, 0)


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


# What is asked → (SQLite's way, PostgreSQL's way).
INDEXED = {
    "waiting": ("ix_processed_files_waiting (ingestion_id=? AND id>?)", "ix_processed_files_waiting"),
    "known_between": (" (ingestion_id=? AND path>? AND path<?)", "uq_processed_files_ingestion_path_version"),
    "unfinished": ("ix_batches_unfinished (ingestion_id=?)", "ix_batches_unfinished"),
    "unknown": ("ix_batches_unfinished (ingestion_id=?)", "ix_batches_unfinished"),
    "waiting_count": ("ix_processed_files_not_loaded (ingestion_id=?", "ix_processed_files_not_loaded"),
    "count_with_reason": (
        "ix_processed_files_not_loaded (ingestion_id=? AND state=?)",
        "ix_processed_files_not_loaded",
    ),
    "of_batch": ("ix_processed_files_batch_id (batch_id=?)", "ix_processed_files_batch_id"),
    "running": ("ix_runs_running (ingestion_id=?)", "ix_runs_running"),
    "runs": ("ix_runs_tenant_id_started_at (tenant_id=?)", "ix_runs_tenant_id_started_at"),
    "versions": (" (ingestion_id=? AND path=?)", "uq_processed_files_ingestion_path_version"),
    "versions of one": (" (ingestion_id=? AND path=?)", "uq_processed_files_ingestion_path_version"),
}


def ask(session, name: str, own) -> object:
    asked = {
        "waiting": lambda: files.waiting(session, own, 0, 10),
        "known_between": lambda: files.known_between(session, own, "/a", "/b", 10),
        "unfinished": lambda: batches.unfinished(session, own),
        "unknown": lambda: batches.unknown(session, own),
        "waiting_count": lambda: files.waiting_count(session, own),
        "count_with_reason": lambda: files.count_with_reason(session, own, S.QUARANTINED, ledger.ON_CHANGE_FAIL),
        "of_batch": lambda: files.of_batch(session, uuid4()),
        "running": lambda: runs.running(session, own),
        "runs": lambda: runs.listed(session, DEFAULT_TENANT, None, 20),
        "versions": lambda: file_views.versions(session, "/a", Scope(DEFAULT_TENANT)),
        "versions of one": lambda: file_views.versions(session, "/a", Scope(DEFAULT_TENANT, own)),
    }
    return asked[name]()


@pytest.mark.parametrize("name", INDEXED)
def test_the_queries_that_run_each_time_use_their_indexes(database, name):
    pipeline = Pipeline.new(database)
    with database.session_scope() as session, statements(database) as sent:
        ask(session, name, pipeline.ingestion_id)
    plan = plan_of(database, sent)
    assert INDEXED[name][database.kind == "postgresql"] in plan
    if name in {"waiting", "runs"} and database.kind == "sqlite":
        assert "FOR ORDER BY" not in plan, "they come in order"


# --- samples


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
        barrier.wait(180)
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
        assert pipeline.counts() == {"DISCOVERED": 1600, "SKIPPED": 1600}
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
