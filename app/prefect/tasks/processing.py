"""One batch as a task: a retry repeats one batch, not the run."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import task

from app.prefect.task_options import OPTIONS
from app.services import open_runs
from app.services.batch_ledger import BatchReport


@task(name="process-files", **OPTIONS)
def process_files_task(run_id: str, batch_id: str) -> dict[str, Any]:
    """Claim, write, publish and settle one batch (design, steps 4 to 6).

    What is wrong with files is settled in the ledger and answered as counts; it raises for infrastructure, and when
    only a person can go on. `children` are batches that the batch was split into, and those to be tried `again` failed
    alone before it was loaded: both are to be processed next.
    """
    run = open_runs.find(UUID(run_id))
    report = run.steps.process(run.ctx, UUID(batch_id))
    run.ctx.progress.note(_told(batch_id, report))
    return {
        "batch_id": batch_id,
        "state": report.state.value,
        "files": {str(state): count for state, count in report.files.items()},
        "rows": report.rows,
        "rescued": report.rescued,
        "rejected": report.rejected,
        "bytes": report.byte_count,
        "snapshot_id": report.snapshot_id,
        "children": [str(child) for child in report.children],
        "again": [str(one) for one in report.again],
    }


def _told(batch_id: str, report: BatchReport) -> str:
    if report.waits:
        return f"Batch {batch_id} waits: {report.waits}"
    if report.children:
        return f"Batch {batch_id} was split in {len(report.children)}."
    files = ", ".join(f"{count:,} {state}" for state, count in sorted(report.files.items()) if count)
    return f"Batch {batch_id}: {files or 'had ended'}; {report.rows:,} rows."
