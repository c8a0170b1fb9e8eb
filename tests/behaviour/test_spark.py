"""Real processes on a real cluster, killed or stopped at named points: nothing is missing, nothing is there twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.behaviour.spark_world import AT_CLUSTER, EMBEDDED, deliver, spark_world
from tests.behaviour.workers import heal_with_a_third_file, kill_at, overtake, wait_until_stopped, wake
from tests.behaviour.world import World, assert_all_there_once
from tests.services.spark.server import SparkServer

pytestmark = [pytest.mark.kill, pytest.mark.slow]


@pytest.fixture
def world(zygote, tmp_path: Path, spark_server: SparkServer) -> World:
    return spark_world(zygote, tmp_path, spark_server)


@pytest.mark.parametrize(
    "point", ["claimed", "half-written", "written", "before-commit", "commit-landed", "before-settle", "before-rejects"]
)
def test_killed_at_a_point_the_next_run_makes_it_right(world: World, point: str) -> None:
    deliver(world)
    kill_at(world, point)
    heal_with_a_third_file(world)


@pytest.mark.parametrize(
    ("point", "successor"), [("written", AT_CLUSTER), ("before-commit", AT_CLUSTER), ("before-commit", EMBEDDED)]
)
def test_a_worker_that_wakes_after_another_loaded_its_batch_publishes_nothing(
    world: World, point: str, successor: tuple[str, ...]
) -> None:
    deliver(world)
    overtake(world, point, *successor)


def test_what_a_dead_worker_staged_is_not_published_beside_the_retry(world: World) -> None:
    deliver(world)
    assert world.run("written=kill").code == -signal.SIGKILL
    with world.opened() as table:
        left = {snapshot.snapshot_id for snapshot in table.snapshots()}
    assert world.run().code == 0
    assert_all_there_once(world)
    with world.opened() as table:
        main = {snapshot.snapshot_id for snapshot in table.snapshots()} - left
        assert table.current_snapshot().snapshot_id in main
        staged = [s for s in table.snapshots() if s.snapshot_id in left and "wap.id" in s.summary.additional_properties]
    assert staged, "the dead worker had staged nothing"


def test_a_worker_that_is_stopped_by_hand_leaves_nothing_on_main_and_the_next_one_loads_all(world: World) -> None:
    deliver(world)
    stopped = world.start("half-written=stop")
    wait_until_stopped(stopped)
    os.kill(stopped.pid, signal.SIGINT)
    assert wake(stopped).code != 0
    assert world.run().code == 0
    assert_all_there_once(world)
