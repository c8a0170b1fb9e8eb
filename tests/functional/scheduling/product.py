"""Ingestions, what brings Prefect in step with them, and a look at both."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.config import Settings
from app.database import Database
from app.ingest.ports import SystemClock
from app.models import Ingestion, Run, Trigger
from app.repositories import ingestions
from app.schemas.ingestion import IngestionShape
from app.services import deployment_spec
from app.services.ingestion_service import IngestionService
from app.services.prefect_service import PrefectService
from app.services.reconcile_service import ReconcileService
from app.services.sync_service import SyncService
from app.services.trigger_service import TriggerService
from app.values import SyncState
from tests.functional.prefect.place import until

IN_SYNC = ("in_sync", True)


def wanted(source: str, **fields: object) -> IngestionShape:
    """It runs once a week, so that the server has little to plan."""
    return IngestionShape.model_validate(
        {
            "name": source,
            "source": {"url": source if source.startswith("/") else f"/data/{source}"},
            "format": {"type": "jsonl"},
            "destination": {"table": f"demo.{source.rpartition('/')[2].replace('-', '_')}"},
            "schedule": {"cron": "0 6 * * 1", "timezone": "Europe/Berlin"},
            **fields,
        }
    )


class MovedClock(SystemClock):
    """The time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


class Product:
    def __init__(self, database: Database, settings: Settings, prefect: PrefectService) -> None:
        self.database, self.settings, self.prefect = database, settings, prefect
        self.clock = MovedClock()
        self.ingestions = IngestionService(database, settings)
        self.sync = SyncService(database, settings, prefect)
        self.triggers = TriggerService(database, settings, prefect, self.clock)
        self.reconciler = self.new_reconciler()

    def new_reconciler(self) -> ReconcileService:
        return ReconcileService(self.database, self.settings, self.prefect, self.clock)

    def create(self, name: str = "orders", **fields: object) -> UUID:
        return self.ingestions.create(wanted(name, **fields)).id

    def created(self, name: str = "orders", **fields: object) -> UUID:
        ingestion_id = self.create(name, **fields)
        # A server that is asked by all tests at once may have no answer in time; the product tries again later.
        until(lambda: self.sync.push(ingestion_id).state is not SyncState.PENDING, 300.0, "an answer of Prefect")
        assert self.row(ingestion_id).prefect_sync == SyncState.IN_SYNC.value
        return ingestion_id

    def row(self, ingestion_id: UUID) -> Ingestion:
        with self.database.read_scope() as session:
            found = ingestions.by_id(session, ingestion_id)
        assert found is not None
        return found

    def standing(self, ingestion_id: UUID) -> tuple[str, bool]:
        row = self.row(ingestion_id)
        return row.prefect_sync, row.prefect_synced_revision == row.revision

    def differences(self, ingestion_id: UUID) -> tuple[str, ...] | None:
        """How Prefect differs from what is wanted; None when it has no deployment."""
        found = self.prefect.find(ingestion_id)
        want = SyncService(self.database, self.settings, self.prefect).wanted(self.row(ingestion_id))
        return None if found is None else deployment_spec.differences(want, found.spec)

    def stored(self, ingestion_id: UUID) -> list[Trigger]:
        """All triggers of an ingestion, the oldest first."""
        query = select(Trigger).where(Trigger.ingestion_id == ingestion_id).order_by(Trigger.created_at)
        with self.database.read_scope() as session:
            return list(session.scalars(query))

    def runs(self, ingestion_id: UUID) -> list[Run]:
        with self.database.read_scope() as session:
            return list(session.scalars(select(Run).where(Run.ingestion_id == ingestion_id)))

    def flow_runs(self, ingestion_id: UUID) -> list[tuple[str, str | None]]:
        """`(state, trigger)` of its flow runs, but for those that the schedule planned."""
        found: Iterable[Any] = (*self.prefect.history(ingestion_id), *self.prefect.planned(ingestion_id, 50))
        return [(run.state, run.trigger) for run in found if run.trigger != "scheduled"]
