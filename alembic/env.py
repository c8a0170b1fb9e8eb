"""How Alembic meets the database: called by the `alembic` command and by `app.database.migrate`.

One process migrates at a time (a file lock beside a SQLite file, an advisory lock in PostgreSQL), each
revision is one transaction, and on PostgreSQL no migration waits for long behind a busy table, because
everyone else would wait behind it.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import context
from sqlalchemy import Connection, Engine, text

from app.config import get_settings
from app.database import make_engine
from app.models import Base

ADVISORY_KEY = 7_262_846_551_834_217_003  # any number that nobody else takes
LOCK_TIMEOUT = "10s"


def address() -> str:
    """The caller's database, or the one the settings name."""
    return str(context.config.attributes.get("url") or get_settings().database_address)


@contextmanager
def alone(engine: Engine, connection: Connection) -> Iterator[None]:
    """Hold the right to migrate; waits for whoever has it."""
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.migrating").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # given back by the kernel, also when we are killed
            yield
        return
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SET statement_timeout = 0"))  # an index over many files takes its time
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_KEY})
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()
    yield  # closing the connection gives the lock back


def without_foreign_keys(connection: Connection) -> None:
    """SQLite changes a table by copying and dropping it; enforced keys would empty the tables that point to it."""
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute("PRAGMA foreign_keys = OFF")


def online() -> None:
    engine = make_engine(address())
    sqlite = engine.dialect.name == "sqlite"
    try:
        with engine.connect() as connection:
            if sqlite:
                without_foreign_keys(connection)
            with alone(engine, connection):
                context.configure(
                    connection=connection,
                    target_metadata=Base.metadata,
                    render_as_batch=sqlite,
                    transactional_ddl=True,  # SQLite can; Alembic does not believe it
                    transaction_per_migration=True,
                    compare_server_default=True,
                )
                with context.begin_transaction():
                    context.run_migrations()
    finally:
        engine.dispose()


def offline() -> None:
    """`alembic upgrade head --sql`: print the statements."""
    engine = make_engine(address())
    context.configure(dialect_name=engine.dialect.name, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.config.cmd_opts is not None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
if context.is_offline_mode():
    offline()
else:
    online()
