"""How a run goes on: bars on stderr, and only where somebody sees them."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from app.cli.output import Output
from app.cli.text import safe, seconds, size

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_TITLES = {
    "discover": "Looking for files",
    "plan": "Planning",
    "load": "Loading",
    "finish": "Finishing",
    "wait": "Waiting",
}


class Watcher:
    """Implements `app.ingest.ports.Progress`. On a terminal with bars; else only the notes are told. A terminal that
    hangs up ends no run.
    """

    def __init__(self, out: Output) -> None:
        self._out = out
        self._steps: dict[str, _Step] = {}
        self._bars: Bars | None = _bars() if sys.stderr.isatty() and not out.as_json else None

    def __enter__(self) -> Self:
        if self._bars:
            with suppress(OSError):
                self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            with suppress(OSError):
                self._bars.stop()

    def step(self, name: str) -> None:
        if self._bars and name not in self._steps:
            with suppress(OSError):
                self._begin(self._bars, name)

    def _begin(self, bars: Bars, name: str) -> _Step:
        for earlier in self._steps.values():
            earlier.end(bars)
        task = bars.add_task(_TITLES.get(name, safe(name)), total=None, said="")
        self._steps[name] = _Step(task)
        return self._steps[name]

    def advance(
        self, name: str, count: int, size: int = 0, total: int | None = None, total_size: int | None = None
    ) -> None:
        if not self._bars:
            return
        with suppress(OSError):
            step = self._steps.get(name) or self._begin(self._bars, name)
            step.add(count, size, total, total_size)
            self._bars.update(step.task, completed=step.done, total=step.whole, said=step.told())

    def note(self, text: str) -> None:
        if not self._bars:
            self._out.note(text)
            return
        with suppress(OSError):
            self._bars.console.print(safe(text), markup=False, highlight=False, style="dim")


class _Step:
    """Files and bytes of one step so far, with their rate and what is left."""

    def __init__(self, task: TaskID) -> None:
        self.task = task
        self.begun = time.monotonic()
        self.count = self.bytes = 0
        self.total: int | None = None
        self.total_bytes: int | None = None

    def add(self, count: int, size: int, total: int | None, total_size: int | None) -> None:
        self.count += count
        self.bytes += size
        self.total = total if total is not None else self.total
        self.total_bytes = total_size if total_size is not None else self.total_bytes

    def end(self, bars: Bars) -> None:
        """The next step has begun: this one is done, whatever its totals were."""
        bars.update(self.task, completed=self.done or 1, total=self.done or 1)
        bars.stop_task(self.task)

    @property
    def done(self) -> int:
        return self.bytes if self.total_bytes else self.count

    @property
    def whole(self) -> int | None:
        return self.total_bytes or self.total

    def told(self) -> str:
        """`120/364 files, 12.4 MB, 31 files/s, 3.2 MB/s, 8 s left`."""
        spent = max(time.monotonic() - self.begun, 0.001)
        files = f"{self.count:,}/{self.total:,} files" if self.total is not None else f"{self.count:,} objects"
        parts = [files, *([size(self.bytes)] if self.bytes else []), f"{self.count / spent:,.0f}/s"]
        if self.bytes:
            parts.append(f"{size(int(self.bytes / spent))}/s")
        if self.whole and 0 < self.done < self.whole:
            parts.append(f"{seconds(max(0.0, spent / self.done * (self.whole - self.done)))} left")
        return ", ".join(parts)


def _bars() -> Any:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from app.cli.asides import Asides

    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
        console=Asides(file=sys.stderr),
        transient=True,
    )
