"""What one API process holds: no state of its own, so that replicas answer alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.config import Settings
from app.database import Database
from app.errors import TooBusy
from app.services.prefect_service import PrefectService
from app.services.readiness_service import ReadinessService

_LONG_CALLS = 4  # of the 40 threads that answer calls


@dataclass(frozen=True, slots=True)
class State:
    """Shared by all calls. `long_calls` bounds those that read a source or a table."""

    settings: Settings
    database: Database
    prefect: PrefectService
    readiness: ReadinessService
    long_calls: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(_LONG_CALLS))

    @classmethod
    def of(cls, settings: Settings) -> State:
        """Opens no connection yet."""
        database = Database(settings.database_address)
        return cls(settings, database, PrefectService(settings), ReadinessService(database, settings))

    def close(self) -> None:
        self.prefect.close()
        self.database.close()

    @contextmanager
    def long_call(self) -> Iterator[None]:
        """Raise TooBusy rather than let calls that take long keep all others waiting."""
        if not self.long_calls.acquire(blocking=False):
            raise TooBusy(
                f"{_LONG_CALLS} calls that read sources or tables go on already.", hint="Try again in some seconds."
            )
        try:
            yield
        finally:
            self.long_calls.release()
