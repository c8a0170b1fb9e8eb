"""A run on a cluster that is stopped, cancelled or out of time: its job ends on the server, the next run goes on."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from uuid import UUID

import pytest

from app.spark import endpoint_of, interrupt
from tests.behaviour.spark_world import CLUSTER, at_work, batch_column, data_files, run_states, spark_world, staged
from tests.behaviour.world import World, assert_all_there_once
from tests.behaviour.zygote import Forked
from tests.services.spark.server import SparkServer

pytestmark = [pytest.mark.kill, pytest.mark.slow]

LONG = 300_000


@pytest.fixture
def world(zygote, tmp_path: Path, spark_server: SparkServer) -> World:
    made = spark_world(zygote, tmp_path, spark_server)
    made.deliver("first.jsonl", LONG)
    return made


def at_work_on_it(world: World, spark_server: SparkServer) -> Forked:
    before = data_files(spark_server, world)
    run = world.start()
    at_work(spark_server, world, before, run)
    return run


def assert_its_job_has_ended(world: World, spark_server: SparkServer) -> None:
    """Nothing of the batch runs on the server any more, and nothing of it was staged."""
    told = json.loads(batch_column(world, "engine_job")[0])
    batch = UUID(batch_column(world, "id")[0])
    endpoint = endpoint_of(spark_server.url, {}, catalog=spark_server.catalog)
    assert interrupt(endpoint, told["session"], told["user"], str(batch)) == []
    assert staged(world) == 0


@pytest.mark.soak  # now and then the server still shows an operation that was interrupted just before
def test_a_run_that_is_stopped_by_hand_or_cancelled_from_elsewhere_ends_its_job(world, spark_server) -> None:
    run = at_work_on_it(world, spark_server)
    os.kill(run.pid, signal.SIGTERM)
    assert run.result().code == 143
    assert_its_job_has_ended(world, spark_server)
    assert batch_column(world, "engine") == [CLUSTER]

    run = at_work_on_it(world, spark_server)
    active = world.cli("runs", "list").answer["runs"][0]
    assert world.cli("runs", "cancel", active["id"], "--at-once").code == 0
    ended = run.result()
    assert ended.code == 1
    assert "was interrupted" in ended.out or "lease-lost" in ended.out  # whichever it was told first
    assert_its_job_has_ended(world, spark_server)

    assert [state for state, _, _ in run_states(world)] == ["CANCELLED", "CANCELLED"]
    assert world.run().code == 0
    assert_all_there_once(world)
