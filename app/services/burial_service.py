"""The end of a run whose process was killed, told by whoever saw it die: the record need not wait for the next run."""

from __future__ import annotations

from app.config import Settings
from app.database import Database
from app.errors import LeaseHeld
from app.ingest.ports import Clock, SilentProgress, SystemClock
from app.repositories import runs
from app.services import lease_service, run_records
from app.values import RunState


def bury(
    database: Database, settings: Settings, external_key: str, ending: run_records.Ending, clock: Clock | None = None
) -> bool:
    """End the key's run if it is still RUNNING and its owner is dead; whether it was ended.

    It takes the lease for that, so that a run which somebody has begun meanwhile, or which lives after all, stays as it
    is. The batches that the dead run had in hand wait for the next run.
    """
    with database.session_scope() as session:
        run = runs.by_key(session, external_key)
    if run is None or run.state != RunState.RUNNING:
        return False
    try:
        with (
            lease_service.hold(database, settings, run.ingestion_id, run.id, SilentProgress()) as lease,
            lease.transaction() as session,
        ):
            run_records.end(session, run.id, ending, (clock or SystemClock()).now())
    except LeaseHeld:
        return False
    return True
