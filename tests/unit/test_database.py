from __future__ import annotations

import shutil
import sqlite3
import threading
import time

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from app import database
from app.database import Database, known_revisions, make_engine, migrate, opening, revisions, session_scope, upgrade
from app.errors import DatabaseError, DatabaseNotMigrated, DatabaseUnavailable, InvalidInput


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/home/a%b ü.db"


@pytest.fixture
def db(url):
    found = Database(url)
    yield found
    found.close()


@pytest.fixture
def numbers(db):
    """A database with one small table."""
    with db.session_scope() as session:
        session.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY, parent INTEGER REFERENCES numbers)"))
    return db


def count(db):
    with db.session_scope() as session:
        return session.execute(text("SELECT count(*) FROM numbers")).scalar()


# --- transactions


def test_a_session_commits_at_its_end(numbers):
    with numbers.session_scope() as session:
        session.execute(text("INSERT INTO numbers VALUES (1, NULL)"))

    assert count(numbers) == 1


def test_a_session_that_raises_leaves_nothing(numbers):
    def insert_and_raise():
        with numbers.session_scope() as session:
            session.execute(text("INSERT INTO numbers VALUES (1, NULL)"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_raise()

    assert count(numbers) == 0


def test_a_transaction_that_only_reads_takes_the_write_lock_too(numbers):
    order = []
    reading = threading.Event()

    def write():
        reading.wait(180)
        with numbers.session_scope() as session:
            session.execute(text("INSERT INTO numbers VALUES (1, NULL)"))
            order.append("second in")

    thread = threading.Thread(target=write)
    thread.start()
    with numbers.session_scope() as session:
        session.execute(text("SELECT * FROM numbers")).all()
        reading.set()
        thread.join(0.3)
        session.execute(text("INSERT INTO numbers VALUES (2, NULL)"))  # would fail, had the other one written
        order.append("first out")
    thread.join(180)

    assert order == ["first out", "second in"]
    assert count(numbers) == 2


def test_a_reader_waits_for_no_writer_and_sees_what_was_there_before(numbers):
    with numbers.session_scope() as writer:
        writer.execute(text("INSERT INTO numbers VALUES (1, NULL)"))
        with numbers.read_scope() as reader:
            assert reader.execute(text("SELECT count(*) FROM numbers")).scalar() == 0
    with numbers.read_scope() as reader:
        before = reader.execute(text("SELECT count(*) FROM numbers")).scalar()
        with numbers.session_scope() as writer:  # nor does a writer wait for a reader
            writer.execute(text("INSERT INTO numbers VALUES (2, NULL)"))
        assert reader.execute(text("SELECT count(*) FROM numbers")).scalar() == before == 1


def test_a_connection_that_only_read_may_write_for_the_next_one(numbers):
    with numbers.read_scope() as reader:
        first = reader.connection().connection.driver_connection
    with numbers.session_scope() as writer:
        assert writer.connection().connection.driver_connection is first
        writer.execute(text("INSERT INTO numbers VALUES (1, NULL)"))
    assert count(numbers) == 1


def test_what_sqlite_is_told_on_every_connection(numbers):
    with numbers.session_scope() as session:
        told = {name: session.execute(text(f"PRAGMA {name}")).scalar() for name in ("synchronous", "foreign_keys")}
        told |= {name: session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "busy_timeout")}

    assert told == {"synchronous": 2, "foreign_keys": 1, "journal_mode": "wal", "busy_timeout": 30_000}


def test_a_broken_constraint_is_left_to_the_repository(numbers):
    with pytest.raises(IntegrityError), numbers.session_scope() as session:
        session.execute(text("INSERT INTO numbers VALUES (1, 99)"))


# --- errors


def test_a_database_that_stays_locked_is_unavailable(numbers, url, monkeypatch):
    monkeypatch.setattr(opening, "WAIT_SECONDS", 0)
    other = Database(url)
    with numbers.session_scope() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailable, match="locked") as caught:
            database.current_revision(other.engine)
    other.close()

    assert caught.value.retryable
    assert "runs list" in caught.value.hint


def test_a_missing_table_is_told_with_the_command_that_makes_it(db):
    with pytest.raises(DatabaseNotMigrated, match="no such table: runs") as caught, db.session_scope() as session:
        session.execute(text("SELECT * FROM runs"))
    assert "autoloader db upgrade" in caught.value.hint


def test_a_missing_column_is_told_too(numbers):
    with pytest.raises(DatabaseNotMigrated, match="missing"), numbers.session_scope() as session:
        session.execute(text("SELECT missing FROM numbers"))


def test_a_file_of_another_kind_is_told_so(tmp_path):
    (tmp_path / "x.db").write_bytes(b"PAR1" * 1000)

    with pytest.raises(DatabaseUnavailable, match="file is not a database") as caught:
        database.current_revision(make_engine(f"sqlite:///{tmp_path}/x.db"))
    assert "another kind" in caught.value.hint


