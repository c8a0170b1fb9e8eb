"""A process that goes on only when it is told to, from one point to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue

from app.errors import AutoloaderError
from tests.fakes.engine import Killed

Order = Callable[[], None]
_PATIENCE_SECONDS = 60


def go() -> None:
    """The order to do nothing in particular."""


class Actor:
    """Runs `body(at)` in a thread that stands still at each point until `step` lets it go on.

    Inside a transaction it does not stand still: everybody else would wait for its locks.
    """

    def __init__(self, body: Callable[[Callable[[str], None]], object]) -> None:
        self.point: str | None = "start"
        self.ended_by: BaseException | None = None
        self._orders: Queue[Order] = Queue()
        self._news: Queue[str | None] = Queue()
        self._thread = threading.Thread(target=self._live, args=(body,), daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self.point is not None

    def step(self, order: Order = go) -> str | None:
        """Carry out `order` at the point where it stands, and go on to the next one; None: it has ended.

        Raises what was no error of ours.
        """
        assert self.alive
        self._orders.put(order)
        self.point = self._news.get(timeout=_PATIENCE_SECONDS)
        if self.point is None:
            self._thread.join(_PATIENCE_SECONDS)
            if not isinstance(self.ended_by, AutoloaderError | Killed | None):
                raise self.ended_by
        return self.point

    def kill(self) -> None:
        while self.alive:
            self.step(_die)

    def _live(self, body: Callable[[Callable[[str], None]], object]) -> None:
        try:
            self._orders.get()()
            body(self._at)
        except BaseException as error:  # noqa: BLE001 - `step` tells it
            self.ended_by = error
        self._news.put(None)

    def _at(self, point: str) -> None:
        if point != "tx-end":
            self._news.put(point)
            self._orders.get()()


def _die() -> None:
    raise Killed
