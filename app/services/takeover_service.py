"""Runs whose process died: taken over through their lease, and ended as FAILED, `abandoned`; as CANCELLED if a person
had cancelled them before.

Taking the lease comes first (protocol, point 2): a process that lives after all has lost it, and can change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.errors import LeaseHeld, LeaseLost
from app.ingest.ports import Clock, SilentProgress
from app.log import get_logger
from app.repositories import leases, prefect_sync, run_liveness, runs
from app.repositories.leases import LeaseRow
from app.services import lease_service, run_records
from app.services.run_records import ABANDONED, CANCELLED, Ending

log = get_logger(__name__)
_PAGE = 200
_DIED = Ending(ABANDONED, "The process that ran it died; the next run finishes its batches.")
_WAS_CANCELLED = Ending(
    CANCELLED, "A person cancelled it, and the process that ran it died; the next run goes on with its batches."
)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A lease that had run out when it was seen, and when that was by our own clock."""

    epoch: int
    expires_at: float
    seen: float


class TakeoverService:
    """Remembers between passes which leases it found expired: after an outage of the database all are, for a moment."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock
        self._doubts: dict[UUID, _Doubt] = {}

    def run_pass(self, is_cancelled: Callable[[str], bool] = lambda _: False) -> list[UUID]:
        """Ids of the runs that were ended. The ingestions want another run, which finishes their batches: but for
        those whose key (of the Prefect flow run) `is_cancelled` knows; it may ask over the network.
        """
        ended: list[UUID] = []
        seen_running: set[UUID] = set()
        for run_id, ingestion_id in self._running():
            seen_running.add(ingestion_id)
            with self.database.read_scope() as session:
                seen = leases.read(session, ingestion_id)
            if self._is_dead(ingestion_id, seen):
                ended += self._take_over(ingestion_id, run_id, self._cancelled(ingestion_id, is_cancelled))
        self._doubts = {key: doubt for key, doubt in self._doubts.items() if key in seen_running}
        return ended

    def _running(self) -> Iterator[tuple[UUID, UUID]]:
        after: UUID | None = None
        while True:
            with self.database.read_scope() as session:
                page = run_liveness.running(session, after, _PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def _is_dead(self, ingestion_id: UUID, seen: LeaseRow | None) -> bool:
        """Surely gone: nobody has the lease; its owner died on this machine; or it stays expired when seen again."""
        if seen is None or seen.holder is None or lease_service.left_here(seen):
            return True
        if seen.seconds_left > 0:
            return False  # its successor, or it itself, is alive
        doubt = self._doubts.get(ingestion_id)
        if doubt is None or (doubt.epoch, doubt.expires_at) != (seen.epoch, seen.expires_at):
            self._doubts[ingestion_id] = _Doubt(seen.epoch, seen.expires_at, time.monotonic())
            return False
        return time.monotonic() - doubt.seen > self.settings.lease_heartbeat_seconds

    def _cancelled(self, ingestion_id: UUID, is_cancelled: Callable[[str], bool]) -> set[UUID]:
        """Asked before the lease is taken: no transaction waits for an answer."""
        with self.database.read_scope() as session:
            keys = {run.id: run.external_key for run in runs.running(session, ingestion_id)}
        return {run_id for run_id, key in keys.items() if key is not None and is_cancelled(key)}

    def _take_over(self, ingestion_id: UUID, run_id: UUID, cancelled: set[UUID]) -> list[UUID]:
        try:
            with (
                lease_service.hold(
                    self.database, self.settings, ingestion_id, run_id, SilentProgress(), wait=False
                ) as lease,
                lease.transaction() as session,
            ):
                now = self.clock.now()
                dead = [run.id for run in runs.running(session, ingestion_id)]
                for one in dead:
                    run_records.end(session, one, _WAS_CANCELLED if one in cancelled else _DIED, now)
                if not cancelled.issuperset(dead):
                    prefect_sync.want_rerun(session, ingestion_id, now)
        except (LeaseHeld, LeaseLost):
            return []  # a run, or another reconciler, was faster
        if dead:
            log.warning("runs were left by their process", ingestion_id=str(ingestion_id), runs=len(dead))
        return dead
