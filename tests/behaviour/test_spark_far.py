"""Kills and zombies where the cluster alone reaches the catalog: nothing is missing, nothing is there twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from pyiceberg.table import Table

from tests.behaviour.spark_world import AT_CLUSTER, deliver, spark_world
from tests.behaviour.workers import collide, heal_with_a_third_file, kill_at, overtake
from tests.behaviour.world import World
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


def killed_and_healed(world: World, *points: str) -> None:
    """Killed at each point in turn, then let go on."""
    deliver(world)
    for point in points:
        kill_at(world, point)
    heal_with_a_third_file(world)


def test_killed_between_staging_and_publishing_all_is_there_once(world: FarWorld) -> None:
    killed_and_healed(world, "before-commit")


def test_two_clients_that_both_hold_the_batch_for_theirs_publish_it_once(world: FarWorld, tmp_path: Path) -> None:
    deliver(world)
    collide(world, "before-commit", tmp_path / "gate")


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
    overtake(world, point, *AT_CLUSTER)
