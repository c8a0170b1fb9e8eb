"""Sessions of one process, lent one at a time and used again: a server keeps each for an hour after its last use."""

from __future__ import annotations

import atexit
import threading
import time
from collections import defaultdict

from app.errors import AutoloaderError, SparkUnavailable
from app.log import get_logger
from app.spark.endpoint import Endpoint
from app.spark.session import Session, connect

log = get_logger(__name__)

_WAIT_SECONDS = 300.0
_ANSWER_SECONDS = 30.0  # of one that was idle: its connection may be gone without a word
_IDLE_SECONDS = 600.0  # well before the server forgets it


class SessionPool:
    """At most an endpoint's `max_sessions` are open to it at once. Safe under threads; of one process alone, as gRPC
    does not survive a fork.
    """

    def __init__(self, wait_seconds: float = _WAIT_SECONDS, idle_seconds: float = _IDLE_SECONDS) -> None:
        self.wait_seconds = wait_seconds
        self.idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._lent: defaultdict[Endpoint, int] = defaultdict(int)
        self._idle: defaultdict[Endpoint, list[tuple[float, Session]]] = defaultdict(list)
        self._closed = False

    def take(self, endpoint: Endpoint, name: str) -> Session:
        """A session that nobody else uses until `give_back`.

        One that was lent before comes with no settings of then; one that the server has lost is made anew. Raises
        SparkUnavailable when none was given back in time, and as `connect` does.
        """
        self._wait(endpoint)
        try:
            return self._known(endpoint, name) or connect(endpoint, name)
        except BaseException:
            self._left(endpoint)
            raise

    def give_back(self, session: Session, *, good: bool) -> None:
        """To be used again where it is `good`; else it is closed. Asks the server nothing, and never raises."""
        with self._changed:
            kept = good and not self._closed
            if kept:
                self._idle[session.endpoint].append((time.monotonic(), session))
        if not kept:
            session.close()
        self._left(session.endpoint)

    def close(self) -> None:
        """Idle sessions now, lent ones when they are given back."""
        with self._changed:
            self._closed = True
            idle = [session for some in self._idle.values() for _, session in some]
            self._idle.clear()
        for session in idle:
            session.close()

    def _left(self, endpoint: Endpoint) -> None:
        with self._changed:
            self._lent[endpoint] -= 1
            self._changed.notify_all()

    def _wait(self, endpoint: Endpoint) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._lent[endpoint] < endpoint.max_sessions, self.wait_seconds):
                raise SparkUnavailable(
                    f"All {endpoint.max_sessions} sessions on {endpoint} are in use.",
                    hint="Try again, or give the cluster a higher max_sessions.",
                )
            self._lent[endpoint] += 1

    def _known(self, endpoint: Endpoint, name: str) -> Session | None:
        """One that was given back and still answers, with its settings as they were."""
        while True:
            with self._changed:
                if not self._idle[endpoint]:
                    return None
                since, session = self._idle[endpoint].pop()
            if time.monotonic() - since < self.idle_seconds:
                try:
                    session.rename(name)
                    with session.within(_ANSWER_SECONDS):
                        session.require()
                        session.reset()
                except AutoloaderError as error:
                    log.info("A Spark session is made anew.", server=str(endpoint), reason=error.message)
                else:
                    return session
            session.close()


SESSIONS = SessionPool()  # of all runs of this process
atexit.register(SESSIONS.close)
