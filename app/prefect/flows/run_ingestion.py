"""The flow that runs one ingestion: the same steps as `BatchOrchestrator`, each of them a task."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from prefect import flow

from app.config import get_settings
from app.prefect.opening import opened_run
from app.prefect.tasks.discovery import discover_files_task
from app.prefect.tasks.processing import process_files_task
from app.prefect.tasks.run_management import complete_run_record_task, create_run_record_task, fail_run_record_task
from app.prefect.tasks.state import check_file_state_task

_TIMEOUT = get_settings().prefect_flow_run_timeout_seconds
_CLAIMING = 0.8  # share of the timeout after which no further batch is claimed


@flow(name="run-ingestion", flow_run_name="{ingestion_id}", timeout_seconds=_TIMEOUT, persist_result=False)
def run_ingestion_flow(ingestion_id: str, trigger: str = "manual") -> dict[str, Any]:
    """Load what is new, exactly once; answers how the run ended, with its metrics.

    Raises for infrastructure alone, and when only a person can go on: what is wrong with files is settled in the
    ledger. Near its timeout it claims nothing more and ends PARTIAL.
    """
    begun = time.monotonic()
    with opened_run():
        run_id = create_run_record_task(ingestion_id, trigger)
        try:
            discover_files_task(run_id)
            todo = deque(check_file_state_task(run_id)["batch_ids"])
            while todo and time.monotonic() - begun < _CLAIMING * _TIMEOUT:
                report = process_files_task(run_id, todo.popleft())
                todo.extendleft(reversed(report["children"]))
            return complete_run_record_task(run_id, stopped_early=bool(todo))
        except BaseException as error:
            fail_run_record_task(run_id, error)
            raise
