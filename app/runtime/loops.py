"""What goes on in the background, in the API's process or in one of its own: Prefect is brought back in step, triggers
are delivered, sources are polled, queues are read. Any number of processes may do it at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError
from app.log import get_logger
from app.services.arrival_service import ArrivalService
from app.services.prefect_service import PrefectService
from app.services.queue_service import QueueService
from app.services.reconcile_service import ReconcileService
from app.services.trigger_service import TriggerService

log = get_logger(__name__)

_DELIVERY_SECONDS = 1.0  # one read of an index; a trigger that nobody delivered at once waits no longer
_POLL_SECONDS = 1.0  # between looks for sources that are due; each has its own pause
_QUEUE_SECONDS = 1.0  # between passes, each of which waits for messages by itself
_STOP_SECONDS = 15.0  # a request to Prefect may be on its way, or a queue be waited for


@dataclass(frozen=True, slots=True)
class Loop:
    """`once` every `seconds`, counted from its end."""

    name: str
    seconds: float
    once: Callable[[], object]


class Loops:
    """A thread for each loop. What goes wrong in a pass is told, once until it changes, and tried again."""

    def __init__(self, database: Database, settings: Settings, prefect: PrefectService) -> None:
        triggers = TriggerService(database, settings, prefect)
        self._queues = QueueService(database, settings, triggers)
        self._reconciler = ReconcileService(database, settings, prefect)
        self.loops = (
            Loop("reconcile", settings.reconcile_seconds, self._reconcile),
            Loop("deliver", _DELIVERY_SECONDS, triggers.deliver_due),
            Loop("queues", _QUEUE_SECONDS, self._queues.run_pass),
            Loop("poll", _POLL_SECONDS, ArrivalService(database, settings, triggers).run_pass),
        )
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=f"loop-{loop.name}", daemon=True)
            for loop in self.loops
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait for passes that go on; one that takes too long ends with the process, which harms nothing."""
        self._ended.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_STOP_SECONDS)
        self._queues.close()

    def _reconcile(self) -> None:
        report = self._reconciler.run_pass()
        if report.unavailable:
            log.warning("the pass ended early", error=report.unavailable)

    def _run(self, loop: Loop) -> None:
        told = ""
        while not self._ended.is_set():
            told = _pass(loop, told)
            self._ended.wait(loop.seconds)


def _pass(loop: Loop, told: str) -> str:
    """One pass; answers what is wrong now, empty for nothing."""
    try:
        loop.once()
    except AutoloaderError as error:
        if str(error) != told:
            log.warning("a pass failed; it is tried again", loop=loop.name, error=str(error))
        return str(error)
    except Exception as error:  # a loop that ends would not be missed until much waits for it
        if repr(error) != told:
            log.exception("a pass failed; it is tried again", loop=loop.name)
        return repr(error)
    if told:
        log.warning("passes succeed again", loop=loop.name)
    return ""
