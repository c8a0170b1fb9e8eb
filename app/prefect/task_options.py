"""What all our tasks share: retries for infrastructure alone, and nothing of theirs stored in Prefect.

Data has its own retries, the ledger's `attempts` (protocol, point 9).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from app.config import get_settings
from app.errors import AutoloaderError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

_LONGEST_PAUSE = 600.0  # seconds; a run must not sleep through its whole timeout


def can_be_retried(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether doing the same again can help: the error says so. What is no error of ours is a fault of the program."""
    del task, task_run
    error = state.result(raise_on_failure=False)
    return isinstance(error, AutoloaderError) and error.retryable


def without_traceback(record: logging.LogRecord) -> bool:
    """An error of ours says what happened and what to do next; where in the program it was raised helps nobody."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, AutoloaderError):
        record.exc_info = record.exc_text = None
    return True


def _pauses() -> list[float]:
    """Each pause is twice the one before it."""
    settings = get_settings()
    growing = exponential_backoff(float(settings.prefect_task_retry_delay_seconds))
    return [min(pause, _LONGEST_PAUSE) for pause in growing(settings.prefect_max_task_retries)]


logging.getLogger("prefect.task_runs").addFilter(without_traceback)

OPTIONS: dict[str, Any] = {
    "retries": get_settings().prefect_max_task_retries,
    "retry_delay_seconds": _pauses(),
    "retry_condition_fn": can_be_retried,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
