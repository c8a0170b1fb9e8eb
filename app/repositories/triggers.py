"""Triggers: wishes for a run that wait to be delivered."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.models import Trigger


def add(session: Session, trigger: Trigger) -> None:
    session.add(trigger)
    session.flush()
