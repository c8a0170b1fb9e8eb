"""Two processes that both believe they own the ingestion: no doubled row, whoever wakes last."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.behaviour.world import World, assert_all_there_once
from tests.behaviour.zygote import Forked, Ran

pytestmark = pytest.mark.kill


def wait_until_stopped(process: Forked) -> None:
    deadline = time.monotonic() + 60
    while True:
        state = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
        if state.rpartition(")")[2].split()[0] == "T":
            return
        assert not process.ended, process.result().err
        assert time.monotonic() < deadline, "the worker never reached its point"
        time.sleep(0.02)


def run_when_the_lease_has_run_out(world: World, failpoints: str = "") -> Ran:
    """The second worker: told that a run is active (exit code 4) until the lease of the first is over."""
    deadline = time.monotonic() + 60
    while (ended := world.run(failpoints)).code == 4:
        assert time.monotonic() < deadline, "the lease never ran out"
    return ended


def wake(process: Forked) -> Ran:
    os.kill(process.pid, signal.SIGCONT)
    return process.result()


def race(world: World, gate: Path) -> None:
    """Three workers start at once. Whoever gets the lease stands at the gate until the others were refused."""
    workers = [world.start(f"planned=wait:{gate}") for _ in range(3)]
    deadline = time.monotonic() + 60
    while sum(worker.ended for worker in workers) < 2:
        assert time.monotonic() < deadline, "the workers that were refused never ended"
        time.sleep(0.02)
    refused = [worker.result() for worker in workers if worker.ended]
    gate.touch()
    assert [one.code for one in refused] == [4, 4], [(one.out, one.err) for one in refused]
    ended = [worker.result() for worker in workers]
    assert sorted(one.code for one in ended) == [0, 4, 4], [(one.out, one.err) for one in ended]


def test_of_workers_at_once_one_runs_and_loads_each_file_once(world: World, tmp_path: Path) -> None:
    for number in range(5):
        world.deliver(f"file-{number}.jsonl", 20, bad=number % 2)
    race(world, tmp_path / "gate")
    assert_all_there_once(world)
    assert world.run().code == 0
    assert_all_there_once(world)


@pytest.mark.parametrize("point", ["claimed", "written", "before-commit", "commit-landed", "before-rejects"])
def test_a_worker_stopped_past_its_lease_changes_nothing_when_it_wakes(world: World, point: str) -> None:
    for number in range(4):
        world.deliver(f"file-{number}.jsonl", 20, bad=1)
    first = world.start(f"{point}=stop")
    wait_until_stopped(first)
    second = run_when_the_lease_has_run_out(world)
    assert second.code == 0, second.err
    assert_all_there_once(world)
    woken = wake(first)
    assert woken.code == 1, woken.err
    assert "lease-lost" in woken.out
    assert_all_there_once(world)


@pytest.mark.parametrize("point", ["written", "before-commit"])
def test_a_worker_that_wakes_after_its_batch_was_split_doubles_nothing(world: World, point: str) -> None:
    for number in range(4):
        world.deliver(f"file-{number}.jsonl", 20)
    first = world.start(f"{point}=stop")
    wait_until_stopped(first)
    second = run_when_the_lease_has_run_out(world, "parsing=poison:file-1")
    assert second.code == 3, second.err
    good = [name for name in world.delivered if name != "file-1.jsonl"]
    assert world.rows() == world.expected(good)
    assert wake(first).code == 1
    assert world.rows() == world.expected(good)
    assert world.run().code == 0
    assert world.rows() == world.expected(good)
