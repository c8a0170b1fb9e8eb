"""Triggers: wishes for a run that wait to be delivered.

One is delivered by whoever moves its `due_at` into the future; a deliverer that dies leaves it to be due again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, ScalarSelect, Update, delete, exists, func, literal_column, select, update
from sqlalchemy.orm import Session

from app.models import Run, Trigger
from app.models.trigger import WAITING_SQL
from app.repositories.statements import changed_rows
from app.values import RunState
from app.values import Trigger as TriggerKind

_WAITING = literal_column(WAITING_SQL, Boolean)


def add(session: Session, trigger: Trigger) -> None:
    session.add(trigger)
    session.flush()


def by_id(session: Session, trigger_id: UUID) -> Trigger | None:
    return session.get(Trigger, trigger_id)


def untried(session: Session, ingestion_id: UUID, kind: str) -> Trigger | None:
    """One that waits and whose delivery was never begun: the run it becomes will see whatever came until now."""
    query = select(Trigger).where(
        Trigger.ingestion_id == ingestion_id, Trigger.kind == kind, _WAITING, Trigger.attempts == 0
    )
    return session.scalars(query.order_by(Trigger.created_at).limit(1)).first()


def claim_due(session: Session, now: datetime, until: datetime, limit: int) -> Sequence[Trigger]:
    """Take those that are due, for this deliverer alone until `until`; in the order in which they came."""
    due = (
        select(Trigger.id)
        .where(_WAITING, Trigger.due_at <= now)
        .order_by(Trigger.due_at, Trigger.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _claimed(session, update(Trigger).where(Trigger.id.in_(due.scalar_subquery())), until)


def claim(session: Session, trigger_id: UUID, now: datetime, until: datetime) -> Trigger | None:
    """Take one that is due; None when it is not, or another deliverer has it."""
    statement = update(Trigger).where(Trigger.id == trigger_id, _WAITING, Trigger.due_at <= now)
    return next(iter(_claimed(session, statement, until)), None)


def _claimed(session: Session, statement: Update, until: datetime) -> Sequence[Trigger]:
    taking = statement.values(due_at=until, attempts=Trigger.attempts + 1).returning(Trigger)
    found = session.scalars(taking.execution_options(synchronize_session=False, populate_existing=True)).all()
    return sorted(found, key=lambda one: (one.created_at, one.id))


def delivered(session: Session, trigger_id: UUID, flow_run_id: str | None, now: datetime, note: str | None) -> None:
    """Done with: it became that flow run, or `note` says why it became none."""
    statement = update(Trigger).where(Trigger.id == trigger_id, _WAITING)
    became = None if flow_run_id is None else _run_of(flow_run_id)  # runs of commands have no key, and are no flow's
    changed_rows(session, statement.values(delivered_at=now, error=note, flow_run_id=flow_run_id, run_id=became))


def begun(session: Session, flow_run_id: str, run_id: UUID) -> None:
    """The flow run has begun that run: so those that became the flow run did. (One may be told so only later.)"""
    changed_rows(session, update(Trigger).where(Trigger.flow_run_id == flow_run_id).values(run_id=run_id))


def first_of(session: Session, flow_run_id: str) -> Trigger | None:
    """The wish that became the flow run; of several that it meets, the one it was started for."""
    query = select(Trigger).where(Trigger.flow_run_id == flow_run_id)
    return session.scalars(query.order_by(Trigger.error.is_not(None), Trigger.created_at.desc()).limit(1)).first()


def _run_of(flow_run_id: str) -> ScalarSelect[UUID]:
    return select(Run.id).where(Run.external_key == flow_run_id).scalar_subquery()


def failed(session: Session, trigger_id: UUID, due_at: datetime, error: str) -> None:
    """Not delivered; due again later."""
    changed_rows(session, update(Trigger).where(Trigger.id == trigger_id, _WAITING).values(due_at=due_at, error=error))


def supersede(session: Session, trigger: Trigger, flow_run_id: str, now: datetime) -> int:
    """Older ones of its kind that still wait: the run that this one became begins after all of them."""
    older = update(Trigger).where(
        Trigger.ingestion_id == trigger.ingestion_id,
        Trigger.kind == trigger.kind,
        Trigger.id != trigger.id,
        Trigger.created_at < trigger.created_at,
        _WAITING,
    )
    note = f"Superseded by {trigger.id}."
    became = {"flow_run_id": flow_run_id, "run_id": _run_of(flow_run_id)}
    return changed_rows(session, older.values(delivered_at=now, error=note, **became))


def on_its_way(session: Session, ingestion_id: UUID, since: datetime) -> bool:
    """Whether a wish waits, or became, since then, a run that has not begun."""
    begun = exists().where(Run.ingestion_id == ingestion_id, Run.started_at >= Trigger.created_at)
    mine = select(Trigger.id).where(Trigger.ingestion_id == ingestion_id, ~begun).limit(1)
    # Two questions: each has its index, and together they would read all that there ever was.
    return any(session.scalars(mine.where(some)).first() for some in (Trigger.created_at > since, _WAITING))


def retries_without_a_run(session: Session, ingestion_id: UUID) -> int:
    """How many wishes for a run in place of a lost one there were since the ingestion's last run began."""
    last = session.scalar(select(func.max(Run.started_at)).where(Run.ingestion_id == ingestion_id))
    query = select(func.count()).select_from(Trigger)
    mine = query.where(Trigger.ingestion_id == ingestion_id, Trigger.kind == TriggerKind.RETRY.value)
    return int(session.scalar(mine if last is None else mine.where(Trigger.created_at > last)) or 0)


def prune(session: Session, before: datetime, limit: int) -> int:
    """Forget those that were done with before then, the oldest first; answers how many.

    Never one that waits, nor one whose run goes on.
    """
    goes_on = exists().where(Run.external_key == Trigger.flow_run_id, Run.state == RunState.RUNNING)
    done = (
        select(Trigger.id)
        .where(Trigger.delivered_at < before, ~goes_on)
        .order_by(Trigger.delivered_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return changed_rows(session, delete(Trigger).where(Trigger.id.in_(done.scalar_subquery())))


def waiting_count(session: Session) -> int:
    return int(session.scalar(select(func.count()).select_from(Trigger).where(_WAITING)) or 0)
