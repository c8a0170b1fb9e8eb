"""Migrations and faults on both databases, with real servers."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from app.database import Database, known_revisions, migrate
from app.errors import DatabaseNotMigrated, DatabaseUnavailable
from app.models import Base


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request, tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres").url
    found = Database(url)
    yield found
    found.close()


@pytest.fixture
def server(postgres):
    found = Database(postgres.url)
    yield found
    found.close()


def tables(db):
    return set(inspect(db.engine).get_table_names())


def test_up_down_and_up_again(db):
    db.upgrade()
    made = tables(db)
    assert {"ingestions", "clusters", "connections", "runs", "batches", "processed_files", "leases"} <= made

    for revision in (*reversed(known_revisions()[:-1]), "base"):
        migrate(db.url, revision)
    assert tables(db) == {"alembic_version"}

    db.upgrade()
    assert tables(db) == made


def test_the_tables_are_what_the_models_say(db):
    db.upgrade()

    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_processes_that_upgrade_at_once_all_find_it_done(db):
    code = "import sys; from app.database import upgrade; sys.stdin.read(1); print(upgrade(sys.argv[1]))"
    command = [sys.executable, "-W", "error", "-c", code, db.url]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate("x", timeout=120)[0].strip() for process in processes]

    assert answers == [known_revisions()[-1]] * 3
    db.require_current()


def test_the_alembic_command_needs_nothing_but_the_settings(db):
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    environment = {"DATABASE_URL": db.url, "PATH": "/usr/bin:/bin"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)

    db.require_current()


def test_the_alembic_command_prints_the_statements(db):
    command = [sys.executable, "-m", "alembic", "upgrade", "head", "--sql"]
    environment = {"DATABASE_URL": db.url, "PATH": "/usr/bin:/bin"}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120, text=True).stdout

    assert "CREATE TABLE processed_files" in printed
    assert tables(db) == set()


def test_missing_tables_are_told_with_the_command_that_makes_them(db):
    with pytest.raises(DatabaseNotMigrated) as caught, db.session_scope() as session:
        session.execute(text("SELECT * FROM runs"))
    assert "runs" in caught.value.message
    assert "autoloader db upgrade" in caught.value.hint


def test_a_new_database_has_an_epoch_of_its_own_for_file_ids(db, tmp_path):
    other = Database(f"sqlite:///{tmp_path}/other.db")
    epochs = set()
    for each in (db, other):
        each.upgrade()
        with each.session_scope() as session:
            epochs.add(session.execute(text("SELECT epoch FROM file_id_source")).scalar_one())
    other.close()

    assert len(epochs) == 2


def test_a_transaction_that_only_reads_refuses_to_write(db):
    db.upgrade()
    with pytest.raises(DatabaseUnavailable, match=r"readonly|read-only"), db.read_scope() as session:
        session.execute(text("UPDATE file_id_source SET epoch = 1"))
    with db.session_scope() as session:
        session.execute(text("UPDATE file_id_source SET epoch = 1"))


# --- PostgreSQL alone


def test_a_connection_that_the_server_ends_is_unavailable_and_the_next_one_works(server):
    def break_off():
        with server.session_scope() as session:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseUnavailable) as caught:
        break_off()
    assert caught.value.retryable
    with server.session_scope() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


def test_a_connection_that_died_in_the_pool_is_not_noticed(server):
    with server.session_scope() as session:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    other = Database(server.url)
    with other.session_scope() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    other.close()

    with server.session_scope() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


def test_a_lock_that_stays_taken_makes_the_database_unavailable(server):
    with server.session_scope() as session:
        session.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))

    def read_numbers():
        with server.session_scope() as session:
            session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            session.execute(text("SELECT * FROM numbers"))

    with server.session_scope() as holder:
        holder.execute(text("LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            read_numbers()


def test_locks_and_statements_have_limits_by_themselves(server):
    with server.session_scope() as session:
        found = {name: session.execute(text(f"SHOW {name}")).scalar() for name in ("lock_timeout", "statement_timeout")}

    assert found == {"lock_timeout": "30s", "statement_timeout": "5min"}


def test_a_deadlock_is_unavailable_for_one_and_the_other_goes_on(server):
    with server.session_scope() as session:
        session.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
        session.execute(text("INSERT INTO numbers VALUES (1), (2)"))
    meet = threading.Barrier(2, timeout=180)
    ends = []

    def work(first, second):
        try:
            with server.session_scope() as session:
                session.execute(text("UPDATE numbers SET n = n WHERE n = :n"), {"n": first})
                meet.wait()
                session.execute(text("UPDATE numbers SET n = n WHERE n = :n"), {"n": second})
            ends.append("done")
        except DatabaseUnavailable:
            ends.append("unavailable")

    threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(ends) == ["done", "unavailable"]


def test_a_database_that_does_not_exist_is_told_so(postgres):
    missing = Database(postgres.url + "_missing")

    with pytest.raises(DatabaseUnavailable, match="does not exist"), missing.session_scope() as session:
        session.execute(text("SELECT 1"))