def test_a_home_that_cannot_be_made_is_told_so(tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")

    with pytest.raises(DatabaseUnavailable, match="cannot be made") as caught:
        make_engine(f"sqlite:///{tmp_path}/home/deeper/x.db")
    assert "AUTOLOADER_HOME" in caught.value.hint


def test_no_server_at_the_address_is_unavailable_and_the_password_stays_hidden():
    address = "postgresql://user:canary@127.0.0.1:1/db"

    with pytest.raises(DatabaseUnavailable) as caught:
        database.current_revision(make_engine(address))
    assert "canary" not in f"{caught.value} {Database(address).shown}"


def test_an_error_does_not_show_the_values_of_the_statement(numbers):
    with pytest.raises(DatabaseNotMigrated) as caught, numbers.session_scope() as session:
        session.execute(text("INSERT INTO absent VALUES (:secret)"), {"secret": "canary"})
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"


def test_a_statement_that_is_refused_is_told_without_the_statement(numbers):
    with (
        pytest.raises(DatabaseError, match="refused a statement of ours") as caught,
        numbers.session_scope() as session,
    ):
        session.execute(text("SELECT 'canary'; SELECT 2"))
    assert "canary" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("address", ["", "nonsense", "mysql://h/db", "sqlite://", "sqlite:///:memory:", "duckdb:///x"])
def test_other_addresses_are_refused_with_what_is_possible(address):
    with pytest.raises(InvalidInput) as caught:
        make_engine(address)
    assert "postgresql://user" in caught.value.hint


@pytest.mark.parametrize("name", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_every_way_to_write_postgresql_means_the_same_driver(name):
    assert make_engine(f"{name}://h/db").url.drivername == "postgresql+psycopg"


# --- revisions


def test_the_revisions_are_those_that_alembic_sees():
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(database.migrations_folder()))
    assert [item.revision for item in reversed(list(script.walk_revisions()))] == list(known_revisions())


def test_an_upgrade_makes_the_tables_and_a_second_one_does_nothing(db):
    assert database.current_revision(db.engine) is None
    with pytest.raises(DatabaseNotMigrated, match="revision none"):
        db.require_current()

    assert db.upgrade() == known_revisions()[-1]
    begun = time.perf_counter()
    db.upgrade()

    assert time.perf_counter() - begun < 0.2
    assert database.is_current(db.engine)
    db.require_current()
    assert {"ingestions", "runs", "batches", "processed_files"} <= set(inspect(db.engine).get_table_names())


def test_an_older_database_is_told_with_the_command(db, url):
    migrate(url, known_revisions()[0])

    with pytest.raises(DatabaseNotMigrated, match=f"needs {known_revisions()[-1]}") as caught:
        db.require_current()
    assert "autoloader db upgrade" in caught.value.hint


def test_a_database_of_a_newer_version_is_left_alone(db):
    db.upgrade()
    with db.session_scope() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    for act in (db.require_current, db.upgrade):
        with pytest.raises(DatabaseNotMigrated, match="a newer one made it"):
            act()


@pytest.fixture
def broken_revision(tmp_path, monkeypatch):
    """The migrations with one more, which breaks off in its middle."""
    folder = tmp_path / "migrations"
    shutil.copytree(database.migrations_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9000_broken.py").write_text(
        "from alembic import op\n"
        'revision = "9000"\n'
        f'down_revision = "{known_revisions()[-1]}"\n'
        "def upgrade():\n"
        '    op.execute("CREATE TABLE half (x INTEGER)")\n'
        '    op.execute("DELETE FROM file_id_source")\n'
        '    raise RuntimeError("broken off")\n'
    )
    monkeypatch.setattr(revisions, "migrations_folder", lambda: folder)


@pytest.mark.usefixtures("broken_revision")
def test_a_revision_that_breaks_off_leaves_nothing_of_itself(db, url):
    with pytest.raises(RuntimeError, match="broken off"):
        upgrade(url)

    assert database.current_revision(db.engine) == known_revisions()[-2]
    assert not inspect(db.engine).has_table("half")
    with session_scope(db.engine) as session:
        assert session.execute(text("SELECT count(*) FROM file_id_source")).scalar() == 1


def test_changing_a_table_keeps_the_rows_that_point_to_it(db, url, tmp_path):
    """SQLite copies and drops the table; with foreign keys enforced that would fail or empty its children."""
    db.upgrade()
    path = tmp_path / "home" / "a%b ü.db"
    with sqlite3.connect(path) as connection:
        for table, values in {"ingestions": {"id": "i"}, "runs": {"id": "r", "ingestion_id": "i"}}.items():
            _insert(connection, table, values)
    connection.close()

    migrate(url, known_revisions()[0])
    upgrade(url)

    with db.session_scope() as session:
        assert session.execute(text("SELECT ingestion_id FROM runs")).scalars().all() == ["i"]
        assert session.execute(text("PRAGMA foreign_key_check")).all() == []


def _insert(connection, table, values):
    """One row, with zero in whatever else must not be null."""
    needed = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[3] and row[4] is None]
    row = dict.fromkeys(needed, 0) | values
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
