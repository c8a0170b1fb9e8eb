"""What becomes of a part: it starts, is ready, dies, waits for a while, and starts anew."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from app.errors import PartFailed
from app.runtime.child import Child, ChildSpec

_SHOWN_LINES = 6
_SIGNALLED = 128


class PartState(StrEnum):
    WAITING = "waiting"  # for the parts before it
    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"  # it was told to
    PAUSED = "paused"  # it died, and starts anew after a while
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long everything takes, in seconds."""

    first_pause: float = 1.0  # before a part that died starts anew; doubled each time
    longest_pause: float = 60.0
    steady: float = 60.0  # a part that was ready for so long has recovered: its pauses begin anew
    hung: float = 60.0  # a part that does not answer for so long is started anew; doubled each time, it may be slow
    longest_hung: float = 900.0
    look: float = 5.0  # between two questions to a part that is ready
    ask: float = 0.25  # between two questions to one that starts
    stop: float = 15.0  # between SIGTERM and SIGKILL
    first_tries: int = 3  # a part that dies so often before it was ever ready is given up


@dataclass(frozen=True, slots=True)
class PartStatus:
    """What is known of a part. `pid` is that of its session; `detail` says how it came here."""

    name: str
    state: PartState
    address: str
    pid: int | None
    restarts: int
    since: str
    detail: str = ""


class Part:
    """One part through all its lives. `step` never waits, but for the answer to a question."""

    def __init__(
        self, spec: ChildSpec, pace: Pace, tell: Callable[[PartStatus], None], hear: Callable[[str, str], None]
    ) -> None:
        self.spec = spec
        self.state = PartState.WAITING
        self.was_ready = False
        self.child: Child | None = None
        self._pace = pace
        self._tell = tell
        self._hear = hear
        self._starts = 0
        self._falls = 0  # one after the other
        self._hangs = 0  # the same
        self._began = self._due = self._answered = 0.0
        self._told = ""
        self.status = self._status("")

    def step(self, now: float) -> None:
        """Go on. Raises PartFailed for a part that does not become ready for the first time."""
        child = self.child
        if child is None:
            if now >= self._due:
                self._start(now)
        elif (code := child.code()) is not None:
            self._fell(now, _ending(code) if self.state is not PartState.ENDING else self._told)
        elif self.state is PartState.STARTING:
            self._look_for_ready(now, child)
        elif self.state is PartState.READY:
            self._look_for_life(now, child)
        elif now >= self._due:  # it was told to end, and has had its time
            child.kill()

    def stop(self) -> None:
        """Returns when nothing of it is left."""
        child = self.child
        if child is None:
            return
        self._become(PartState.ENDING, "")
        child.stop()
        self.child = None
        self._become(PartState.STOPPED, "")

    # --- steps

    def _start(self, now: float) -> None:
        self.child = Child(self.spec, lambda line: self._hear(self.spec.name, line), self._pace.stop)
        self._starts += 1
        self._began, self._due = now, now
        self._become(PartState.STARTING, "")

    def _look_for_ready(self, now: float, child: Child) -> None:
        if now >= self._due:
            self._due = now + self._pace.ask
            if self.spec.ready(tuple(child.lines)):
                took = now - self._began
                self.was_ready, self._began = True, now
                self._answered, self._due = now, now + self._pace.look
                self._become(PartState.READY, f"after {took:.0f} s")
                return
        if now - self._began > self.spec.ready_seconds:
            self._end(now, f"it was not ready within {self.spec.ready_seconds:.0f} s")

    def _look_for_life(self, now: float, child: Child) -> None:
        del child
        if self.spec.alive is None or now < self._due:
            return
        self._due = now + self._pace.look
        if self.spec.alive():
            self._answered = now
            if now - self._began > self._pace.longest_hung:
                self._hangs = 0
        elif now - self._answered > min(self._pace.hung * 2.0**self._hangs, self._pace.longest_hung):
            self._hangs += 1
            self._end(now, f"it has not answered for {now - self._answered:.0f} s")

    def _end(self, now: float, why: str) -> None:
        if not self.was_ready:
            raise self._failed(why)
        if self.child is not None:
            self.child.ask_to_end()
        self._told, self._due = why, now + 2 * self._pace.stop
        self._become(PartState.ENDING, why)

    def _fell(self, now: float, why: str) -> None:
        if self.state is PartState.READY and now - self._began >= self._pace.steady:
            self._falls = 0
        pause = min(self._pace.first_pause * 2.0**self._falls, self._pace.longest_pause)
        self._falls += 1
        if not self.was_ready and self._falls >= self._pace.first_tries:
            raise self._failed(f"{why}, {self._falls} times before it was ready")
        self.child, self._due = None, now + pause
        self._become(PartState.PAUSED, f"{why}; it starts anew in {pause:g} s")

    # --- telling

    def _failed(self, why: str) -> PartFailed:
        lines = list(self.child.lines)[-_SHOWN_LINES:] if self.child is not None else []
        said = f" Its last lines: {' | '.join(lines)}" if lines else " It said nothing."
        return PartFailed(f"{self.spec.name} did not start: {why}.{said}", hint=self.spec.advice)

    def _become(self, state: PartState, detail: str) -> None:
        self.state = state
        self.status = self._status(detail)
        self._tell(self.status)

    def _status(self, detail: str) -> PartStatus:
        return PartStatus(
            name=self.spec.name,
            state=self.state,
            address=self.spec.address,
            pid=self.child.pid if self.child is not None else None,
            restarts=max(self._starts - 1, 0),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            detail=detail,
        )


def _ending(code: int) -> str:
    number = -code if code < 0 else code - _SIGNALLED
    if code < 0 or code > _SIGNALLED:
        try:
            return f"it was ended by {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"it ended with code {code}"
