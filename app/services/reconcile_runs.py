"""The runs' part of a reconciler's pass: flow runs that nobody would end, slots that nobody holds, wishes lost.

A slot is taken with PENDING and given back with the end of a flow run: one that never ends kills its schedule, because
every later run is cancelled for want of a slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.ingest.ports import Clock
from app.models import Ingestion
from app.repositories import prefect_sync, run_liveness
from app.repositories.run_liveness import RunFacts
from app.services.prefect_deployments import Slots
from app.services.prefect_runs import FlowRunView
from app.services.prefect_service import PrefectService
from app.services.reconcile_report import EndedRun, ReconcileReport
from app.services.run_records import ABANDONED, CANCELLED, INTERRUPTED, KILLED
from app.values import RunState

_TELLS_SECONDS = 60.0  # a flow needs them after its run has ended: artifacts, its own state
_LONGEST_PAUSE = 600.0  # between two tries of a task
_SLOTS_AT_ONCE = 100
_CUT_OFF = {INTERRUPTED, KILLED}  # while nobody cancelled it; `abandoned` ones are made up for as they are found


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a flow run is to be ended, and why; `lost` when what it should have done is still to do."""

    state: str
    why: str
    lost: bool = False


class RunPass:
    def __init__(
        self, database: Database, settings: Settings, prefect: PrefectService, clock: Clock, report: ReconcileReport
    ) -> None:
        self.database = database
        self.settings = settings
        self.prefect = prefect
        self.clock = clock
        self.report = report

    # --- flow runs that nobody would end -----------------------------------------------------

    def end_stuck(self) -> None:
        """Raises PrefectUnavailable, PrefectRefused; what was ended until then stays ended."""
        for page in list(self.prefect.active()):  # listed before any is ended: the pages behind would move
            ids = [run.ingestion_id for run in page if run.ingestion_id is not None]
            with self.database.read_scope() as session:
                ours = prefect_sync.by_ids(session, ids)
                runs = run_liveness.by_keys(session, [str(run.id) for run in page])
            for run in page:
                row = ours.get(run.ingestion_id) if run.ingestion_id is not None else None
                if row is None:
                    continue  # of another installation on the same server
                verdict = judge(run, runs.get(str(run.id)), self.clock.now(), self.settings)
                if verdict is not None:
                    self._end(run, row, verdict)

    def _end(self, run: FlowRunView, row: Ingestion, verdict: Verdict) -> None:
        if self._moved_on(run):
            return  # the next pass judges it by what it is then
        self.prefect.end_by_force(run.id, verdict.state, verdict.why)
        self.report.ended.append(EndedRun(run.id, row.id, run.state, verdict.state, verdict.why))
        if verdict.lost:
            with self.database.session_scope() as session:
                prefect_sync.want_rerun(session, row.id, run.since)

    def _moved_on(self, seen: FlowRunView) -> bool:
        """Whether it came into another state, or was deleted, since it was listed: a pass over many runs takes long."""
        now = self.prefect.flow_run(seen.id)
        return now is None or (now.state, now.since) != (seen.state, seen.since)

    # --- slots that nobody holds -------------------------------------------------------------

    def free_leaked(self, held: Mapping[UUID, Slots]) -> None:
        """`held` are slots as they were seen before. One is leaked that has not moved since, while no run is active."""
        deployments = list(held)
        for at in range(0, len(deployments), _SLOTS_AT_ONCE):
            chunk = deployments[at : at + _SLOTS_AT_ONCE]
            active = self.prefect.active_in(chunk)
            for deployment_id in chunk:
                before = held[deployment_id]
                if deployment_id in active or self.prefect.slots(before.name) != before:
                    continue
                self.prefect.free_slots(before.name)
                self.report.slots_freed.append(before.name)

    # --- wishes that were lost ---------------------------------------------------------------

    def note_collisions(self, since: datetime) -> None:
        """Runs that were cancelled because another one was active: another one follows that (protocol, point 10)."""
        lost: dict[UUID, datetime] = {}
        for page in self.prefect.cancelled_since(since):
            for run in page:
                if run.lost_to_collision and run.ingestion_id is not None:
                    lost[run.ingestion_id] = max(run.since, lost.get(run.ingestion_id, run.since))
        self._want(lost)

    def note_cut_off(self, since: datetime) -> None:
        """Flow runs that ended badly before they began a run, or were cut off in it: what they were to do is still to
        do.

        A worker ends them so when their process dies, or cannot start; or the process is told to end, and nobody had
        cancelled it: its worker was killed, its container taken away. A run that failed by itself says why, and waits
        for what comes next.
        """
        lost: dict[UUID, datetime] = {}
        for page in self.prefect.failed_since(since):
            with self.database.read_scope() as session:
                ours = run_liveness.by_keys(session, [str(run.id) for run in page])
            for run in page:
                begun = ours.get(str(run.id))
                if run.ingestion_id is not None and (begun is None or begun.error_code in _CUT_OFF):
                    lost[run.ingestion_id] = max(run.since, lost.get(run.ingestion_id, run.since))
        self._want(lost)

    def _want(self, lost: Mapping[UUID, datetime]) -> None:
        if lost:
            with self.database.session_scope() as session:
                for ingestion_id, moment in sorted(lost.items()):
                    prefect_sync.want_rerun(session, ingestion_id, moment)


def judge(run: FlowRunView, ours: RunFacts | None, now: datetime, settings: Settings) -> Verdict | None:
    """Whether an active flow run is to be ended: by what the database knows of it, and by how long it is silent. Pure.

    Asked after the runs whose process died were ended there.
    """
    silent = now - run.since
    patience = timedelta(seconds=settings.prefect_pending_seconds)
    if ours is not None and ours.state == RunState.RUNNING:
        return None  # alive, as far as its lease says
    # A flow run that came into its state after that end begins the same run again: handed on, or retried.
    if ours is not None and (run.state == "CANCELLING" or run.since <= (ours.finished_at or now)):
        return _after_the_end(run, ours, now)
    if run.state == "PENDING":
        why = f"It was PENDING for {silent.total_seconds():.0f} s: whoever had it is gone."
        return Verdict("CRASHED", why, lost=True) if silent > patience else None
    if run.state == "CANCELLING":
        return Verdict("CANCELLED", "It was cancelled before its run began.") if silent > patience else None
    if silent > patience + timedelta(seconds=_begins_within(settings)):
        return Verdict("CRASHED", "It never began its run: its process is gone.", lost=True)
    return None


def _after_the_end(run: FlowRunView, ours: RunFacts, now: datetime) -> Verdict | None:
    """The run has ended in the database; its flow may be about to say so."""
    telling = now - (ours.finished_at or now) < timedelta(seconds=_TELLS_SECONDS)
    if telling and ours.error_code not in {ABANDONED, CANCELLED}:
        return None
    why = f"Its run ended {ours.state} in the database, and its process did not say so."
    # Prefect knows of whom it was told to cancel: what ended by a signal otherwise was cut off.
    if run.state == "CANCELLING" or (ours.state == RunState.CANCELLED and ours.error_code != INTERRUPTED):
        return Verdict("CANCELLED", why)
    loaded = ours.state in {RunState.SUCCESS, RunState.PARTIAL}
    return Verdict("COMPLETED" if loaded else "CRASHED", why)


def _begins_within(settings: Settings) -> float:
    """Seconds in which a flow has begun its run or failed to: its first task with all its tries."""
    pauses = [settings.prefect_task_retry_delay_seconds * 2.0**n for n in range(settings.prefect_max_task_retries)]
    return sum(min(pause, _LONGEST_PAUSE) for pause in pauses) + _TELLS_SECONDS
