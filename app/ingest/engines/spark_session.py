"""The session of one run on a cluster: opened with its first use, remade when it is lost, given back in the end."""

from __future__ import annotations

from app.errors import SparkSessionLost, SparkUnavailable
from app.ingest.engines import spark_source
from app.spark import SESSIONS, Endpoint, FileAccess, Session


class KeptSession:
    """Not for use by several threads at once. `good`: whether another run may have the session afterwards."""

    def __init__(self, endpoint: Endpoint, files: FileAccess, name: str, silence_seconds: float) -> None:
        """`files` is how it reads the source; `name` what the server shows; no answer for so many seconds is none."""
        self.endpoint = endpoint
        self.files = files
        self.name = name
        self.silence_seconds = silence_seconds
        self.current: Session | None = None
        self.good = True

    def get(self) -> Session:
        """Raises SparkUnavailable, SparkRefused."""
        if self.current is not None:
            try:
                with self.current.within(self.silence_seconds):
                    self.current.require()
            except (SparkSessionLost, SparkUnavailable):  # connecting anew tells whether it is there
                self.good = False
                self.close()
        if self.current is None:
            self.current, self.good = self._opened(), True
        return self.current

    def _opened(self) -> Session:
        taken = SESSIONS.take(self.endpoint, self.name)
        try:
            spark_source.prepare(taken, self.files)
        except BaseException:  # one that is half prepared must not be used, by nobody
            SESSIONS.give_back(taken, good=False)
            raise
        return taken

    def close(self) -> None:
        session, self.current = self.current, None
        if session is not None:
            SESSIONS.give_back(session, good=self.good)
