"""Triggers as they are asked for, and what became of them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from app.models import Trigger


def add(session: Session, trigger: Trigger) -> None:
    session.add(trigger)
    session.flush()


def by_id(session: Session, trigger_id: UUID) -> Trigger | None:
    return session.get(Trigger, trigger_id)
