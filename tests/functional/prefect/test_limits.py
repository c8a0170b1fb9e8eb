"""The limits of a run's process, on real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import anyio
import pytest

from app.ingest.engines.nursery_client import Nursery
from app.prefect.forkserver import Child
from app.prefect.limits import Limits, killed_at, resident_bytes, used_bytes

MIB = 1024 * 1024
SLEEPING = "import time; time.sleep(60)"
HUNGRY = "x = bytearray(200 * 1024 * 1024); import time; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HUNGRY!r}])"


def killed(code: str, limits: Limits) -> tuple[str, int | None]:
    """What the process was killed for, and how it ended."""

    async def run() -> tuple[str, int | None]:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, start_new_session=True)
        child = Child(process.pid)

        async def watch() -> None:
            child.end(await process.wait())

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            why = await killed_at(limits, child)
        return why, child.returncode

    return anyio.run(run)


def test_a_run_that_takes_too_long_is_killed_and_says_so():
    assert killed(SLEEPING, Limits(0.3)) == ("The run took longer than 0 s and was killed.", -9)


def test_a_run_that_ends_by_itself_is_left_alone():
    assert killed("raise SystemExit(3)", Limits(60, 1024 * MIB)) == ("", 3)


def test_the_memory_of_what_a_run_has_started_counts_too():
    why, code = killed(PARENT, Limits(60, 100 * MIB))

    assert why.endswith(f"more than WORKER_MEMORY_BYTES ({100 * MIB:,}), and was killed.")
    assert code == -9


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no nursery")
def test_the_memory_of_a_runs_parser_counts_though_the_nursery_has_forked_it():
    with Nursery() as nursery:
        run = Child(os.getpid(), nursery.pid or 0)
        other = Child(2**22 + 1, nursery.pid or 0)
        before = used_bytes(run)
        parser = nursery.start([])
        after = used_bytes(run), used_bytes(other)
        parser.end()
        assert parser.poll() == -signal.SIGKILL
        for stream in (parser.stdin, parser.stdout, parser.stderr):
            stream.close()

    assert after[0] > before + 20 * MIB
    assert after[1] == 0


def test_a_process_that_is_gone_uses_no_memory():
    assert resident_bytes(2**22 + 1) == 0
