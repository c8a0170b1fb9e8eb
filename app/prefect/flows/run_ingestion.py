"""The flow that runs one ingestion: the same steps as `BatchOrchestrator`, each of them a task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from prefect import flow
from prefect.exceptions import Abort, TerminationSignal

from app.config import get_settings
from app.errors import AutoloaderError
from app.prefect import outcomes
from app.prefect.artifacts import publish_artifacts
from app.prefect.opening import opened_run
from app.prefect.tasks.discovery import discover_files_task
from app.prefect.tasks.processing import process_files_task
from app.prefect.tasks.run_management import complete_run_record_task, create_run_record_task, fail_run_record_task
from app.prefect.tasks.state import check_file_state_task
from app.services.batch_order import work_off
from app.services.open_runs import ELSEWHERE
from app.services.run_records import INTERRUPTED, TIMEOUT
from app.values import RunState

_CLAIMING = 0.8  # share of the timeout after which no further batch is claimed


@flow(
    name="run-ingestion",
    flow_run_name="{ingestion_id}",
    timeout_seconds=get_settings().prefect_flow_run_timeout_seconds,
    persist_result=False,
)
def run_ingestion_flow(ingestion_id: str, trigger: str = "manual") -> dict[str, Any]:
    """Load what is new, exactly once; answers how the run ended, with its metrics.

    Raises for infrastructure alone, and when only a person can go on: what is wrong with files is settled in the
    ledger. Near its timeout it claims nothing more and ends PARTIAL. While another run of the ingestion is active it
    does nothing and answers SKIPPED; another run follows that one.
    """
    deadline = time.monotonic() + _CLAIMING * get_settings().prefect_flow_run_timeout_seconds
    try:
        with opened_run():
            result: dict[str, Any] = outcomes.shown(_run(ingestion_id, trigger, deadline))
            return result
    except AutoloaderError as error:
        failed: dict[str, Any] = outcomes.failed(error)
        return failed


def _run(ingestion_id: str, trigger: str, deadline: float) -> dict[str, Any]:
    begun = create_run_record_task(ingestion_id, trigger)
    if begun["state"] == ELSEWHERE:
        raise Abort(begun["message"])  # Prefect started one flow run twice: its state is the other process's to tell
    if begun["state"] != RunState.RUNNING:
        return begun
    run_id = begun["run_id"]
    try:
        discover_files_task(run_id)
        waits = _process(run_id, check_file_state_task(run_id)["batch_ids"], deadline)
        result = complete_run_record_task(run_id, stopped_early=waits)
    except BaseException as error:
        fail_run_record_task(run_id, *_told(error))
        if isinstance(error, Exception):  # whoever stops a run does not wait for its artifacts
            publish_artifacts(run_id)
        raise
    publish_artifacts(run_id)
    return result


def _process(run_id: str, batch_ids: Sequence[str], deadline: float) -> bool:
    """One batch after the other; whether some are left because the time was up."""

    def process(batch_id: str) -> Sequence[str]:
        report = process_files_task(run_id, batch_id)
        return [*report["children"], *report["again"]]

    return work_off(batch_ids, process, lambda: time.monotonic() < deadline)


def _told(error: BaseException) -> tuple[str, str]:
    """The error as a stable word and a sentence."""
    if isinstance(error, TerminationSignal):
        return INTERRUPTED, "The run was stopped. Nothing is half done: the next run goes on where it stopped."
    if isinstance(error, asyncio.CancelledError):
        seconds = get_settings().prefect_flow_run_timeout_seconds
        return TIMEOUT, (
            f"The run took longer than {seconds} s. Nothing is half done: the next run goes on where it stopped."
            " Smaller batches (batch_max_files, batch_max_bytes) or a longer PREFECT_FLOW_RUN_TIMEOUT_SECONDS help."
        )
    code = error.code if isinstance(error, AutoloaderError) else type(error).__name__
    return code, str(error) or type(error).__name__
