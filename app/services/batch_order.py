"""In which order a run works off its batches, the same for the flow and the orchestrator. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def work_off(batches: Iterable[T], process: Callable[[T], Sequence[T]], has_time: Callable[[], bool]) -> bool:
    """Process batches one after the other, what one was split into before its neighbours, as long as there is time.

    `process` answers the parts. Answers whether some are left.
    """
    waiting = deque(batches)
    while waiting and has_time():
        waiting.extendleft(reversed(process(waiting.popleft())))
    return bool(waiting)
