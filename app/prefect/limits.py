"""The limits of one run's process: its time and its memory. Whoever passes one is killed, together with its parser."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

from app.prefect.forkserver import Child, SessionScope
from app.services.nursery_service import children_of, parsers_of

_LOOK_SECONDS = 0.5
_PAGE = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory` in bytes, 0: no limit."""

    seconds: float
    memory: int = 0


async def killed_at(limits: Limits, child: Child) -> str:
    """Wait for the child's end; what it was killed for, or an empty text when it ended by itself."""
    until = anyio.current_time() + limits.seconds
    while not child.ended.is_set():
        left = until - anyio.current_time()
        pause = min(left, _LOOK_SECONDS) if limits.memory else left
        with anyio.move_on_after(max(pause, 0)):
            await child.ended.wait()
        why = "" if child.ended.is_set() else _passed(limits, child, until - anyio.current_time())
        if why:
            with suppress(ProcessLookupError):
                SessionScope(child).hard_kill(child.pid)
            await child.ended.wait()
            return why
    return ""


def _passed(limits: Limits, child: Child, seconds_left: float) -> str:
    if seconds_left <= 0:
        return f"The run took longer than {limits.seconds:.0f} s and was killed."
    used = used_bytes(child) if limits.memory else 0
    if used > limits.memory > 0:
        return (
            f"The run used {used:,} bytes of memory, more than WORKER_MEMORY_BYTES ({limits.memory:,}), and was killed."
        )
    return ""


def used_bytes(child: Child) -> int:
    """Resident memory of a run, of all below it, and of its parsers in the nursery."""
    return resident_bytes(child.pid) + sum(resident_bytes(one) for one in parsers_of(child.pid, child.nursery))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and of all below it; 0 where the system does not tell by /proc."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * _PAGE + sum(resident_bytes(child) for child in children_of(pid))
