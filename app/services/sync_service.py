"""Brings Prefect in step with one ingestion, after the change to it was committed. The database is the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError
from app.log import get_logger
from app.models import Ingestion
from app.repositories import ingestions, prefect_sync
from app.services import deployment_spec
from app.services.deployment_spec import DeploymentSpec
from app.services.prefect_deployments import DeploymentRef, FoundDeployment
from app.services.prefect_service import PrefectService
from app.values import SyncState

log = get_logger(__name__)
_ROUNDS = 5  # of changes that come while we push; the reconciler has the rest


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """How Prefect stands to the ingestion now; `reason` where that is not `in_sync`.

    In sync without a deployment: it is to have none.
    """

    state: SyncState
    reason: str | None = None
    deployment: DeploymentRef | None = None


class SyncService:
    def __init__(self, database: Database, settings: Settings, prefect: PrefectService) -> None:
        self.database = database
        self.settings = settings
        self.prefect = prefect

    def push(self, ingestion_id: UUID) -> SyncOutcome:
        """Bring Prefect to what is stored of the ingestion, also when it is deleted or switched off. Never raises.

        What cannot be done now is stored with its reason, `pending` or `error`; the reconciler tries again. Whoever
        writes to Prefect last has read the newest revision: after each write it is read again.
        """
        try:
            for _ in range(_ROUNDS):
                with self.database.read_scope() as session:
                    row = ingestions.by_id(session, ingestion_id)
                if row is None:
                    return SyncOutcome(SyncState.IN_SYNC)
                outcome = self._bring(row)
                if self._stored(row, outcome):
                    break
        except AutoloaderError as error:  # the database: what was committed stands, and is pending
            log.warning("Prefect was not brought in step", ingestion_id=str(ingestion_id), error=str(error))
            return SyncOutcome(SyncState.PENDING, str(error))
        return outcome

    def wanted(self, row: Ingestion) -> DeploymentSpec:
        """The deployment that the ingestion is to have. Raises ConfigUnreadable, DatabaseUnavailable."""
        return deployment_spec.wanted(row, self.settings, self.ledger_id)

    @cached_property
    def ledger_id(self) -> UUID:
        with self.database.read_scope() as session:
            return prefect_sync.ledger_id(session)

    def confirm(self, matching: Iterable[tuple[Ingestion, FoundDeployment]]) -> None:
        """Store of deployments that are as they should be that they are. Raises DatabaseUnavailable."""
        stale = [(row, found) for row, found in matching if not _known_synced(row, found)]
        if not stale:
            return
        with self.database.session_scope() as session:
            for row, found in stale:
                prefect_sync.synced(session, row.id, row.revision, str(found.ref.id), str(found.ref.flow_id))

    def _bring(self, row: Ingestion) -> SyncOutcome:
        try:
            return SyncOutcome(SyncState.IN_SYNC, None, self._in_prefect(row))
        except AutoloaderError as error:
            state = SyncState.PENDING if error.retryable else SyncState.ERROR
            log.warning("Prefect was not brought in step", ingestion_id=str(row.id), error=str(error))
            return SyncOutcome(state, str(error))

    def _in_prefect(self, row: Ingestion) -> DeploymentRef | None:
        if not deployment_spec.is_wanted(row):
            self.prefect.delete(row.id)
            return None
        return self.prefect.upsert(self.wanted(row))

    def _stored(self, row: Ingestion, outcome: SyncOutcome) -> bool:
        """Whether the outcome is that of the newest revision."""
        with self.database.session_scope() as session:
            if outcome.state is not SyncState.IN_SYNC:
                return prefect_sync.unsynced(session, row.id, row.revision, outcome.state, outcome.reason or "")
            ref = outcome.deployment
            ids = (str(ref.id), str(ref.flow_id)) if ref else (None, None)
            return prefect_sync.synced(session, row.id, row.revision, *ids)


def _known_synced(row: Ingestion, found: FoundDeployment) -> bool:
    return (row.prefect_sync, row.prefect_synced_revision, row.prefect_deployment_id) == (
        SyncState.IN_SYNC.value,
        row.revision,
        str(found.ref.id),
    )
