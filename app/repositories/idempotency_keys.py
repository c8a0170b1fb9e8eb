"""Idempotency keys: who comes first makes the call, the others find its answer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.models import IdempotencyKey
from app.repositories.statements import changed_rows


def claim(session: Session, tenant_id: str, key: str, fingerprint: str, now: datetime) -> bool:
    """Whether the key is new, and ours now. Of two at the same moment one gets it."""
    values = {"tenant_id": tenant_id, "key": key, "fingerprint": fingerprint, "created_at": now}
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(IdempotencyKey).values(values).on_conflict_do_nothing().returning(IdempotencyKey.key)
    return session.execute(statement).first() is not None


def read(session: Session, tenant_id: str, key: str) -> IdempotencyKey | None:
    query = select(IdempotencyKey).where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
    return session.scalars(query).one_or_none()


def take_over(session: Session, seen: IdempotencyKey, now: datetime) -> bool:
    """Own a claim that was never answered; false when somebody was faster."""
    return (
        changed_rows(
            session,
            update(IdempotencyKey)
            .where(IdempotencyKey.tenant_id == seen.tenant_id, IdempotencyKey.key == seen.key)
            .where(IdempotencyKey.status_code.is_(None), IdempotencyKey.created_at == seen.created_at)
            .values(created_at=now),
        )
        == 1
    )


def answer(session: Session, tenant_id: str, key: str, claimed_at: datetime, status_code: int, body: str) -> None:
    """Keep the answer, if the claim is still ours."""
    changed_rows(
        session,
        update(IdempotencyKey)
        .where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
        .where(IdempotencyKey.created_at == claimed_at)
        .values(status_code=status_code, body=body),
    )


def give_up(session: Session, tenant_id: str, key: str, claimed_at: datetime) -> None:
    """Free the key of a call that was refused: the same call may be tried again."""
    changed_rows(
        session,
        delete(IdempotencyKey)
        .where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
        .where(IdempotencyKey.created_at == claimed_at, IdempotencyKey.status_code.is_(None)),
    )


def prune(session: Session, before: datetime) -> int:
    """Forget keys older than `before`; answers how many."""
    return changed_rows(session, delete(IdempotencyKey).where(IdempotencyKey.created_at < before))
