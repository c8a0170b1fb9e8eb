"""A whole run in one process: the steps, in order. The flow calls the same steps as tasks."""

from __future__ import annotations

import time
from collections import deque
from uuid import UUID

from app.config import Settings, get_settings
from app.database import Database
from app.ingest.ports import Progress
from app.services.context import IngestionInfo
from app.services.metrics import RunSummary
from app.services.run_service import RunService
from app.values import Trigger


class BatchOrchestrator:
    """Runs an ingestion from discovery to the end, in this process."""

    def __init__(self, database: Database | None = None, settings: Settings | None = None) -> None:
        self.settings = settings or get_settings()
        self.database = database or Database(self.settings.database_address)

    def run_ingestion(
        self,
        ingestion: IngestionInfo | UUID,
        trigger: Trigger = Trigger.MANUAL,
        *,
        progress: Progress | None = None,
        seconds: float | None = None,
    ) -> RunSummary:
        """Load what is new, exactly once, and answer how the run ended.

        After `seconds`, no further batch is claimed and the run ends PARTIAL. Raises LeaseHeld when another
        run is active, IngestionBlocked when a person must decide; every error also stands in the run record.
        """
        ingestion_id = ingestion if isinstance(ingestion, UUID) else ingestion.id
        steps = RunService(self.database, self.settings)
        begun = time.monotonic()
        with steps.start(ingestion_id, trigger, progress=progress) as ctx:
            steps.discover(ctx)
            plan = steps.plan(ctx)
            ctx.progress.step("load")
            ctx.progress.advance("load", 0, 0, plan.file_count, plan.byte_count)
            todo = deque(plan.batch_ids)
            while todo:
                if seconds is not None and time.monotonic() - begun > seconds:
                    break
                report = steps.process(ctx, todo.popleft())
                todo.extendleft(reversed(report.children))
                ctx.progress.advance("load", sum(report.files.values()), report.byte_count)
            return steps.finish(ctx, stopped_early=bool(todo))
