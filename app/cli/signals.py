"""Ctrl-C and SIGTERM end a command in order; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from app.cli.exits import Exit
from app.errors import Interrupted

_WORDS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_CODES = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}


class Stopped(Interrupted):
    """Which signal it was, as an exit code."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(
            f"Stopped by {_WORDS[number]}.", hint="Nothing is half done: the same command goes on where it stopped."
        )
        self.exit_code = _CODES[number]


_received: list[signal.Signals] = []


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Stopped in the main thread at the first signal; the second kills. In other threads nothing changes."""
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _WORDS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # `nohup` and shells in the background asked for that
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check() -> None:
    """Raise Stopped when a signal came and its exception was lost on the way."""
    if _received:
        raise Stopped(_received[0])


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    for known in _WORDS:
        signal.signal(known, signal.SIG_DFL)  # the next one ends the process even inside a library's call
    _received.append(signal.Signals(number))
    raise Stopped(_received[0])
