"""What a change in the database means for Prefect, in one place: it follows, now or when it is back.

The database is the truth. Each call comes after the change was committed, is bounded in time, and never raises because
Prefect is away: what could not be done is stored, and the reconciler does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.errors import PrefectError
from app.ingest.ports import Clock
from app.log import get_logger
from app.services.prefect_service import PrefectService
from app.services.sync_service import SyncService
from app.services.trigger_service import TriggerService
from app.values import Trigger

log = get_logger(__name__)


class Follower:
    def __init__(
        self, database: Database, settings: Settings, prefect: PrefectService, clock: Clock | None = None
    ) -> None:
        self.prefect = prefect
        self._sync = SyncService(database, settings, prefect)
        self._triggers = TriggerService(database, settings, prefect, clock)

    def push(self, ingestion_id: UUID) -> None:
        """Bring Prefect in step with an ingestion, also one that was deleted. Never raises."""
        self._sync.push(ingestion_id)

    def request(
        self, ingestion_id: UUID, kind: Trigger, payload: Mapping[str, Any], *, quiet_seconds: float = 0.0
    ) -> UUID:
        """Store the wish for a run, to be delivered when nothing more came for `quiet_seconds`; answers its id.

        Raises NotFound.
        """
        return self._triggers.request(ingestion_id, kind, payload, quiet_seconds=quiet_seconds)

    def deliver(self, trigger_id: UUID) -> None:
        """Try to deliver it now. Never raises."""
        self._triggers.deliver(trigger_id)

    def cancel(self, flow_run_id: str) -> bool:
        """Whether Prefect will end the flow run. One that has ended there, or was never there, it will not end: what
        goes on of it is to be ended otherwise. Never raises.
        """
        try:
            return self.prefect.cancel(UUID(flow_run_id)) == "CANCELLING"
        except (ValueError, PrefectError) as error:  # a run of ours that Prefect does not know has a key of its own
            log.info("Prefect did not cancel the run", flow_run_id=flow_run_id, error=str(error))
            return False

    def state(self, flow_run_id: str) -> tuple[str | None, str | None]:
        """Prefect's state of a flow run and what it says of it; nothing where it cannot be asked. Never raises."""
        try:
            seen = self.prefect.flow_run(UUID(flow_run_id))
        except (ValueError, PrefectError):
            return None, None
        return (None, None) if seen is None else (seen.state, seen.message)
