"""The newest run of each of many ingestions, and whether somebody runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from app.database import Session
from app.repositories import runs
from app.repositories.runs import LastRun
from app.services import lease_service
from app.values import RunState


def last_runs(session: Session, ingestion_ids: Sequence[UUID]) -> dict[UUID, LastRun]:
    """Map ingestion → its newest run, where it has one; `alive` as in a list of runs: RUNNING, and its lease held."""
    return {run.ingestion_id: _judged(session, run) for run in runs.newest_of(session, ingestion_ids)}


def _judged(session: Session, run: LastRun) -> LastRun:
    if run.state != RunState.RUNNING:
        return run
    return replace(run, alive=lease_service.is_alive(session, run.ingestion_id, run.run_id))
