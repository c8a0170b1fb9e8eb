"""Taking files out of the ledger, so that a later listing finds them as new."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.errors import IllegalTransition
from app.models import FileEvent, ProcessedFile
from app.repositories.statements import changed_rows
from app.values import FileState

_IN_CHUNK = 500


def remove(session: Session, ids: Sequence[int]) -> int:
    """Remove files with their history; answers how many. Raises IllegalTransition when one of them was loaded."""
    removed = 0
    for at in range(0, len(ids), _IN_CHUNK):
        chunk = ids[at : at + _IN_CHUNK]
        changed_rows(session, delete(FileEvent).where(FileEvent.file_id.in_(chunk)))
        loaded = ProcessedFile.state == FileState.SUCCESS.value
        gone = changed_rows(session, delete(ProcessedFile).where(ProcessedFile.id.in_(chunk), ~loaded))
        if gone != len(chunk):
            raise IllegalTransition(
                f"{len(chunk) - gone} of these files are loaded; they cannot be forgotten.",
                hint="See which: autoloader files list --state SUCCESS",
            )
        removed += gone
    return removed
