"""Stored wishes for a run, on each kind of database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from app.models import Run, Trigger
from app.repositories import triggers
from app.values import RunState
from app.values import Trigger as Kind
from tests.fakes.ledger import Pipeline, add_ingestion, add_run, shape

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_a_wish_that_became_no_run_is_not_told_one_that_a_command_began(pipeline: Pipeline) -> None:
    with pipeline.database.session_scope() as session:
        assert session.get_one(Run, pipeline.run_id).external_key is None
    add_run(pipeline.database.engine, add_ingestion(pipeline.database.engine, shape("another")).id)
    with pipeline.database.session_scope() as session:
        wish = _wish(session, pipeline, None)
    with pipeline.database.session_scope() as session:
        triggers.delivered(session, wish, None, NOW, "Its ingestion is paused.")
    with pipeline.database.session_scope() as session:
        stored = session.get_one(Trigger, wish)
        assert (stored.delivered_at, stored.run_id, stored.error) == (NOW, None, "Its ingestion is paused.")


def test_wishes_that_are_done_with_are_forgotten_the_oldest_first_and_none_that_waits_or_whose_run_goes_on(
    pipeline: Pipeline,
) -> None:
    with pipeline.database.session_scope() as session:
        run = session.get(Run, pipeline.run_id)
        assert run is not None
        assert run.state == RunState.RUNNING.value
        run.external_key = "goes-on"
        old = [_wish(session, pipeline, NOW - timedelta(days=9 - day), f"run-{day}") for day in range(3)]
        kept = {
            _wish(session, pipeline, None),
            _wish(session, pipeline, NOW - timedelta(days=9), "goes-on"),
            _wish(session, pipeline, NOW),
        }
    before = NOW - timedelta(days=1)
    with pipeline.database.session_scope() as session:
        assert triggers.prune(session, before, 2) == 2
        left = set(session.query(Trigger.id).all())
    assert {one[0] for one in left} == {old[2], *kept}
    with pipeline.database.session_scope() as session:
        assert triggers.prune(session, before, 2) == 1
        assert triggers.prune(session, before, 2) == 0


def _wish(session: Session, pipeline: Pipeline, done: datetime | None, became: str | None = None) -> UUID:
    one = Trigger(
        id=uuid4(),
        ingestion_id=pipeline.ingestion_id,
        kind=Kind.MANUAL.value,
        payload={},
        created_at=NOW,
        due_at=NOW,
        delivered_at=done,
        flow_run_id=became,
    )
    session.add(one)
    return one.id
