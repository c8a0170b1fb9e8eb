"""What is sent to a database, and how the database would carry it out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from app.database import Database

Sent = list[tuple[str, Any]]


@contextmanager
def statements(database: Database) -> Iterator[Sent]:
    """Collect what is sent to the database: (text, parameters)."""
    sent: Sent = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT")):
            sent.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def plan_of(database: Database, sent: Sent) -> str:
    """How the database would carry out the only statement that was sent; PostgreSQL as if the tables were large."""
    [(statement, parameters)] = sent
    with database.session_scope() as session:
        if database.kind == "postgresql":
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_bitmapscan = off"))
        explain = "EXPLAIN" if database.kind == "postgresql" else "EXPLAIN QUERY PLAN"
        rows = session.connection().exec_driver_sql(f"{explain} {statement}", parameters)
        return "; ".join(str(row[-1]).strip() for row in rows)
