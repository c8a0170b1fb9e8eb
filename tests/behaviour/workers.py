"""Workers that are stopped, woken, killed, or started at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.behaviour.world import World, assert_all_there_once
from tests.behaviour.zygote import Forked, Ran


def wait_until_stopped(process: Forked) -> None:
    deadline = time.monotonic() + 180
    while True:
        state = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
        if state.rpartition(")")[2].split()[0] == "T":
            return
        assert not process.ended, process.result().err
        assert time.monotonic() < deadline, "the worker never reached its point"
        time.sleep(0.02)


def run_when_the_lease_has_run_out(world: World, failpoints: str = "") -> Ran:
    """The second worker: told that a run is active (exit code 4) until the lease of the first is over."""
    deadline = time.monotonic() + 180
    while (ended := world.run(failpoints)).code == 4:
        assert time.monotonic() < deadline, "the lease never ran out"
    return ended


def wake(process: Forked) -> Ran:
    os.kill(process.pid, signal.SIGCONT)
    return process.result()


def race(world: World, gate: Path) -> None:
    """Three workers start at once. Whoever gets the lease stands at the gate until the others were refused."""
    workers = [world.start(f"planned=wait:{gate}") for _ in range(3)]
    deadline = time.monotonic() + 180
    while sum(worker.ended for worker in workers) < 2:
        assert time.monotonic() < deadline, "the workers that were refused never ended"
        time.sleep(0.02)
    refused = [worker.result() for worker in workers if worker.ended]
    gate.touch()
    assert [one.code for one in refused] == [4, 4], [(one.out, one.err) for one in refused]
    ended = [worker.result() for worker in workers]
    assert sorted(one.code for one in ended) == [0, 4, 4], [(one.out, one.err) for one in ended]


def kill_at(world: World, point: str) -> None:
    """Run a worker that is killed there."""
    killed = world.run(f"{point}=kill")
    assert killed.code == -signal.SIGKILL, killed.err


def heal_with_a_third_file(world: World) -> None:
    """A run that nobody disturbs, for which one more file has come, makes it right."""
    world.deliver("third.jsonl", 20)
    healed = world.run()
    assert healed.code == 0, healed.err
    assert_all_there_once(world)


def overtake(world: World, point: str, *options: str) -> None:
    """A worker is stopped at the point until its lease is over, another (with `options`) loads its batch, and when it
    wakes it changes nothing.
    """
    first = world.start(f"{point}=stop")
    wait_until_stopped(first)
    world.more_options = options or world.more_options
    second = run_when_the_lease_has_run_out(world)
    assert second.code == 0, second.err
    assert_all_there_once(world)
    woken = wake(first)
    assert woken.code == 1, woken.err
    assert "lease-lost" in woken.out
    assert_all_there_once(world)


def collide(world: World, point: str, gate: Path, *options: str) -> None:
    """A worker loses its lease without knowing, another (with `options`) takes its batch up, and both go on from the
    point at one moment: all is there once, and only the second one says that it loaded it.
    """
    reached = gate.with_name(f"{gate.name}.reached")

    def come(worker: Forked) -> bool:
        deadline = time.monotonic() + 180
        while not reached.exists() and not worker.ended:
            assert time.monotonic() < deadline, "the worker never reached its point"
            time.sleep(0.02)
        return reached.exists()

    first = world.start(f"{point}=wait:{gate};heartbeat=error")
    assert come(first), first.result().err
    reached.unlink()
    world.more_options = options or world.more_options
    deadline = time.monotonic() + 180
    while not come(second := world.start(f"{point}=wait:{gate}")):
        assert second.result().code == 4, second.result().out
        assert time.monotonic() < deadline, "the lease never ran out"
    gate.touch()
    ended, late = second.result(), first.result()
    assert ended.code == 0, (ended.out, ended.err)
    assert late.code == 1, (late.out, late.err)
    assert "lease-lost" in late.out
    assert_all_there_once(world)
