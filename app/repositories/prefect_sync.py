"""How far Prefect follows, ingestion by ingestion. What was learned counts only for the revision it was learned of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, case, exists, func, or_, select, true, update
from sqlalchemy.orm import Session

from app.models import Ingestion, Ledger, Run, Trigger
from app.repositories.statements import changed_rows
from app.values import RunState, SyncState
from app.values import Trigger as TriggerKind

_LIVE = Ingestion.deleted_at.is_(None)
_UNSYNCED = or_(
    Ingestion.prefect_sync != SyncState.IN_SYNC.value,
    Ingestion.prefect_synced_revision.is_(None),
    Ingestion.prefect_synced_revision != Ingestion.revision,
)


def ledger_id(session: Session) -> UUID:
    """Which ledger this is, among those that may share a Prefect server."""
    return session.scalars(select(Ledger.id)).one()


def by_ids(session: Session, ids: Sequence[UUID]) -> dict[UUID, Ingestion]:
    """Those of these ingestions that are known, deleted ones too."""
    return {row.id: row for row in session.scalars(select(Ingestion).where(Ingestion.id.in_(ids)))}


def page(session: Session, after: UUID | None, limit: int) -> Sequence[Ingestion]:
    """Ingestions by id, behind `after`: all that are not deleted, and deleted ones that Prefect may still have."""
    query = select(Ingestion).where(or_(_LIVE, _UNSYNCED))
    if after is not None:
        query = query.where(Ingestion.id > after)
    return session.scalars(query.order_by(Ingestion.id).limit(limit)).all()


def synced(session: Session, ingestion_id: UUID, revision: int, deployment_id: str | None, flow_id: str | None) -> bool:
    """Prefect is as this revision wants it; false when that is no longer the newest.

    No id: it was removed there, and what the migration had made is gone with it.
    """
    made = {} if deployment_id is not None else {"prefect_migrated_at": None}
    return _mark(
        session,
        ingestion_id,
        revision,
        SyncState.IN_SYNC,
        prefect_sync_error=None,
        prefect_synced_revision=revision,
        prefect_deployment_id=deployment_id,
        prefect_flow_id=flow_id,
        **made,
    )


def unsynced(session: Session, ingestion_id: UUID, revision: int, state: SyncState, reason: str) -> bool:
    """Prefect could not be brought to this revision, and why; false when that is no longer the newest."""
    return _mark(session, ingestion_id, revision, state, prefect_sync_error=reason)


def _mark(session: Session, ingestion_id: UUID, revision: int, state: SyncState, **columns: object) -> bool:
    """An ingestion that Prefect is to have none of stays so, however that goes."""
    off = SyncState.OFF.value
    stands = case((Ingestion.prefect_sync == off, off), else_=state.value)
    statement = update(Ingestion).where(Ingestion.id == ingestion_id, Ingestion.revision == revision)
    return changed_rows(session, statement.values(prefect_sync=stands, **columns)) == 1


def counts(session: Session) -> dict[str, int]:
    """Map sync state → ingestions that are not deleted."""
    query = select(Ingestion.prefect_sync, func.count()).where(_LIVE).group_by(Ingestion.prefect_sync)
    return {str(state): int(count) for state, count in session.execute(query).tuples()}


# --- the migration ---------------------------------------------------------------------------


def every(session: Session, *, migrated: bool = False) -> Sequence[Ingestion]:
    """All ingestions by name, deleted ones too; or those whose deployment the migration made."""
    query = select(Ingestion).order_by(Ingestion.name, Ingestion.id)
    return session.scalars(query.where(Ingestion.prefect_migrated_at.is_not(None)) if migrated else query).all()


def migrating(session: Session, ingestion_id: UUID, now: datetime) -> None:
    """From here on the ingestion's deployment is one that the migration makes. Said before it is made."""
    changed_rows(session, update(Ingestion).where(Ingestion.id == ingestion_id).values(prefect_migrated_at=now))


def not_migrated(session: Session, ingestion_id: UUID) -> None:
    """The migration made none after all."""
    changed_rows(session, update(Ingestion).where(Ingestion.id == ingestion_id).values(prefect_migrated_at=None))


def switch_off(session: Session, ids: Sequence[UUID]) -> None:
    """Prefect is to have none of these; a push on its way sees by the revision that it has to look again."""
    live = and_(Ingestion.id.in_(ids), _LIVE, Ingestion.prefect_sync != SyncState.OFF.value)
    values = {"prefect_sync": SyncState.OFF.value, "prefect_sync_error": None, "revision": Ingestion.revision + 1}
    changed_rows(session, update(Ingestion).where(live).values(**values))


def switch_on(session: Session, ingestion_id: UUID) -> None:
    """Prefect is to follow again; nothing where it does. Events that came meanwhile were dropped: one run is wanted."""
    off = and_(Ingestion.id == ingestion_id, Ingestion.prefect_sync == SyncState.OFF.value)
    values = {
        "prefect_sync": SyncState.PENDING.value,
        "revision": Ingestion.revision + 1,
        "rerun_wanted": case((Ingestion.paused, Ingestion.rerun_wanted), else_=true()),
    }
    changed_rows(session, update(Ingestion).where(off).values(**values))


# --- wishes for another run ------------------------------------------------------------------


def want_rerun(session: Session, ingestion_id: UUID, lost_at: datetime) -> bool:
    """Note that a wish was lost at that moment, unless a run that lists, or another wish, has come since."""
    lists = Run.trigger != TriggerKind.DECISION.value
    begun = exists().where(Run.ingestion_id == ingestion_id, Run.started_at >= lost_at, lists)
    wished = exists().where(Trigger.ingestion_id == ingestion_id, Trigger.created_at >= lost_at)
    lost = and_(_LIVE, Ingestion.paused.is_(False), Ingestion.rerun_wanted.is_(False), ~begun, ~wished)
    statement = update(Ingestion).where(Ingestion.id == ingestion_id, lost)
    return changed_rows(session, statement.values(rerun_wanted=True)) == 1


def wanting_rerun(session: Session, limit: int) -> Sequence[UUID]:
    """Ingestions that want another run while none of theirs is active."""
    active = exists().where(Run.ingestion_id == Ingestion.id, Run.state == RunState.RUNNING.value)
    wanting = and_(_LIVE, Ingestion.paused.is_(False), Ingestion.rerun_wanted.is_(True), ~active)
    return session.scalars(select(Ingestion.id).where(wanting).order_by(Ingestion.id).limit(limit)).all()


def take_rerun(session: Session, ingestion_id: UUID) -> bool:
    """Take the wish, to make a trigger of it in the same transaction; true for one of those who try."""
    active = exists().where(Run.ingestion_id == ingestion_id, Run.state == RunState.RUNNING.value)
    wanting = and_(Ingestion.id == ingestion_id, Ingestion.rerun_wanted.is_(True), ~active)
    return changed_rows(session, update(Ingestion).where(wanting).values(rerun_wanted=False)) == 1
