from __future__ import annotations

import json
from types import SimpleNamespace
from uuid import UUID

import pytest
from sqlalchemy import select

from app.config import Settings
from app.database import Database
from app.errors import Conflict, SourceNotFound
from app.models import Run
from app.models import Trigger as TriggerRow
from app.services import batch_orchestrator
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.ingestion_service import IngestionService
from app.services.run_service import RunService
from app.services.run_view_service import RunViewService
from app.values import RunState, Trigger
from tests.fakes.ledger import shape


@pytest.fixture
def settings(sqlite_database, tmp_path) -> Settings:
    url = sqlite_database.url
    return Settings(
        autoloader_home=tmp_path / "home", database_url=url, min_age_seconds=0, batch_max_files=1, _env_file=None
    )


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jsonl").write_text(json.dumps({"n": number}) + "\n")
    return folder


@pytest.fixture
def ingestion(sqlite_database, settings, landing):
    return IngestionService(sqlite_database, settings).create(shape("one", str(landing), "local.demo.one"))


def stored(database: Database, run_id: UUID) -> Run:
    with database.session_scope() as session:
        return session.scalars(select(Run).where(Run.id == run_id)).one()


def test_a_run_loads_what_is_new_and_answers_what_is_stored(sqlite_database, settings, ingestion):
    summary = BatchOrchestrator(sqlite_database, settings).run_ingestion(ingestion, Trigger.BACKFILL)
    row = stored(sqlite_database, summary.run_id)
    assert (summary.state, summary.metrics["rows"], summary.metrics["batches"]) == (RunState.SUCCESS, 3, 3)
    assert (row.state, row.trigger, row.metrics) == ("SUCCESS", "backfill", summary.metrics)
    shown = RunViewService(sqlite_database).show(str(summary.run_id), most_batches=2)
    assert (len(shown.batches), shown.batch_count) == (2, 3)


@pytest.mark.parametrize(("seconds", "loaded"), [(0.0, 0), (50.0, 1)])
def test_after_its_time_a_run_begins_no_batch_and_ends_partial(
    sqlite_database, settings, ingestion, monkeypatch, seconds, loaded
):
    times = iter([0.0, 1.0, 100.0])
    monkeypatch.setattr(batch_orchestrator, "time", SimpleNamespace(monotonic=lambda: next(times)))
    orchestrator = BatchOrchestrator(sqlite_database, settings)
    summary = orchestrator.run_ingestion(ingestion, seconds=seconds)
    monkeypatch.undo()  # the next run has all the time it needs
    assert (summary.state, summary.metrics["rows"], summary.metrics["waiting"]) == (
        RunState.PARTIAL,
        loaded,
        3 - loaded,
    )
    assert stored(sqlite_database, summary.run_id).state == "PARTIAL"
    rest = orchestrator.run_ingestion(ingestion)
    assert (rest.state, rest.metrics["rows"]) == (RunState.SUCCESS, 3 - loaded)


@pytest.mark.parametrize(("goes_on", "processed", "asked"), [(True, 1, 1), (True, 0, 0), (False, 1, 0)])
def test_what_waits_when_the_time_is_up_is_for_a_run_that_is_asked_for_at_once(
    sqlite_database, settings, ingestion, goes_on, processed, asked
):
    steps = RunService(sqlite_database, settings)
    with steps.start(ingestion.id, Trigger.ARRIVAL) as ctx:
        steps.discover(ctx)
        for batch_id in steps.plan(ctx).batch_ids[:processed]:
            steps.process(ctx, batch_id)
        steps.finish(ctx, stopped_early=True, goes_on=goes_on)

    with sqlite_database.session_scope() as session:
        wishes = [(one.kind, one.payload["after_run"]) for one in session.scalars(select(TriggerRow))]
    assert wishes == [("arrival", str(ctx.run_id))] * asked


def test_a_key_is_run_once(sqlite_database, settings, ingestion):
    orchestrator = BatchOrchestrator(sqlite_database, settings)
    first = orchestrator.run_ingestion(ingestion.id, external_key="k")
    with pytest.raises(Conflict, match=f"Run {first.run_id} of key k has ended"):
        orchestrator.run_ingestion(ingestion.id, external_key="k")


def test_an_error_stands_in_the_run_record(sqlite_database, settings, ingestion, landing):
    landing.rename(landing.with_name("moved"))
    with pytest.raises(SourceNotFound):
        BatchOrchestrator(sqlite_database, settings).run_ingestion(ingestion)
    [view] = RunViewService(sqlite_database).listed()
    assert (view.state, view.error_code) == ("FAILED", "source-not-found")
    assert view.finished_at is not None


def test_a_database_of_its_own_is_closed_after_the_run_and_one_that_was_given_is_not(
    sqlite_database, settings, ingestion, monkeypatch
):
    closed: list[str] = []

    class Watched(Database):
        def close(self) -> None:
            closed.append(self.url)
            super().close()

    monkeypatch.setattr(batch_orchestrator, "Database", Watched)
    given = Watched(sqlite_database.url)
    BatchOrchestrator(given, settings).run_ingestion(ingestion)
    assert closed == []
    given.close()
    closed.clear()
    BatchOrchestrator(settings=settings).run_ingestion(ingestion)
    assert closed == [sqlite_database.url]
