"""What a run does at its end to keep the table quick: its old history goes, as far as nobody can need it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from app.database import Session
from app.errors import AutoloaderError
from app.log import get_logger
from app.repositories import batches, ingestions, runs
from app.services.context import RunContext

log = get_logger(__name__)


def expire(ctx: RunContext) -> None:
    """Expire old snapshots as far as point 11 allows. What fails here is told, and tried again after the next load.

    A run that has loaded nothing looks only when a snapshot of ours has come of age: history does not grow by itself.
    """
    before = ctx.clock.now() - timedelta(seconds=ctx.settings.snapshot_retention_seconds)
    if not ctx.engine_opened and not _is_due(ctx, before):
        return
    try:
        engine = ctx.engine  # opened before the bases are read: who claims meanwhile must be among them
        engine.expire(_bases(ctx), before)
    except AutoloaderError as error:
        log.warning("old snapshots were not expired", error=str(error))


def _is_due(ctx: RunContext, before: datetime) -> bool:
    with ctx.lease.transaction() as session:
        return _came_of_age(session, ctx, _sharing(session, ctx), before)


def _sharing(session: Session, ctx: RunContext) -> list[UUID]:
    return [row.id for row in ingestions.into_table(session, ctx.ingestion.table_name)]


def _bases(ctx: RunContext) -> frozenset[int | None]:
    """What unfinished batches of everybody's began on. None is an empty table: such a batch needs the whole history."""
    with ctx.lease.transaction() as session:
        claimed = batches.into_table(session, _sharing(session, ctx))
        return frozenset(row.base_snapshot_id for row in claimed if row.table_uuid is not None)


def _came_of_age(session: Session, ctx: RunContext, sharing: Sequence[UUID], before: datetime) -> bool:
    """Whether a snapshot of ours became old enough since the last run that looked. The ledger tells it without the
    table; foreign snapshots wait for a run that loads something.
    """
    looked = runs.last_whole(session, ctx.ingestion.id)
    if looked is None:
        return False
    since = looked - timedelta(seconds=ctx.settings.snapshot_retention_seconds)
    return batches.landed_between(session, sharing, since, before)
