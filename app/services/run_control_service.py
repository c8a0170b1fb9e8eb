"""Runs stopped and asked for again by people."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, NotFound
from app.ingest.ports import Clock, SystemClock
from app.log import get_logger
from app.models import DEFAULT_TENANT, Run
from app.repositories import leases, runs
from app.repositories.leases import Holder
from app.services import metrics, rerun_service, run_records
from app.services.follower import Follower
from app.values import RunState

log = get_logger(__name__)

_BY_HAND = "A person cancelled it. Nothing is half done: the next run goes on with its batches."


@dataclass(frozen=True, slots=True)
class Cancelled:
    """How a cancellation went: `asked` when Prefect ends the run, else it was ended here."""

    run_id: UUID
    asked: bool


class RunControlService:
    def __init__(
        self,
        database: Database,
        settings: Settings,
        follower: Follower,
        tenant_id: str = DEFAULT_TENANT,
        clock: Clock | None = None,
    ) -> None:
        self.database = database
        self.settings = settings
        self.follower = follower
        self.tenant_id = tenant_id
        self.clock = clock or SystemClock()

    def active(self, ingestion_id: UUID) -> UUID | None:
        """The run that holds the ingestion's lease, as far as anybody knows alive."""
        with self.database.read_scope() as session:
            seen = leases.read(session, ingestion_id)
        return seen.run_id if seen is not None and seen.holder is not None and seen.seconds_left > 0 else None

    def cancel(self, run_id: UUID, *, at_once: bool = False) -> Cancelled:
        """End a run. Prefect is asked to, where it runs it; else, or `at_once`, its lease is taken from it.

        A run without its lease can change no ledger row, and lands at most the batch it had claimed, once
        (promise P2). Raises NotFound, and Conflict for a run that has ended.
        """
        with self.database.read_scope() as session:
            run = self._running(session, run_id)
            ingestion_id, flow_run_id = run.ingestion_id, run.external_key
        if flow_run_id is not None and not at_once and self.follower.cancel(flow_run_id):
            return Cancelled(run_id, asked=True)
        self._fence(run_id, ingestion_id)
        return Cancelled(run_id, asked=False)

    def _fence(self, run_id: UUID, ingestion_id: UUID) -> None:
        with self.database.session_scope() as session:
            seen = leases.read(session, ingestion_id)
            if seen is not None and seen.holder is not None and seen.run_id == run_id:
                epoch = leases.take(session, seen, _NOBODY, run_id, 1.0, though_alive=True)
                if epoch is None:
                    raise Conflict(f"Run {run_id} is ending.", hint="Look again in a moment.")
                leases.give_up(session, ingestion_id, epoch)
            # Read after the lease is ours: a run that was just finishing has finished, or never will.
            run = self._running(session, run_id)
            run.state, run.finished_at = RunState.CANCELLED.value, self.clock.now()
            run.error_code, run.error = run_records.CANCELLED, _BY_HAND
            run.metrics = metrics.of_run(session, run)
            rerun_service.settle(session, run, self.clock.now())
        log.warning("a run was cancelled by taking its lease", cancelled_run_id=run_id)

    def require_ended(self, run_id: UUID) -> UUID:
        """The ingestion of a run that may be asked for again. Raises NotFound, Conflict."""
        with self.database.read_scope() as session:
            run = self._run(session, run_id)
            if run.state == RunState.RUNNING:
                raise Conflict(f"Run {run_id} goes on.", hint="Wait for it, or cancel it first.")
            if run.state == RunState.SUCCESS:
                raise Conflict(
                    f"Run {run_id} loaded all there was: there is nothing to retry.",
                    hint="For new files, run the ingestion.",
                )
            return run.ingestion_id

    def _running(self, session: Session, run_id: UUID) -> Run:
        run = self._run(session, run_id)
        if run.state != RunState.RUNNING:
            raise Conflict(f"Run {run_id} has ended: {run.state}.", hint="There is nothing to cancel.")
        return run

    def _run(self, session: Session, run_id: UUID) -> Run:
        run = runs.by_id(session, run_id)
        if run is None or run.tenant_id != self.tenant_id:
            raise NotFound(f"There is no run {run_id}.", hint="GET /v1/runs lists them.")
        return run


_NOBODY = Holder(owner=uuid4().hex, host="", boot_id="", pid=0, process_start="")
