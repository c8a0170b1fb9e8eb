"""A whole run in one process: the steps, in order. The flow calls the same steps as tasks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from uuid import UUID

from app.config import Settings, get_settings
from app.database import Database
from app.ingest.ports import Progress
from app.services.batch_order import work_off
from app.services.context import IngestionInfo, RunContext
from app.services.metrics import RunSummary
from app.services.run_service import RunService
from app.values import Trigger


class BatchOrchestrator:
    """Runs an ingestion from discovery to the end, in this process.

    Without a database each run opens the one that the settings name, and closes it.
    """

    def __init__(self, database: Database | None = None, settings: Settings | None = None) -> None:
        self.settings = settings or get_settings()
        self.database = database

    def run_ingestion(
        self,
        ingestion: IngestionInfo | UUID,
        trigger: Trigger = Trigger.MANUAL,
        *,
        external_key: str | None = None,
        progress: Progress | None = None,
        seconds: float | None = None,
    ) -> RunSummary:
        """Load what is new, exactly once, and answer how the run ended.

        After `seconds`, no further batch is claimed and the run ends PARTIAL. Raises LeaseHeld when another
        run is active, IngestionBlocked when a person must decide; every error also stands in the run record.
        A second run with one `external_key` goes on with the first one, whose owner died, or raises Conflict.
        """
        ingestion_id = ingestion if isinstance(ingestion, UUID) else ingestion.id
        begun = time.monotonic()
        with self._opened() as database:
            steps = RunService(database, self.settings)
            with steps.start(ingestion_id, trigger, external_key=external_key, progress=progress) as ctx:
                return self._steps(steps, ctx, begun, seconds)

    def _steps(self, steps: RunService, ctx: RunContext, begun: float, seconds: float | None) -> RunSummary:
        steps.discover(ctx)
        plan = steps.plan(ctx)
        ctx.progress.step("load")
        ctx.progress.advance("load", 0, 0, plan.file_count, plan.byte_count)

        def process(batch_id: UUID) -> Sequence[UUID]:
            report = steps.process(ctx, batch_id)
            ctx.progress.advance("load", sum(report.files.values()), report.byte_count)
            return report.next

        waits = work_off(plan.batch_ids, process, lambda: seconds is None or time.monotonic() - begun <= seconds)
        return steps.finish(ctx, stopped_early=waits)

    @contextmanager
    def _opened(self) -> Iterator[Database]:
        if self.database is not None:
            yield self.database
            return
        with closing(Database(self.settings.database_address)) as own:
            yield own
