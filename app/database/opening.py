"""How a database is opened."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import DatabaseUnavailable, InvalidInput

WAIT_SECONDS = 30  # for a lock, before the database counts as unavailable
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 300  # a statement of ours ends within seconds; this ends one that hangs

# Options of an engine whose transactions only read; a statement that writes is refused.
READ_ONLY = {"only_reads": True, "postgresql_readonly": True}


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://…`; opens no connection yet.

    SQLite: a transaction takes the write lock at its start (a read that turns into a write would fail at
    once, whatever the timeout), unless it was opened with READ_ONLY; a commit is on the disk when it
    returns. Raises InvalidInput for any other address.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _make_folder(Path(str(parsed.database)).parent)
        engine = create_engine(parsed, connect_args={"timeout": WAIT_SECONDS}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "checkin", _allow_writes)
        return engine
    return create_engine(
        parsed,
        connect_args=_postgres_arguments(parsed),
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,  # they hold paths and secrets' ciphertexts; errors are shown to people
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        message = f"The folder of the database, {folder}, cannot be made ({exc.strerror})."
        raise DatabaseUnavailable(message, hint="Set AUTOLOADER_HOME to a folder that can be written.") from exc


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        message = "DATABASE_URL is not an address of a database."
        raise InvalidInput(message, hint=_ADDRESS_HINT) from exc
    name = parsed.drivername
    if name in {"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"}:
        return parsed.set(drivername="postgresql+psycopg")
    if name == "postgresql+psycopg":
        return parsed
    if name not in {"sqlite", "sqlite+pysqlite"}:
        raise InvalidInput(f"The ledger cannot live in a database of the kind {name!r}.", hint=_ADDRESS_HINT)
    if not parsed.database or parsed.database == ":memory:":
        raise InvalidInput("The ledger cannot live in memory: it must outlast the process.", hint=_ADDRESS_HINT)
    return parsed


_ADDRESS_HINT = "Write sqlite:////absolute/path.db or postgresql://user:password@host:5432/database."


def _postgres_arguments(url: URL) -> dict[str, object]:
    if "options" in url.query:  # the person has decided
        return {"connect_timeout": CONNECT_SECONDS}
    limits = {
        "lock_timeout": WAIT_SECONDS,
        "statement_timeout": STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": STATEMENT_SECONDS,
    }
    return {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "autoloader",
        "options": " ".join(f"-c {name}={seconds}s" for name, seconds in limits.items()),
    }


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    del record
    connection.isolation_level = None  # the library begins nothing by itself; `_begin` does
    connection.execute(f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL, once in its life. SQLite does not wait for others here, so we do."""
    until = time.monotonic() + WAIT_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _begin(connection: Connection) -> None:
    """Readers see one moment of the database and wait for nobody; writers wait for each other."""
    if not connection.get_execution_options().get("only_reads"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute("PRAGMA query_only = ON")
    connection.exec_driver_sql("BEGIN")


def _allow_writes(connection: sqlite3.Connection | None, record: object) -> None:
    """The next one that takes this connection out of the pool may be a writer."""
    del record
    if connection is not None:
        connection.execute("PRAGMA query_only = OFF")
