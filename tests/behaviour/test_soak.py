"""Hundreds of rounds: each race, and a killer that strikes at random times. Run by `make soak`; seeds are printed."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.behaviour.workers import race, run_when_the_lease_has_run_out, wait_until_stopped, wake
from tests.behaviour.world import World, assert_all_there_once

pytestmark = pytest.mark.soak

KILLS = int(os.environ.get("SOAK_KILLS", "300"))
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "100"))
SEED = int(os.environ.get("SOAK_SEED", "20261124"))
FILES_A_DELIVERY = 3


def settle(world: World) -> None:
    """Run until all is loaded. A file whose process died again and again is a suspect: a person retries it."""
    for _ in range(20):
        ended = world.start().result(timeout=900)  # hundreds of small batches
        assert ended.code in {0, 3}, ended.out + ended.err
        states = {row["state"] for row in world.ledger()}
        if states == {"SUCCESS"}:
            return
        if "QUARANTINED" in states:
            retried = world.cli("files", "retry", "--ingestion", "demo.rows", "--state", "QUARANTINED")
            assert retried.code == 0, retried.out + retried.err
    pytest.fail(f"files are stuck: {states}")


def test_a_killer_at_random_times_loses_and_doubles_nothing(folder: World, capsys) -> None:
    chance = random.Random(SEED)
    kills = 0
    while kills < KILLS:
        for _ in range(chance.randrange(FILES_A_DELIVERY)):
            folder.deliver(f"file-{len(folder.delivered):05d}.jsonl", 10, bad=chance.randrange(2))
        run = folder.start()
        until = time.monotonic() + chance.uniform(0.0, 1.5)
        while time.monotonic() < until and not run.ended:
            time.sleep(0.01)
        if not run.ended:
            with suppress(ProcessLookupError):
                os.kill(run.pid, signal.SIGKILL)
        kills += run.result().code == -signal.SIGKILL
    settle(folder)
    assert_all_there_once(folder)
    with capsys.disabled():
        print(f"\n{kills} kills, {len(folder.delivered)} files, seed {SEED}: every row once")  # noqa: T201


@pytest.mark.parametrize("point", ["written", "before-commit", "commit-landed", "before-rejects"])
def test_a_worker_that_wakes_late_doubles_nothing_in_any_round(folder: World, point: str) -> None:
    for number in range(ROUNDS):
        for part in range(2):
            folder.deliver(f"round-{number:04d}-{part}.jsonl", 5, bad=part)
        first = folder.start(f"{point}=stop")
        wait_until_stopped(first)
        assert run_when_the_lease_has_run_out(folder).code == 0
        assert wake(first).code == 1
    assert_all_there_once(folder)


def test_workers_at_a_barrier_load_each_file_once_in_any_round(folder: World, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        for part in range(3):
            folder.deliver(f"round-{number:04d}-{part}.jsonl", 5, bad=part % 2)
        race(folder, tmp_path / f"gate-{number}")
    assert folder.run().code == 0
    assert_all_there_once(folder)
