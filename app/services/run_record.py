"""The record of a run: begun once for a key, resumed where its owner died (protocol, point 9)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from app.database import Session
from app.errors import Conflict
from app.models import Run
from app.repositories import leases, runs
from app.services.context import IngestionInfo
from app.services.lease_service import HeldLease
from app.values import RunState, Trigger


def keyed(session: Session, ingestion_id: UUID, external_key: str | None) -> Run | None:
    """The run of the key, which somebody began and nobody ended.

    Raises Conflict for a key of another ingestion, and for one whose run has ended.
    """
    run = runs.by_key(session, external_key) if external_key is not None else None
    if run is None:
        return None
    if run.ingestion_id != ingestion_id:
        raise Conflict(
            f"The key {external_key} belongs to run {run.id} of another ingestion.", hint="Give each run its own key."
        )
    if run.state != RunState.RUNNING:
        raise Conflict(
            f"Run {run.id} of key {external_key} has ended: {run.state}.", hint="To run again, give another key."
        )
    return run


def begin(
    lease: HeldLease,
    ingestion: IngestionInfo,
    run_id: UUID,
    trigger: Trigger,
    external_key: str | None,
    now: datetime,
) -> UUID:
    """Store the run, or go on with the one that the key has already; answers its id. Raises as `keyed` does.

    The key is looked up behind the lease: before it, two processes could both find none. Runs that an earlier owner
    left RUNNING become FAILED.
    """
    with lease.transaction() as session:
        known = keyed(session, ingestion.id, external_key)
        run_id = known.id if known is not None else run_id
        for left in runs.running(session, ingestion.id):
            if left.id != run_id:
                left.state, left.finished_at, left.error_code = RunState.FAILED.value, now, "abandoned"
                left.error = "The process that ran it died; the next run finished its batches."
        if known is not None:
            known.lease_epoch = lease.epoch
            leases.tell_run(session, ingestion.id, run_id)
            return run_id
        run = Run(
            id=run_id,
            tenant_id=ingestion.tenant_id,
            ingestion_id=ingestion.id,
            trigger=trigger.value,
            state=RunState.RUNNING.value,
            external_key=external_key,
            lease_epoch=lease.epoch,
            started_at=now,
            metrics={},
        )
        runs.add(session, run)
        return run_id
