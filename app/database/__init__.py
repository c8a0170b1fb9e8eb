"""The ledger database: how it is opened, the only commit, and how its tables come to be.

SQLite and PostgreSQL behave alike to those above: a session is one short transaction that waits its
turn, and whatever goes wrong comes out as one of the DatabaseErrors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.database.faults import database_errors
from app.database.opening import READ_ONLY, make_engine
from app.database.revisions import (
    current_revision,
    is_current,
    known_revisions,
    migrate,
    migrations_folder,
    require_current,
    upgrade,
)

__all__ = [
    "Database",
    "Session",
    "current_revision",
    "database_errors",
    "is_current",
    "known_revisions",
    "make_engine",
    "migrate",
    "migrations_folder",
    "require_current",
    "session_scope",
    "upgrade",
]


@contextmanager
def session_scope(engine: Engine) -> Iterator[Session]:
    """One transaction, committed at the end of the block, rolled back when the block raises.

    The only commit there is. Raises DatabaseUnavailable (the same again may help) and
    DatabaseNotMigrated; a broken constraint comes out as SQLAlchemy's IntegrityError.
    """
    with database_errors(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


class Database:
    """One database: its engine, and the sessions on it. Threads may share it; processes may not."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url)

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @property
    def shown(self) -> str:
        """The address without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """See the function of that name."""
        with session_scope(self.engine) as session:
            yield session

    @contextmanager
    def read_scope(self) -> Iterator[Session]:
        """A transaction that only reads, for lists and views: on SQLite it waits for no writer, and no writer for it.

        What a later write rests on is read in `session_scope`. Raises DatabaseUnavailable, also for a write.
        """
        with session_scope(self._reading) as session:
            yield session

    @cached_property
    def _reading(self) -> Engine:
        return self.engine.execution_options(**READ_ONLY)

    def upgrade(self) -> str:
        """See the function of that name."""
        return upgrade(self.url)

    def require_current(self) -> None:
        """See the function of that name."""
        require_current(self.engine)

    def close(self) -> None:
        self.engine.dispose()
