"""The deployments' part of a reconciler's pass: each is compared with what the database wants.

Prefect is read first and the database after it: what is seen in Prefect was committed before.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.errors import InvalidInput, PrefectUnavailable
from app.models import Ingestion
from app.repositories import prefect_sync
from app.services import deployment_spec
from app.services.prefect_deployments import FoundDeployment, Slots
from app.services.prefect_service import PrefectService
from app.services.reconcile_report import Change, Foreign, Problem, ReconcileReport
from app.services.sync_service import SyncOutcome, SyncService
from app.values import SyncState

_PAGE = 500  # ingestions read at once
_PATIENCE = 3  # pushes that find no Prefect before the pass gives up


class DeploymentPass:
    """One pass. After it, `held` are the concurrency slots that were taken, by deployment."""

    def __init__(
        self, database: Database, settings: Settings, prefect: PrefectService, report: ReconcileReport, most: int
    ) -> None:
        self.database = database
        self.settings = settings
        self.prefect = prefect
        self.report = report
        self.most = most
        self.sync = SyncService(database, settings, prefect)
        self.held: dict[UUID, Slots] = {}
        self._seen: set[UUID] = set()
        self._orphans: list[tuple[FoundDeployment, Ingestion | None]] = []
        self._failures = 0

    def run(self) -> None:
        """Raises PrefectUnavailable, PrefectRefused, DatabaseUnavailable; what was done until then stays done."""
        for page in self.prefect.deployments():
            self._compare(page)
        for deployment, row in self._orphans:  # not while listing: the pages behind would move
            self._remove(deployment, row)
        for row in self._unseen():
            if not deployment_spec.is_wanted(row):
                self._mark_removed(row)
            else:
                self._push(row, ())

    # --- what Prefect has --------------------------------------------------------------------

    def _compare(self, page: list[FoundDeployment]) -> None:
        ids = [(one, _id(one.spec.name)) for one in page]
        with self.database.read_scope() as session:
            rows = prefect_sync.by_ids(session, [found for _, found in ids if found is not None])
        self.report.deployments += len(page)
        matching: list[tuple[Ingestion, FoundDeployment]] = []
        for deployment, ingestion_id in ids:
            row = rows.get(ingestion_id) if ingestion_id is not None else None
            if row is None or not deployment_spec.is_wanted(row):
                self._orphan(deployment, ingestion_id, row)
                continue
            self._seen.add(row.id)
            if deployment.slots is not None and deployment.slots.active > 0:
                self.held[deployment.ref.id] = deployment.slots
            differing = self._differences(row, deployment)
            if differing:
                self._push(row, differing)
            elif differing is not None:
                matching.append((row, deployment))
        self.sync.confirm(matching)

    def _differences(self, row: Ingestion, deployment: FoundDeployment) -> tuple[str, ...] | None:
        """None when the ingestion's configuration cannot be read: its deployment stays as it is."""
        try:
            return deployment_spec.differences(self.sync.wanted(row), deployment.spec)
        except InvalidInput as error:
            self._problem(row, SyncState.ERROR, str(error))
            with self.database.session_scope() as session:
                prefect_sync.unsynced(session, row.id, row.revision, SyncState.ERROR, str(error))
            return None

    def _orphan(self, deployment: FoundDeployment, ingestion_id: UUID | None, row: Ingestion | None) -> None:
        """A deployment without an ingestion that wants one: ours are removed, others are left, and told of."""
        spec = deployment.spec
        ours = deployment_spec.ledger_tag(self.sync.ledger_id)
        if ingestion_id is None or (row is None and ours not in spec.tags):
            why = "its name is no ingestion's id" if ingestion_id is None else "it has no tag of this ledger"
            self.report.foreign.append(Foreign(spec.name, why))
        else:
            self._orphans.append((deployment, row))

    def _remove(self, deployment: FoundDeployment, row: Ingestion | None) -> None:
        if row is not None:  # it may have been created anew while we listed: whoever pushes reads it again
            self._seen.add(row.id)
            self._push(row, (), removed=deployment.spec.name)
        elif not self._full():
            self.prefect.delete_by_id(deployment.ref.id)
            self.report.removed.append(deployment.spec.name)

    # --- what Prefect does not have ----------------------------------------------------------

    def _unseen(self) -> Iterator[Ingestion]:
        after: UUID | None = None
        while True:
            with self.database.read_scope() as session:
                rows = prefect_sync.page(session, after, _PAGE)
            yield from (row for row in rows if row.id not in self._seen)
            if len(rows) < _PAGE:
                return
            after = rows[-1].id

    def _mark_removed(self, row: Ingestion) -> None:
        if row.prefect_synced_revision == row.revision and row.prefect_deployment_id is None:
            return  # is known
        outcome = self.sync.push(row.id)  # asks Prefect: somebody may have moved it to another pool
        if outcome.state is not SyncState.IN_SYNC:
            self._problem(row, outcome.state, outcome.reason or "")
            self._stop_if_down(outcome)

    # --- brought in step ---------------------------------------------------------------------

    def _push(self, row: Ingestion, differing: tuple[str, ...], removed: str | None = None) -> None:
        if self._full():
            return
        outcome = self.sync.push(row.id)
        if outcome.state is not SyncState.IN_SYNC:
            self._problem(row, outcome.state, outcome.reason or "")
            self._stop_if_down(outcome)
            return
        if outcome.deployment is None:
            self.report.removed.append(removed or str(row.id))
            return
        if not differing and str(outcome.deployment.id) == row.prefect_deployment_id:
            differing = ("work_pool",)  # it was there, though not in our pool
        change = Change(row.id, row.name, differing)
        (self.report.changed if differing else self.report.created).append(change)

    def _full(self) -> bool:
        """Whether this pass has done as much as it may; the rest is counted."""
        report = self.report
        full = len(report.created) + len(report.changed) + len(report.removed) >= self.most
        report.left += full
        return full

    def _problem(self, row: Ingestion, state: SyncState, reason: str) -> None:
        self.report.problems.append(Problem(row.id, row.name, state.value, reason))

    def _stop_if_down(self, outcome: SyncOutcome) -> None:
        self._failures += outcome.state is SyncState.PENDING
        if self._failures >= _PATIENCE:
            raise PrefectUnavailable(outcome.reason or "The Prefect server does not answer.")


def _id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
