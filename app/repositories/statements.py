"""Ways to run a statement: one that changes a set of rows, and one that may meet what is unique and taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import Conflict


def changed_rows(session: Session, statement: Update | Delete) -> int:
    """Run it past the session's own objects, and answer how many rows it changed."""
    done = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", done).rowcount


@contextmanager
def taken(sentence: str, hint: str = "Choose another name.") -> Iterator[None]:
    """Raise Conflict with `sentence` where the block breaks what is unique; two may choose it at the same moment."""
    try:
        yield
    except IntegrityError as exc:
        if "unique" not in str(exc.orig).lower():
            raise
        raise Conflict(sentence, hint=hint) from exc
