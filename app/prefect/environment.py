"""What our processes tell Prefect by the environment, before it is imported. Whatever is set already stays."""

from __future__ import annotations

import os

from app.config import Settings


def prepare(settings: Settings) -> None:
    """One server for us and for Prefect's library; nothing is sent to anybody else."""
    wanted = {
        "PREFECT_API_URL": settings.prefect_api_url,
        "PREFECT_API_AUTH_STRING": settings.prefect_api_auth_string.get_secret_value(),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # A run begins within two seconds of its trigger; the defaults look every ten.
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "1",
    }
    for name, value in wanted.items():
        if value:
            os.environ.setdefault(name, value)
