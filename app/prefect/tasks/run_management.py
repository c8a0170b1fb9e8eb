"""The run's record: made, completed, failed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import runtime, task

from app.prefect.opening import current_run
from app.prefect.task_options import OPTIONS
from app.services import open_runs
from app.values import Trigger


@task(name="create-run-record", **OPTIONS)
def create_run_record_task(ingestion_id: str, trigger: str) -> str:
    """Take the ingestion's lease and store a run that is RUNNING; answers its id.

    The run is keyed by the Prefect flow run, so that Prefect starting it twice is one run. Raises NotFound, Conflict
    (paused), LeaseHeld, DatabaseNotMigrated.
    """
    run = current_run()
    ctx = run.start(UUID(ingestion_id), Trigger(trigger), external_key=runtime.flow_run.id)
    return str(ctx.run_id)


@task(name="complete-run-record", **OPTIONS)
def complete_run_record_task(run_id: str, *, stopped_early: bool) -> dict[str, Any]:
    """End the run with its metrics (design, step 7): SUCCESS, or PARTIAL when something was not loaded or waits."""
    run = open_runs.find(UUID(run_id))
    summary = run.steps.finish(run.ctx, stopped_early=stopped_early)
    return {"run_id": run_id, "state": summary.state.value, "metrics": summary.metrics}


@task(name="fail-run-record", **OPTIONS)
def fail_run_record_task(run_id: str, error: BaseException) -> None:
    """End the run as FAILED with its reason, or as CANCELLED when it was stopped."""
    run = open_runs.find(UUID(run_id))
    run.steps.fail(run.ctx, error)
