"""The newest run of each of many ingestions, and whether somebody runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from app.database import Session
from app.repositories import leases, runs
from app.repositories.runs import LastRun
from app.services import lease_service
from app.values import RunState


def last_runs(session: Session, ingestion_ids: Sequence[UUID]) -> dict[UUID, LastRun]:
    """Map ingestion → its newest run, where it has one; `alive` as in a list of runs: RUNNING, and its lease held."""
    newest = {run.ingestion_id: run for run in runs.newest_of(session, ingestion_ids)}
    going = [run for run in newest.values() if run.state == RunState.RUNNING]
    held = leases.read_all(session, [run.ingestion_id for run in going]) if going else {}
    for run in going:
        alive = lease_service.is_alive_by(held.get(run.ingestion_id), run.run_id)
        newest[run.ingestion_id] = replace(run, alive=alive)
    return newest
