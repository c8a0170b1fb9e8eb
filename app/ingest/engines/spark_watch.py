"""Looks after an operation on a cluster while a thread waits for its end: is the cluster there, and is it still wanted?

An operation's answers are a stream without a deadline. A connection over which nothing comes any more, and of which
nobody says that it is cut, would be waited for as long as gRPC's own pings allow, which is minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from app.errors import AutoloaderError, SparkError, SparkUnavailable
from app.spark import Endpoint, Session
from app.spark.hints import NEXT, hint_for

_LOOK_SECONDS = 0.5  # between two looks whether the run has lost its right to go on
_ASKED_IN_A_SILENCE = 4  # a question may wait behind others for longer than one of them


@contextmanager
def watched(
    current: Callable[[], Session | None], tag: str, silence_seconds: float, unwanted: Callable[[], bool]
) -> Iterator[None]:
    """For the length of the block ask the server for a sign of life, over the connection that the block waits on.

    Raises SparkUnavailable when there was none for `silence_seconds`: the connection is given up then. Once `unwanted`
    says so, the operations with `tag` are interrupted on the server, and the block gets SparkInterrupted.
    """
    watch = _Watch(current, tag, silence_seconds, unwanted)
    thread = threading.Thread(target=watch.run, name="spark-watch", daemon=True)
    thread.start()
    try:
        yield
    except SparkError as error:
        if not watch.given_up:
            raise
        raise SparkUnavailable(
            f"Spark Connect service not reachable at {watch.given_up}: no sign of life for {silence_seconds:g} s, so"
            " the connection was given up. What it was doing may go on.",
            hint=hint_for(watch.given_up, NEXT),
        ) from error
    finally:
        watch.done.set()
        thread.join(_LOOK_SECONDS)  # it may wait for an answer that does not come


class _Watch:
    """`given_up` is a server that fell silent."""

    def __init__(
        self, current: Callable[[], Session | None], tag: str, silence_seconds: float, unwanted: Callable[[], bool]
    ) -> None:
        self.current = current
        self.tag = tag
        self.silence_seconds = silence_seconds
        self.unwanted = unwanted
        self.done = threading.Event()
        self.given_up: Endpoint | None = None

    def run(self) -> None:
        pause = self.silence_seconds / _ASKED_IN_A_SILENCE
        heard = asked = time.monotonic()
        while not self.done.wait(min(_LOOK_SECONDS, pause)):
            session = self.current()
            if session is None:
                continue
            if self.unwanted():
                with suppress(AutoloaderError):  # who took over interrupts as well
                    session.interrupt(self.tag)
                return
            if time.monotonic() - asked < pause:
                continue
            asked = time.monotonic()
            if session.answers(pause):
                heard = time.monotonic()
            elif time.monotonic() - heard >= self.silence_seconds and not self.done.is_set():
                self.given_up = session.endpoint
                session.close()
                return
