"""Two processes that both believe they own the ingestion: no doubled row, whoever wakes last."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.behaviour.workers import collide, overtake, race, run_when_the_lease_has_run_out, wait_until_stopped, wake
from tests.behaviour.world import World, assert_all_there_once

pytestmark = pytest.mark.kill


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
    overtake(world, point)


@pytest.mark.parametrize("point", [pytest.param("written", marks=pytest.mark.soak), "before-commit"])
def test_two_that_both_hold_the_batch_for_theirs_go_on_at_one_moment(world: World, tmp_path: Path, point: str) -> None:
    for number in range(4):
        world.deliver(f"file-{number}.jsonl", 20, bad=1)
    collide(world, point, tmp_path / "gate")
    assert world.run().code == 0
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
