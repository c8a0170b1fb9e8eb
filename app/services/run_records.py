"""The record of a run: begun, found again, ended. One record for each key, however often its run is started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from app.database import Session
from app.errors import AutoloaderError, Conflict, Interrupted
from app.models import Run
from app.repositories import ingestions, leases, runs, triggers
from app.services import metrics, rerun_service
from app.services.context import IngestionInfo, Stops
from app.values import RunState, Trigger

INTERRUPTED = Interrupted.code
ABANDONED = "abandoned"
KILLED = "killed"  # its process did not end by itself, and its worker saw it
TIMEOUT = "timeout"
CANCELLED = "cancelled"  # by a person, and ended by another process than its own


@dataclass(frozen=True, slots=True)
class Start:
    """What a run record says of its beginning. `external_key` is the Prefect flow run's id, where there is one."""

    run_id: UUID
    ingestion: IngestionInfo
    trigger: Trigger
    external_key: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends that does not finish: a stable word, and the sentence for a person."""

    code: str
    message: str

    @property
    def state(self) -> RunState:
        return RunState.CANCELLED if self.code in {INTERRUPTED, CANCELLED} else RunState.FAILED


def ending_of(error: BaseException, stops: Stops) -> Ending:
    """The ending that `error` means. `stops` are what somebody stops a run with, such as Ctrl-C."""
    from asyncio import CancelledError  # raised by whoever watches the clock

    if isinstance(error, stops):
        return Ending(INTERRUPTED, "The run was stopped.")
    if isinstance(error, CancelledError | TimeoutError):
        return Ending(TIMEOUT, "The run's time was up.")
    if isinstance(error, AutoloaderError):
        return Ending(error.code, str(error))
    return Ending(type(error).__name__[:64], str(error) or type(error).__name__)


def id_for(session: Session, ingestion_id: UUID, external_key: str | None) -> UUID:
    """The id to take the lease with: that of the key's run, or a new one. Raises Conflict as `begin` does."""
    run = _of_key(session, ingestion_id, external_key)
    return run.id if run is not None else uuid4()


def _of_key(session: Session, ingestion_id: UUID, external_key: str | None) -> Run | None:
    """The key's run. Raises Conflict for a key of another ingestion, and for a run that has loaded all there was."""
    run = runs.by_key(session, external_key) if external_key else None
    if run is None:
        return None
    if run.ingestion_id != ingestion_id:
        raise Conflict(
            f"The key {external_key} belongs to run {run.id} of another ingestion.", hint="Give each run its own key."
        )
    if run.state == RunState.SUCCESS:
        raise Conflict(
            f"Run {run.id} of key {external_key} has ended: {run.state}.", hint="To run again, give another key."
        )
    return run


def succeeded(session: Session, external_key: str) -> metrics.RunSummary | None:
    """The result of the key's run, if it has loaded all there was."""
    run = runs.by_key(session, external_key)
    if run is None or run.state != RunState.SUCCESS:
        return None
    return metrics.RunSummary(run.id, RunState.SUCCESS, run.metrics)


def begin(session: Session, start: Start, epoch: int) -> UUID:
    """Store the run as RUNNING and answer its id; called in the lease's transaction.

    The key is looked up behind the lease: before it, two processes could both find none. A run of the same key that
    was left, or ended before all was loaded, goes on under its old record. Runs that earlier owners left RUNNING
    become FAILED. A wish for another run is met by this one, which has yet to list; not by a decision. Raises Conflict.
    """
    known = _of_key(session, start.ingestion.id, start.external_key)
    run_id = known.id if known is not None else start.run_id
    for left in runs.running(session, start.ingestion.id):
        if left.id != run_id:
            left.state, left.finished_at, left.error_code = RunState.FAILED.value, start.now, ABANDONED
            left.error = "The process that ran it died; the next run finished its batches."
    row = ingestions.by_id(session, start.ingestion.id)
    if row is not None and start.trigger is not Trigger.DECISION:
        row.rerun_wanted = False
    if known is None:
        _store(session, _new(start, RunState.RUNNING, epoch))
        return run_id
    known.state, known.lease_epoch, known.finished_at = RunState.RUNNING.value, epoch, None
    known.error_code = known.error = None
    leases.tell_run(session, start.ingestion.id, run_id)
    return run_id


def end(session: Session, run_id: UUID, ending: Ending, now: datetime) -> None:
    """End a run that is RUNNING; changes nothing of one that has ended."""
    run = runs.by_id(session, run_id)
    if run is None or run.state != RunState.RUNNING:
        return
    run.state, run.finished_at = ending.state.value, now
    run.error_code, run.error = ending.code, ending.message
    run.metrics = metrics.of_run(session, run)
    rerun_service.settle(session, run, now)


def refuse(session: Session, start: Start, ending: Ending) -> None:
    """Store a run that could not begin, so that its history tells why; needs no lease. A key is stored once."""
    if start.external_key and runs.by_key(session, start.external_key):
        return
    run = _new(start, RunState.FAILED, None)
    run.finished_at, run.error_code, run.error = start.now, ending.code, ending.message
    _store(session, run)


def _store(session: Session, run: Run) -> None:
    """And tell the wish that became it."""
    runs.add(session, run)
    if run.external_key is not None:
        triggers.begun(session, run.external_key, run.id)


def _new(start: Start, state: RunState, epoch: int | None) -> Run:
    return Run(
        id=start.run_id,
        tenant_id=start.ingestion.tenant_id,
        ingestion_id=start.ingestion.id,
        trigger=start.trigger.value,
        state=state.value,
        external_key=start.external_key,
        lease_epoch=epoch,
        started_at=start.now,
        metrics={},
    )
