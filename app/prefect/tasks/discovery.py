"""Discovery as a task."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import task

from app.prefect.task_options import OPTIONS
from app.services import open_runs


@task(name="discover-files", **OPTIONS)
def discover_files_task(run_id: str) -> dict[str, Any]:
    """List the source and record what is new (design, steps 1 and 2); answers counts."""
    run = open_runs.find(UUID(run_id))
    return run.steps.discover(run.ctx).as_json()
