"""Cheap polling: sources are listed every few seconds, and a run is asked for only when one shows something new.

A quiet ingestion costs a listing and no flow run. The listing stays the truth: what a run loads, it lists itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import ValidationError

from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError, NotFound
from app.ingest.ports import Clock, SystemClock
from app.log import get_logger
from app.models import Ingestion
from app.repositories import polling, runs, triggers
from app.services.context import IngestionInfo, part_of
from app.services.load_service import LoadService
from app.services.trigger_service import TriggerService
from app.values import Trigger

log = get_logger(__name__)
_CLAIM_SECONDS = 900.0  # after which a poller that took an ingestion counts as dead
_BATCH = 32  # ingestions taken at once
_UNFINISHED_SECONDS = 300.0  # before files that a run left waiting are a reason for another one
_FAILED_SECONDS = 60.0  # at least, before a source that could not be listed is asked again


@dataclass(frozen=True, slots=True)
class PollFailure:
    """A source that could not be listed."""

    ingestion_id: UUID
    name: str
    reason: str


@dataclass(slots=True)
class PollReport:
    """`listed` sources were looked at, `busy` ones have a run coming or active; `triggered` show something new."""

    listed: int = 0
    busy: int = 0
    triggered: list[UUID] = field(default_factory=list)
    failures: list[PollFailure] = field(default_factory=list)


class ArrivalService:
    def __init__(
        self, database: Database, settings: Settings, requests: TriggerService, clock: Clock | None = None
    ) -> None:
        self.database = database
        self.settings = settings
        self.triggers = requests
        self.clock = clock or SystemClock()

    def run_pass(self) -> PollReport:
        """List every source that is due, several at once; any number of pollers share them. Raises DatabaseUnavailable.

        What cannot be listed is told and asked again later; the others go on.
        """
        report, begun = PollReport(), self.clock.now()
        with ThreadPoolExecutor(self.settings.list_concurrency, "poll") as pool:
            while rows := self._due(begun):
                for polled in pool.map(self._poll, rows):
                    polled.tell(report)
        return report

    def _due(self, begun: datetime) -> Sequence[Ingestion]:
        """Those that were due when the pass began: each is polled once in it."""
        until = self.clock.now() + timedelta(seconds=_CLAIM_SECONDS)
        with self.database.session_scope() as session:
            return polling.claim_due(session, begun, until, _BATCH)

    def _poll(self, row: Ingestion) -> _Polled:
        pause, polled = max(60.0, self._least), _Polled(row)
        try:
            pause = max(float(part_of(row, "arrival").get("poll_seconds") or 0), self._least)
            polled.busy = self._busy(row)
            polled.found = not polled.busy and self._has_work(IngestionInfo.of(row))
            if polled.found:
                self.triggers.request(row.id, Trigger.ARRIVAL, {"reason": "poll"})
        except NotFound as error:  # it was deleted meanwhile, or its connection was
            polled.error = str(error)
        except (AutoloaderError, ValidationError, ValueError, TypeError) as error:
            polled.error, pause = str(error), max(pause, _FAILED_SECONDS)
            log.warning("a source could not be polled", ingestion_id=str(row.id), error=polled.error)
        with self.database.session_scope() as session:
            polling.again_at(session, row.id, row.revision, self.clock.now() + timedelta(seconds=pause))
        return polled

    @property
    def _least(self) -> float:
        return self.settings.arrival_poll_min_seconds

    def _busy(self, row: Ingestion) -> bool:
        """Whether a run is active, or on its way: it will list by itself."""
        since = self.clock.now() - timedelta(seconds=self.settings.prefect_pending_seconds)
        with self.database.read_scope() as session:
            return bool(runs.running(session, row.id)) or triggers.on_its_way(session, row.id, since)

    def _has_work(self, ingestion: IngestionInfo) -> bool:
        """Something new in the source; or files that a run left waiting (it failed), some time after it."""
        service = LoadService(self.database, self.settings, self.clock, ingestion.tenant_id)
        if service.has_work(ingestion):
            return True
        with self.database.read_scope() as session:
            last = next(iter(runs.listed(session, ingestion.tenant_id, ingestion.id, 1)), None)
        ended = last.finished_at if last is not None else None
        if ended is None or self.clock.now() - ended < timedelta(seconds=_UNFINISHED_SECONDS):
            return False
        return service.waiting(ingestion) > 0


@dataclass(slots=True)
class _Polled:
    row: Ingestion
    busy: bool = False
    found: bool = False
    error: str | None = None

    def tell(self, report: PollReport) -> None:
        """Into the report, by the thread that owns it."""
        if self.error is not None:
            report.failures.append(PollFailure(self.row.id, self.row.name, self.error))
        elif self.busy:
            report.busy += 1
        else:
            report.listed += 1
            report.triggered += [self.row.id] if self.found else []
