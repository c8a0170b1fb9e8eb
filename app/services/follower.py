"""What a change in the database means for who follows it. The database is the truth; Prefect is brought in step.

`Follower` is all that the API knows of Prefect. `StoredFollower` is the half of it that needs no server: wishes are
stored, so that whoever delivers them finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database
from app.errors import NotFound
from app.ingest.ports import Clock, SystemClock
from app.models import Trigger as TriggerRow
from app.repositories import ingestions, trigger_requests
from app.values import Trigger


class Follower(Protocol):
    """Each call comes after the change was committed."""

    def push(self, ingestion_id: UUID) -> None:
        """Bring Prefect in step with an ingestion, also one that was deleted. Never raises: what fails is stored."""

    def request(
        self, ingestion_id: UUID, kind: Trigger, payload: Mapping[str, Any], *, quiet_seconds: float = 0.0
    ) -> UUID:
        """Store the wish for a run, to be delivered when nothing more came for `quiet_seconds`; answers its id."""

    def deliver(self, trigger_id: UUID) -> None:
        """Try to deliver it now. Never raises: what fails is tried again by the reconciler."""

    def cancel(self, flow_run_id: str) -> bool:
        """Whether Prefect took the wish to cancel the flow run. Never raises."""


class StoredFollower:
    """Keeps what is wanted, and reaches nobody."""

    def __init__(self, database: Database, settings: Settings, clock: Clock | None = None) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()

    def push(self, ingestion_id: UUID) -> None:
        with self.database.session_scope() as session:
            row = ingestions.by_id(session, ingestion_id)
            if row is not None:
                row.prefect_sync, row.prefect_sync_error = "pending", None

    def request(
        self, ingestion_id: UUID, kind: Trigger, payload: Mapping[str, Any], *, quiet_seconds: float = 0.0
    ) -> UUID:
        now = self.clock.now()
        with self.database.session_scope() as session:
            row = ingestions.by_id(session, ingestion_id)
            if row is None:
                raise NotFound(f"There is no ingestion {ingestion_id}.")
            made = TriggerRow(
                id=uuid4(),
                tenant_id=row.tenant_id,
                ingestion_id=ingestion_id,
                kind=kind.value,
                payload=dict(payload),
                created_at=now,
                due_at=now + timedelta(seconds=quiet_seconds),
            )
            trigger_requests.add(session, made)
            return made.id

    def deliver(self, trigger_id: UUID) -> None:
        """Somebody who reaches Prefect will."""

    def cancel(self, flow_run_id: str) -> bool:
        del flow_run_id
        return False
