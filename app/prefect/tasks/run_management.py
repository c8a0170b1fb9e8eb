"""The run's record: made, completed, failed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import runtime, task

from app.prefect.opening import current_run
from app.prefect.progress import FlowProgress
from app.prefect.task_options import OPTIONS
from app.services import open_runs


@task(name="create-run-record", **OPTIONS)
def create_run_record_task(ingestion_id: str, trigger: str) -> dict[str, Any]:
    """Take the ingestion's lease and store a run that is RUNNING; answers its id and state.

    The run is keyed by the Prefect flow run, so that Prefect starting it twice is one run. The state is SUCCESS when
    that run has loaded all there was, and SKIPPED while another one is active. Raises InvalidInput, NotFound, Conflict
    (paused), DatabaseNotMigrated.
    """
    progress = FlowProgress(ingestion_id)
    begun = current_run().begin(ingestion_id, trigger, key=str(runtime.flow_run.id), progress=progress)
    progress.run_id = begun.run_id
    progress.note(begun.message or "The run has begun.")
    return {
        "run_id": str(begun.run_id) if begun.run_id else None,
        "state": begun.state,
        "message": begun.message,
        "metrics": begun.metrics,
    }


@task(name="complete-run-record", **OPTIONS)
def complete_run_record_task(run_id: str, *, stopped_early: bool) -> dict[str, Any]:
    """End the run with its metrics (design, step 7): SUCCESS, or PARTIAL when something was not loaded or waits,
    or when each record was rejected.

    What waits because the time was up is for another run, which is asked for: no event may come that would.
    """
    run = open_runs.find(UUID(run_id))
    summary = run.steps.finish(run.ctx, stopped_early=stopped_early, goes_on=True)
    return {"run_id": run_id, "state": summary.state.value, "metrics": summary.metrics}


@task(name="fail-run-record", **(OPTIONS | {"retries": 0}))
def fail_run_record_task(run_id: str, code: str, message: str) -> None:
    """End the run as FAILED with its reason, or as CANCELLED when it was stopped.

    Not tried again: what cannot be stored now, the next run or the reconciler stores.
    """
    run = open_runs.find(UUID(run_id))
    run.steps.fail(run.ctx, code, message)
    run.ctx.progress.note(f"The run ends: {code}. {message}")
