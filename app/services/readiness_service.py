"""Whether this process can do its work: what it cannot do without, and what it can do without for a while."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import httpx

from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError

_PREFECT_SECONDS = 0.8  # a probe waits a second
_KEPT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is needed. `state` is ok, degraded (others go on without it) or broken."""

    name: str
    state: str
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    ready: bool
    parts: tuple[Part, ...]


class ReadinessService:
    """Serves many probes: what was asked of Prefect is kept for some seconds."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self._lock = threading.Lock()
        self._prefect: tuple[float, Part] | None = None

    def look(self) -> Readiness:
        """Never raises. Without Prefect it is ready: changes are stored, and Prefect follows when it is back."""
        database = self._database()
        return Readiness(database.state == "ok", (database, self._prefect_kept()))

    def _database(self) -> Part:
        try:
            self.database.require_current()
        except AutoloaderError as error:
            return Part("database", "broken", error.message, error.hint)
        return Part("database", "ok", f"{self.database.kind}, at the revision of this version")

    def _prefect_kept(self) -> Part:
        with self._lock:  # one probe asks, the others take its answer
            if self._prefect is None or time.monotonic() - self._prefect[0] > _KEPT_SECONDS:
                self._prefect = (time.monotonic(), self._ask_prefect())
            return self._prefect[1]

    def _ask_prefect(self) -> Part:
        hint = "Runs start when it is back; changes are kept until then."
        try:
            answer = httpx.get(f"{self.settings.prefect_api_url}/health", timeout=_PREFECT_SECONDS, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Part("prefect", "degraded", f"Prefect does not answer ({type(error).__name__}).", hint)
        if answer.status_code != httpx.codes.OK:
            return Part("prefect", "degraded", f"Prefect answers {answer.status_code}.", hint)
        return Part("prefect", "ok", "answers")
