"""The work pool that our runs wait in, and the server's health."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from app.errors import PrefectUnavailable
from app.services.prefect_client import PrefectConnection

PAGE = 200  # the most that a server answers at once, unless it is told otherwise
POOL_TYPE = "autoloader"  # of the warm worker
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PrefectHealth:
    """What a person needs to know of the server. `pool_type` is None while the work pool does not exist."""

    api_url: str
    server_version: str
    client_version: str
    work_pool: str
    pool_type: str | None
    workers_online: int


class PoolCalls(PrefectConnection):
    """Part of PrefectService."""

    def set_up(self, wait_seconds: float = 0.0) -> PrefectHealth:
        """Make what is missing, and say how the server is. One that does not answer, or not yet, is asked again until
        `wait_seconds` are over; then PrefectUnavailable is raised. One that refuses us is asked once: PrefectRefused.
        """
        until = time.monotonic() + wait_seconds
        while True:
            try:
                self.ensure_pool()
                return self.health()
            except PrefectUnavailable:
                if time.monotonic() + _PAUSE_SECONDS > until:
                    raise
            time.sleep(_PAUSE_SECONDS)

    def ensure_pool(self) -> None:
        """Make the work pool and both queues unless they are there. A pool of another type is left as it is."""
        with self.writes() as client:
            from prefect.client.schemas.actions import WorkPoolCreate
            from prefect.exceptions import ObjectAlreadyExists

            pool = self.settings.prefect_work_pool
            wanted = WorkPoolCreate(name=pool, type=POOL_TYPE, description="Runs of the IOMETE Autoloader.")
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(wanted)
            for queue in (self.settings.prefect_default_work_queue, self.settings.prefect_high_memory_work_queue):
                with suppress(ObjectAlreadyExists):
                    client.create_work_queue(name=queue, work_pool_name=pool)

    def health(self) -> PrefectHealth:
        """The server answers, and accepts our password. Raises PrefectUnavailable, PrefectRefused."""
        pool = self.settings.prefect_work_pool
        with self.requests() as client:
            from prefect.exceptions import ObjectNotFound

            version, pool_type, online = client.api_version(), None, 0
            with suppress(ObjectNotFound):
                pool_type = client.read_work_pool(pool).type
                online = sum(
                    one.status.value == "ONLINE"
                    for one in client.read_workers_for_work_pool(pool, offset=0, limit=PAGE)
                )
            return PrefectHealth(
                api_url=self.settings.prefect_api_url,
                server_version=version,
                client_version=client.client_version(),
                work_pool=pool,
                pool_type=pool_type,
                workers_online=online,
            )
