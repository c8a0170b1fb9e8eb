"""Planning as a task: what of the discovered files is to be loaded, as stored batches."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import task

from app.prefect.task_options import OPTIONS
from app.services import open_runs


@task(name="check-file-state", **OPTIONS)
def check_file_state_task(run_id: str) -> dict[str, Any]:
    """Cut the files that wait into stored batches (design, step 3); answers the batches' ids, files and bytes."""
    run = open_runs.find(UUID(run_id))
    plan = run.steps.plan(run.ctx)
    run.ctx.progress.note(f"{plan.file_count:,} files in {len(plan.batch_ids):,} batches to load.")
    return {
        "batch_ids": [str(batch_id) for batch_id in plan.batch_ids],
        "files": plan.file_count,
        "bytes": plan.byte_count,
    }
