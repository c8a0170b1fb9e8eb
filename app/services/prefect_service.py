"""All that we ask of Prefect, and the only place that asks: deployments, runs, work pool, health.

Every call may be made twice, is tried once, takes at most PREFECT_REQUEST_TIMEOUT_SECONDS for each request, and raises
PrefectUnavailable (the same again may help) or PrefectRefused (it will not).
"""

from __future__ import annotations

from app.services.prefect_deployments import DeploymentCalls
from app.services.prefect_runs import FlowRunCalls


class PrefectService(DeploymentCalls, FlowRunCalls):
    """One Prefect server. Threads may share the object; close it, or use it as a context manager."""
