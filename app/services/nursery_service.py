"""The nursery of a worker: kept alive by the process that forks runs, and known to each run."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from app.ingest.engines.nursery import PARSER_OF
from app.ingest.engines.nursery_client import Nursery
from app.ingest.engines.parser_start import use_starter

_PAUSE_SECONDS = 60.0  # between two starts of one that dies


class KeptNursery:
    """One nursery at a time. Not for use by several threads; `close` it."""

    def __init__(self) -> None:
        self._start()

    def tend(self) -> int:
        """What is forked now gets its parsers there; one that has died is replaced, not too often.

        Answers its process id, 0 when there is none.
        """
        if not self._nursery.alive() and time.monotonic() - self._since > _PAUSE_SECONDS:
            self._nursery.close()
            self._start()
        usable = self._nursery.alive()
        use_starter(self._nursery.start if usable else None)
        return self._nursery.pid or 0 if usable else 0

    def close(self) -> None:
        """End it; it goes on as long as runs have it."""
        self._nursery.close()

    def _start(self) -> None:
        self._nursery = Nursery()
        self._since = time.monotonic()


def parsers_of(run: int, nursery: int) -> list[int]:
    """The process ids of a run's parsers; none where the system does not tell by /proc."""
    return [one for one in children_of(nursery) if _name(one) == f"{PARSER_OF}{run}"]


def children_of(pid: int) -> list[int]:
    """The processes that it started; none where the system does not tell by /proc."""
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""
