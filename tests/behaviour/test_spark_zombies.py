"""Jobs that outlive their clients, and clients that outlive their right to the batch: nothing is published twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from uuid import UUID

import pytest

from app.spark import connect, endpoint_of, identifier, literal
from tests.behaviour.spark_world import (
    AT_CLUSTER,
    EMBEDDED,
    at_work,
    batch_column,
    data_files,
    deliver,
    move_cluster,
    spark_world,
    staged,
    until,
)
from tests.behaviour.workers import collide, run_when_the_lease_has_run_out, wait_until_stopped, wake
from tests.behaviour.world import World, assert_all_there_once
from tests.services.spark.killable import KillableSpark
from tests.services.spark.server import SparkServer

pytestmark = [pytest.mark.kill, pytest.mark.slow]

LONG = 60_000
MOST_CLAIMS = 3  # that end without an answer before a batch is broken up


def leave_a_zombie(world: World, slow: KillableSpark, spark_server: SparkServer) -> None:
    """Of a batch that is being written: its client is dead, and its job asleep in a server that nobody reaches."""
    world.deliver("first.jsonl", LONG)
    world.deliver("second.jsonl", 20)
    before = data_files(spark_server, world)
    client = world.start()
    at_work(spark_server, world, before, client)
    slow.freeze()
    os.kill(client.pid, signal.SIGKILL)
    assert client.result().code == -signal.SIGKILL
    assert not staged(world), "the job was too quick for this test"
    move_cluster(world, spark_server)


def split(world: World) -> None:
    """More of its processes die, so that the batch is broken up."""
    for _ in range(MOST_CLAIMS - 1):
        assert world.run("claimed=kill").code == -signal.SIGKILL
    assert world.run().code == 0
    assert "SPENT" in batch_column(world, "state")


def wait_for_more_staged(world: World, known: int) -> None:
    until(lambda: staged(world) > known, "the zombie's rows, staged")


def publish_by_force(world: World, spark_server: SparkServer) -> None:
    """As somebody would who knows of the zombie's snapshot and not of the protocol."""
    session = connect(endpoint_of(spark_server.url, {}, catalog=spark_server.catalog))
    try:
        name = literal(world.identifier)
        batch = UUID(batch_column(world, "id")[0])
        call = f"CALL {identifier(spark_server.catalog)}.system.publish_changes({name}, {literal(str(batch))})"
        with pytest.raises(Exception, match=r"not taken|Duplicate"):
            session.rows(call)
    finally:
        session.close()


def test_a_job_that_ends_after_its_batch_was_loaded_or_split_by_others(zygote, tmp_path: Path, spark_server) -> None:
    slow = KillableSpark(spark_server, tmp_path / "slow")
    slow.start()
    successors = {"by_spark": AT_CLUSTER, "embedded": EMBEDDED, "split": EMBEDDED}
    try:
        for name, successor in successors.items():
            world = spark_world(zygote, tmp_path / name, spark_server, name, slow.server.url)
            leave_a_zombie(world, slow, spark_server)
            world.more_options = successor
            if name == "split":
                split(world)
            else:
                assert world.run().code == 0
            assert_all_there_once(world)
            slow.thaw()
            wait_for_more_staged(world, staged(world))
            assert_all_there_once(world)
            publish_by_force(world, spark_server)
            world.deliver("third.jsonl", 20)
            assert world.run().code == 0
            assert_all_there_once(world)
    finally:
        slow.kill()


@pytest.mark.parametrize("other", [AT_CLUSTER, EMBEDDED], ids=["spark", "embedded"])
def test_two_clients_that_both_hold_the_batch_for_theirs_publish_it_once(
    zygote, tmp_path: Path, spark_server, other
) -> None:
    world = spark_world(zygote, tmp_path, spark_server)
    deliver(world)
    collide(world, "before-commit", tmp_path / "gate", *other)


def test_a_client_that_wakes_after_its_batch_was_split_publishes_nothing(zygote, tmp_path: Path, spark_server) -> None:
    world = spark_world(zygote, tmp_path, spark_server)
    for name in ("first", "second"):
        world.deliver(f"{name}.jsonl", 20)
    first = world.start("before-commit=stop")
    wait_until_stopped(first)
    world.more_options = EMBEDDED
    assert run_when_the_lease_has_run_out(world, "claimed=kill").code == -signal.SIGKILL
    assert world.run("claimed=kill").code == -signal.SIGKILL
    assert world.run().code == 0
    assert "SPENT" in batch_column(world, "state")
    assert_all_there_once(world)
    woken = wake(first)
    assert woken.code == 1, woken.err
    assert "lease-lost" in woken.out
    assert_all_there_once(world)
