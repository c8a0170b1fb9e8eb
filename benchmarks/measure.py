"""Wall seconds and peak memory of a command with all its children; medians of runs that take turns."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

MIB = 1024 * 1024
_SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Measured:
    """One run of one command. `memory` is the peak of the sum of the proportional shares of all processes, bytes."""

    seconds: float
    memory: int
    answer: dict[str, object]


class CommandFailed(Exception):
    """A measured command failed; its end is in the message."""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run to the end. The last line of standard output that is JSON is the answer. Raises CommandFailed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=_as_installed(environment or {}))
        watch = _Memory(process.pid)
        code = process.wait()
        seconds = time.perf_counter() - begun
        memory = watch.stop()
        out.seek(0)
        err.seek(0)
        text, complaint = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if code != 0:
        message = f"{' '.join(command)} ended with {code}:\n{complaint[-3000:]}\n{text[-1000:]}"
        raise CommandFailed(message)
    return Measured(seconds, memory, _answer(text))


def _as_installed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of both sides. Python keeps what it compiled, as it does where packages are installed by pip:
    a machine that forbids it would have each process compile every library anew, and that measures nothing of ours.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **environment}


def _answer(text: str) -> dict[str, object]:
    """The JSON object on standard output: all of it, or its last line."""
    for candidate in (text, text.strip().rpartition("\n")[2]):
        try:
            found = json.loads(candidate)
        except json.JSONDecodeError:
            continue
        if isinstance(found, dict):
            return found
    return {}


class _Memory:
    """Samples a process and its children from a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._end.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._end.wait(_SAMPLE_SECONDS):
            try:
                root = psutil.Process(self._pid)
                family = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            self._peak = max(self._peak, sum(map(_share, family)))


def _share(process: psutil.Process) -> int:
    """Proportional set size: memory that is shared counts once, over all who share it."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0  # it ended meanwhile
    return 0


def alternate(rounds: int, product: Callable[[], Measured], baseline: Callable[[], Measured]) -> dict[str, float]:
    """Run both in turns, so that what else the machine does strikes both alike; answers the medians."""
    ours: list[Measured] = []
    theirs: list[Measured] = []
    for _ in range(rounds):
        ours.append(product())
        theirs.append(baseline())
    seconds, bare = median(item.seconds for item in ours), median(item.seconds for item in theirs)
    return {
        "product_s": seconds,
        "baseline_s": bare,
        "ratio": seconds / bare,
        "product_mib": max(item.memory for item in ours) / MIB,
        "baseline_mib": max(item.memory for item in theirs) / MIB,
    }
