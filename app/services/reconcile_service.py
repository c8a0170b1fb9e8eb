"""Brings Prefect back in step with the database, and both with what is really running. Two at once do no harm."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database
from app.errors import PrefectError
from app.ingest.ports import Clock, SystemClock
from app.log import get_logger
from app.models import Trigger as TriggerRow
from app.repositories import ingestions, prefect_sync, runs, triggers
from app.services.prefect_service import PrefectService
from app.services.reconcile_deployments import DeploymentPass
from app.services.reconcile_report import ReconcileReport
from app.services.reconcile_runs import RunPass
from app.services.takeover_service import TakeoverService
from app.values import RunState, Trigger

log = get_logger(__name__)
_MOST = 1000  # deployments made, changed or removed in one pass
_RERUNS = 500  # in one pass
_FORGOTTEN = 10_000  # triggers, in one pass
_FIRST_LOOK = timedelta(hours=24)  # back, for runs that were cancelled while nobody reconciled
_OVERLAP = timedelta(minutes=2)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=20), timedelta(hours=1)


class ReconcileService:
    """One object for many passes: it remembers what it has looked at, and which leases it found expired."""

    def __init__(
        self, database: Database, settings: Settings, prefect: PrefectService, clock: Clock | None = None
    ) -> None:
        self.database = database
        self.settings = settings
        self.prefect = prefect
        self.clock = clock or SystemClock()
        self.takeovers = TakeoverService(database, settings, self.clock)
        self._looked_at: datetime | None = None

    def run_pass(self, most: int = _MOST) -> ReconcileReport:
        """One pass; with Prefect down, the part that needs none. Raises DatabaseUnavailable.

        At most `most` deployments are made, changed or removed; `left` says how many wait for the next pass.
        """
        report = ReconcileReport()
        self._take_over(report)
        try:
            self._with_prefect(report, most)
        except PrefectError as error:
            report.unavailable = str(error)
        report.reruns = self._rerun()
        self._forget_triggers()
        return report

    def _take_over(self, report: ReconcileReport) -> None:
        ended = self.takeovers.run_pass(_Cancelled(self.prefect))
        with self.database.read_scope() as session:
            for run_id in ended:
                run = runs.by_id(session, run_id)
                was_cancelled = run is not None and run.state == RunState.CANCELLED
                (report.cancelled if was_cancelled else report.abandoned).append(run_id)

    def _with_prefect(self, report: ReconcileReport, most: int) -> None:
        begun = self.clock.now()
        flow_runs = RunPass(self.database, self.settings, self.prefect, self.clock, report)
        flow_runs.end_stuck()
        deployments = DeploymentPass(self.database, self.settings, self.prefect, report, most)
        deployments.run()
        flow_runs.free_leaked(deployments.held)
        since = (self._looked_at or begun - _FIRST_LOOK) - _OVERLAP
        flow_runs.note_collisions(since)
        flow_runs.note_cut_off(since)
        self._looked_at = begun

    def _rerun(self) -> list[UUID]:
        """Make a trigger of each wish that no active run will meet."""
        with self.database.read_scope() as session:
            wanting = prefect_sync.wanting_rerun(session, _RERUNS)
        return [ingestion_id for ingestion_id in wanting if self._trigger(ingestion_id)]

    def _forget_triggers(self) -> None:
        before = self.clock.now() - timedelta(seconds=self.settings.trigger_keep_seconds)
        with self.database.session_scope() as session:
            forgotten = triggers.prune(session, before, _FORGOTTEN)
        if forgotten:
            log.info("old triggers were forgotten", triggers=forgotten)

    def _trigger(self, ingestion_id: UUID) -> bool:
        now = self.clock.now()
        with self.database.session_scope() as session:
            row = ingestions.locked(session, ingestion_id)
            if row is None or not prefect_sync.take_rerun(session, ingestion_id):
                return False
            made = TriggerRow(
                id=uuid4(),
                tenant_id=row.tenant_id,
                ingestion_id=ingestion_id,
                kind=Trigger.RETRY.value,
                payload={"reason": "rerun"},
                created_at=now,
                due_at=now + _pause(triggers.retries_without_a_run(session, ingestion_id)),
                attempts=0,
            )
            triggers.add(session, made)
        return True


class _Cancelled:
    """Whether a person has cancelled a flow run, as far as Prefect can tell now; of one pass."""

    def __init__(self, prefect: PrefectService) -> None:
        self._prefect = prefect
        self._down = False

    def __call__(self, key: str) -> bool:
        if self._down or not _is_id(key):
            return False
        try:
            run = self._prefect.flow_run(UUID(key))
        except PrefectError:
            self._down = True  # the rest of the pass says so
            return False
        return run is not None and run.state in {"CANCELLING", "CANCELLED"} and not run.lost_to_collision


def _is_id(key: str) -> bool:
    with suppress(ValueError):
        return bool(UUID(key))
    return False


def _pause(tried: int) -> timedelta:
    """Before another run is asked for, when so many were since the last one that began: at once, then ever later."""
    return min(_FIRST_PAUSE * 2 ** min(tried - 1, 16), _LONGEST_PAUSE) if tried else timedelta()
