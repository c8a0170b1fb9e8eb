"""How a run goes on, as lines of Prefect's log; each carries the ids of the run and of its ingestion."""

from __future__ import annotations

import time
from uuid import UUID

from prefect.logging import get_run_logger

from app.log import one_line, redact

_PAUSE_SECONDS = 10.0  # between two lines of one step
_STEPS = {
    "discover": "Looking for files.",
    "plan": "Planning batches.",
    "load": "Loading.",
    "finish": "Finishing.",
    "wait": "Waiting.",
}


class FlowProgress:
    """Implements `app.ingest.ports.Progress`. `run_id` is set as soon as it is known."""

    def __init__(self, ingestion_id: str) -> None:
        self.ingestion_id = ingestion_id
        self.run_id: UUID | None = None
        self._counts: dict[str, tuple[int, int]] = {}
        self._told = 0.0

    def step(self, name: str) -> None:
        self._told = time.monotonic()
        self.note(_STEPS.get(name, name))

    def advance(
        self, name: str, count: int, size: int = 0, total: int | None = None, total_size: int | None = None
    ) -> None:
        del total, total_size  # the plan's line has told them
        files, volume = self._counts.get(name, (0, 0))
        self._counts[name] = files + count, volume + size
        if count and time.monotonic() - self._told > _PAUSE_SECONDS:
            self._told = time.monotonic()
            self.note(f"{name}: {files + count:,} files, {(volume + size) / 1e6:,.1f} MB so far.")

    def note(self, text: str) -> None:
        run = f" run_id={self.run_id}" if self.run_id else ""
        get_run_logger().info("%s ingestion_id=%s%s", one_line(redact(text)), self.ingestion_id, run)
