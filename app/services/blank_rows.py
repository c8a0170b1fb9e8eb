"""Rows that a run loaded and that hold nothing: unknown keys are left out on purpose, whole records seldom are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.database import Session
from app.repositories import files, runs
from app.values import FileOutcome

_NAME = "blank"  # in a run's metrics


def count(session: Session, run_id: UUID, batch_id: UUID, outcomes: Sequence[FileOutcome]) -> None:
    """Add those of a batch that landed to the run's, and tell them in its notes. For the transaction that settles the
    batch: so each counts once, whoever settles it.
    """
    blank = {outcome.file_id: outcome.blank for outcome in outcomes if outcome.blank}
    run = runs.by_id(session, run_id)
    if not blank or run is None:
        return
    known = run.metrics.get(_NAME, {})
    path = next((file.path for file in files.of_batch(session, batch_id) if file.file_id in blank), "")
    rows, number = known.get("rows", 0) + sum(blank.values()), known.get("files", 0) + len(blank)
    first = known.get("first") or path
    added = {"rows": rows, "files": number, "first": first, "note": _sentence(rows, number, first)}
    notes = [note for note in run.metrics.get("notes", []) if note != known.get("note")]
    run.metrics = {**run.metrics, _NAME: added, "notes": [*notes, added["note"]]}


def kept(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What `count` kept, for metrics that take the place of these."""
    return {_NAME: metrics[_NAME]} if _NAME in metrics else {}


def note_of(metrics: Mapping[str, Any]) -> str:
    """The note that `count` made; empty where there was nothing to count."""
    return str(metrics.get(_NAME, {}).get("note", ""))


def _sentence(rows: int, number: int, first: str) -> str:
    told = "1 row holds" if rows == 1 else f"{rows:,} rows hold"
    where = first if number == 1 else f"{number:,} files, the first is {first}"
    record = "its record has" if rows == 1 else "their records have"
    return f"{told} nothing (in {where}): what {record} was left out, as on_new_columns is ignore, or is null."
