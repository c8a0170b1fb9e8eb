"""Parts that are started one after the other, kept running, and stopped in reverse order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from app.runtime.child import ChildSpec
from app.runtime.part import Pace, Part, PartState, PartStatus

_TICK_SECONDS = 0.1


class Supervisor:
    """Use it as `start`, `watch`, and `stop` in any case. One thread calls it; the death of one part is no other's.

    `tell` hears of each change, `hear` gets (name, line) for each line that a part says, from threads of their own.
    """

    def __init__(
        self,
        specs: Iterable[ChildSpec],
        tell: Callable[[PartStatus], None],
        hear: Callable[[str, str], None],
        pace: Pace | None = None,
    ) -> None:
        pace = pace or Pace()
        self.parts = [Part(spec, pace, tell, hear) for spec in specs]

    def statuses(self) -> list[PartStatus]:
        return [part.status for part in self.parts]

    def start(self) -> None:
        """Returns when all are ready; a part begins when those before it have been ready.

        Raises PartFailed for one that dies or takes too long before it was ever ready.
        """
        while not all(part.was_ready for part in self.parts):
            self.step()
            time.sleep(_TICK_SECONDS)

    def watch(self) -> None:
        """Start anew what dies or hangs. Never returns; a signal's exception ends it."""
        while True:
            self.step()
            time.sleep(_TICK_SECONDS)

    def step(self) -> None:
        """One look at each part that may run."""
        for part in self.parts:
            part.step(time.monotonic())
            if not part.was_ready:
                return

    def stop(self) -> None:
        """Returns when nothing of any part is left, the last one first: SIGTERM, and SIGKILL after a while."""
        for part in reversed(self.parts):
            part.stop()

    def all_ready(self) -> bool:
        return all(part.state is PartState.READY for part in self.parts)
