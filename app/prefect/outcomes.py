"""How a run's end looks in Prefect: one state, its name, and one sentence."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from app.errors import AutoloaderError
from app.log import redact
from app.services.metrics import all_rejected
from app.services.open_runs import SKIPPED
from app.values import RunState


def shown(result: dict[str, Any]) -> Any:
    """The state of a run that came to its end; whoever calls the flow gets `result`.

    A run that loaded all there was is just Completed. "Partial" and "Skipped" are no failures: Completed too, so that
    nothing is retried or alarmed, under a name that tells.
    """
    if result["state"] == RunState.PARTIAL:
        return _completed("Partial", _partial(result["metrics"]), result)
    if result["state"] == SKIPPED:
        return _completed("Skipped", result["message"], result)
    return result


def failed(error: AutoloaderError) -> Any:
    """The state of a run that failed, with what happened and the next step; whoever calls the flow gets the error."""
    return Failed(message=redact(str(error)), data=error)


def _completed(name: str, message: str, result: dict[str, Any]) -> State[Any]:
    return Completed(name=name, message=message, data=result)


def _partial(metrics: dict[str, Any]) -> str:
    counts = {word: metrics["files"][word] for word in ("failed", "quarantined", "skipped")}
    parts = [f"{count:,} {word}" for word, count in counts.items() if count]
    if metrics["waiting"]:
        parts.append(f"{metrics['waiting']:,} waiting for the next run")
    if all_rejected(metrics):
        parts.append("each record was rejected")
    loaded = metrics["files"]["loaded"]
    return f"{loaded:,} {'file' if loaded == 1 else 'files'} loaded; {', '.join(parts) or 'some were not'}."
