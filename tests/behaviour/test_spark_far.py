"""Kills and zombies where the cluster alone reaches the catalog: nothing is missing, nothing is there twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from pyiceberg.table import Table

from tests.behaviour.spark_world import AT_CLUSTER, spark_world
from tests.behaviour.test_two_workers import run_when_the_lease_has_run_out, wait_until_stopped, wake
from tests.behaviour.world import World, assert_all_there_once
from tests.services.spark.server import SparkServer, far_table

pytestmark = [pytest.mark.kill, pytest.mark.slow]


@dataclass
class FarWorld(World):
    """Its table is looked at by its files."""

    server: SparkServer | None = None

    @contextmanager
    def opened(self, suffix: str = "") -> Iterator[Table]:
        assert self.server is not None
        yield far_table(self.server, self.table.rpartition(".")[2] + suffix)


@pytest.fixture
def world(zygote, tmp_path: Path, spark_server: SparkServer) -> FarWorld:
    made = spark_world(zygote, tmp_path, spark_server.far)
    return FarWorld(**{one.name: getattr(made, one.name) for one in fields(World)}, server=spark_server.far)


def deliver(world: World) -> None:
    world.deliver("first.jsonl", 20, bad=1)
    world.deliver("second.jsonl", 20)


def killed_and_healed(world: World, *points: str) -> None:
    """Killed at each point in turn, then let go on."""
    deliver(world)
    for point in points:
        killed = world.run(f"{point}=kill")
        assert killed.code == -signal.SIGKILL, killed.err
    world.deliver("third.jsonl", 20)
    healed = world.run()
    assert healed.code == 0, healed.err
    assert_all_there_once(world)


def test_killed_between_staging_and_publishing_all_is_there_once(world: FarWorld) -> None:
    killed_and_healed(world, "before-commit")


@pytest.mark.soak
@pytest.mark.parametrize(
    "point", ["claimed", "half-written", "written", "commit-landed", "before-settle", "before-rejects", "spending"]
)
def test_killed_at_any_other_point_all_is_there_once(world: FarWorld, point: str) -> None:
    if point == "spending":  # a batch whose processes die again and again is broken up
        killed_and_healed(world, "written", "written", "written", point)
    else:
        killed_and_healed(world, point)


@pytest.mark.soak
@pytest.mark.parametrize("point", ["written", "before-commit"])
def test_a_worker_that_wakes_after_another_loaded_its_batch_publishes_nothing(world: FarWorld, point: str) -> None:
    deliver(world)
    first = world.start(f"{point}=stop")
    wait_until_stopped(first)
    world.more_options = AT_CLUSTER
    second = run_when_the_lease_has_run_out(world)
    assert second.code == 0, second.err
    assert_all_there_once(world)
    woken = wake(first)
    assert woken.code == 1, woken.err
    assert "lease-lost" in woken.out
    assert_all_there_once(world)
