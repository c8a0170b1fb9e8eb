"""Stored wishes for a run, on each kind of database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from app.models import Run, Trigger
from app.repositories import triggers
from app.values import RunState
from app.values import Trigger as Kind
from tests.fakes.ledger import Pipeline

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_wishes_that_are_done_with_are_forgotten_the_oldest_first_and_none_that_waits_or_whose_run_goes_on(
    pipeline: Pipeline,
) -> None:
    def wish(done: datetime | None, became: str | None = None) -> UUID:
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

    with pipeline.database.session_scope() as session:
        run = session.get(Run, pipeline.run_id)
        assert run is not None
        assert run.state == RunState.RUNNING.value
        run.external_key = "goes-on"
        old = [wish(NOW - timedelta(days=9 - day), f"run-{day}") for day in range(3)]
        kept = {wish(None), wish(NOW - timedelta(days=9), "goes-on"), wish(NOW)}
    before = NOW - timedelta(days=1)
    with pipeline.database.session_scope() as session:
        assert triggers.prune(session, before, 2) == 2
        left = set(session.query(Trigger.id).all())
    assert {one[0] for one in left} == {old[2], *kept}
    with pipeline.database.session_scope() as session:
        assert triggers.prune(session, before, 2) == 1
        assert triggers.prune(session, before, 2) == 0
