"""The vendors' errors in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import DatabaseError, DatabaseNotMigrated, DatabaseUnavailable

UPGRADE_HINT = "Run: autoloader db upgrade"


@contextmanager
def database_errors() -> Iterator[None]:
    """The vendor's errors in our words, without the statement. A broken constraint is left as it is: repositories
    expect it.
    """
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeout as exc:
        message = "All connections to the database are in use."
        raise DatabaseUnavailable(message, hint="Run fewer ingestions at once, or try again.") from exc
    except DBAPIError as exc:
        raise _translate(exc) from exc


_MISSING = re.compile(r"no such (table|column)|has no column named")
_MISSING_STATES = {"42P01", "42703"}  # undefined table, undefined column
_SQLITE_HINTS = {
    "database is locked": "Another process holds it; see which with: autoloader runs list",
    "database or disk is full": "Free some space and try again: nothing was half done.",
    "unable to open database file": "Check that the folder exists and is writable.",
    "attempt to write a readonly database": "Check the permissions of the file and its folder.",
    "file is not a database": "DATABASE_URL or AUTOLOADER_HOME names a file of another kind.",
}


def _translate(error: DBAPIError) -> DatabaseError:
    """The error to raise instead. Its text names the cause, never the statement: people read it, and runs store it."""
    cause = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    state = getattr(error.orig, "sqlstate", None)
    if state in _MISSING_STATES or (state is None and _MISSING.search(cause)):
        return DatabaseNotMigrated(
            f"The database lacks tables or columns of this version ({cause}).", hint=UPGRADE_HINT
        )
    if state == "3D000":  # no such database
        return DatabaseUnavailable(f"The database does not exist ({cause}).", hint="Create it, or mend DATABASE_URL.")
    if error.connection_invalidated or _is_operational(error, state):
        hint = next(
            (hint for words, hint in _SQLITE_HINTS.items() if words in cause), "Check it with: autoloader doctor"
        )
        return DatabaseUnavailable(f"The database does not answer as it should ({cause}).", hint=hint)
    return DatabaseError(
        f"The database refused a statement of ours ({cause}).",
        hint="This is a fault of the program. See where it happened: the same command with --debug",
    )


def _is_operational(error: DBAPIError, state: str | None) -> bool:
    """Whether the fault is the server's or the machine's, by SQLSTATE class where there is one."""
    if state is not None:
        # connection, transaction rollback, resources, object in use, intervention, system, configuration, authorization
        return state[:2] in {"08", "25", "28", "40", "53", "55", "57", "58", "F0"}
    return type(error).__name__ in {"OperationalError", "InterfaceError"} or "file is not a database" in str(error.orig)
