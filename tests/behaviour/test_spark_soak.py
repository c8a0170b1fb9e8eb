"""Many rounds of what is done to a cluster, its connection and its clients; many ingestions at once. By `make soak`.

SOAK_SPARK_ROUNDS and SOAK_SEED say how much; seeds are printed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.behaviour.spark_world import AT_CLUSTER, EMBEDDED, data_files, spark_world, until
from tests.behaviour.workers import collide, race, run_when_the_lease_has_run_out, wait_until_stopped, wake
from tests.behaviour.world import World, assert_all_there_once
from tests.behaviour.zygote import Forked
from tests.services.spark.killable import KillableSpark
from tests.services.spark.wire import Wire, wire

pytestmark = pytest.mark.soak

ROUNDS = int(os.environ.get("SOAK_SPARK_ROUNDS", "50"))
SEED = int(os.environ.get("SOAK_SEED", "20261124"))
AT_ONCE = 10
ROWS = 20
RUN_SECONDS = 600.0


def deliver_round(world: World, number: int) -> None:
    """One batch: two files, one of them with a record that no parser takes."""
    for part in range(2):
        world.deliver(f"round-{number:04d}-{part}.jsonl", ROWS, bad=part)


def settle(world: World) -> None:
    """Run until all is loaded. A file whose process died again and again is a suspect: a person retries it."""
    for _ in range(20):
        ended = world.start().result(timeout=RUN_SECONDS)
        assert "Traceback" not in ended.err, ended.err
        states = {row["state"] for row in world.ledger()}
        if states == {"SUCCESS"}:
            return
        if "QUARANTINED" in states:
            world.cli("files", "retry", "--ingestion", world.identifier, "--state", "QUARANTINED")
    pytest.fail(f"files are stuck: {states}, {ended.out}")


def meet(fault: str, through: Wire, spark: KillableSpark, run: Forked, chance: random.Random) -> None:
    """Do it to what runs; heal it after a while, before or after the run has ended."""
    if fault == "client":
        with suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGKILL)
        return
    {"server": spark.kill, "cut": through.cut, "refuse": through.refuse, "stall": through.stall}[fault]()
    time.sleep(chance.uniform(0.0, 3.0))
    if chance.random() < 0.5:
        run.result(timeout=RUN_SECONDS)
    if fault == "server":
        spark.start()
    through.heal()


def test_whatever_is_done_at_random_times_loses_and_doubles_nothing(zygote, tmp_path, spark_server, capsys) -> None:
    chance = random.Random(SEED)
    spark = KillableSpark(spark_server, tmp_path / "server")
    spark.start()
    done: dict[str, int] = {}
    try:
        with wire(spark.server.port) as through:
            world = spark_world(zygote, tmp_path / "world", spark_server, url=through.url)
            world.more_env["SPARK_SILENCE_SECONDS"] = "3"
            for number in range(ROUNDS):
                deliver_round(world, number)
                world.more_options = chance.choice((AT_CLUSTER, AT_CLUSTER, AT_CLUSTER, EMBEDDED))
                run = world.start()
                time.sleep(chance.uniform(0.0, 6.0))
                fault = chance.choice(("client", "server", "cut", "refuse", "stall"))
                done[fault] = done.get(fault, 0) + 1
                meet(fault, through, spark, run, chance)
                ended = run.result(timeout=RUN_SECONDS)
                assert "Traceback" not in ended.err, ended.err
            world.more_options = AT_CLUSTER
            settle(world)
            assert_all_there_once(world)
    finally:
        spark.kill()
    with capsys.disabled():
        print(f"\n{ROUNDS} rounds, {done}, seed {SEED}: every row once")  # noqa: T201


@pytest.mark.parametrize("successor", [AT_CLUSTER, EMBEDDED])
@pytest.mark.parametrize("point", ["half-written", "written", "before-commit", "commit-landed"])
def test_a_client_that_wakes_late_doubles_nothing_in_any_round(
    zygote, tmp_path, spark_server, point, successor
) -> None:
    world = spark_world(zygote, tmp_path, spark_server)
    for number in range(ROUNDS):
        deliver_round(world, number)
        world.more_options = AT_CLUSTER
        first = world.start(f"{point}=stop")
        wait_until_stopped(first)
        world.more_options = successor
        assert run_when_the_lease_has_run_out(world).code == 0
        assert wake(first).code == 1
    assert_all_there_once(world)


def test_a_client_that_wakes_after_its_batch_was_split_doubles_nothing_in_any_round(
    zygote, tmp_path, spark_server
) -> None:
    world = spark_world(zygote, tmp_path, spark_server)
    for number in range(ROUNDS):
        for part in range(2):
            world.deliver(f"round-{number:04d}-{part}.jsonl", ROWS)
        world.more_options = AT_CLUSTER
        first = world.start("before-commit=stop")
        wait_until_stopped(first)
        world.more_options = (AT_CLUSTER, EMBEDDED)[number % 2]
        assert run_when_the_lease_has_run_out(world, "claimed=kill").code == -signal.SIGKILL
        assert world.run("claimed=kill").code == -signal.SIGKILL
        assert world.run().code == 0
        assert wake(first).code == 1
    assert_all_there_once(world)


def test_clients_at_a_barrier_load_each_file_once_in_any_round(zygote, tmp_path: Path, spark_server) -> None:
    world = spark_world(zygote, tmp_path, spark_server)
    for number in range(ROUNDS):
        deliver_round(world, number)
        race(world, tmp_path / f"gate-{number}")
    assert world.run().code == 0
    assert_all_there_once(world)


@pytest.mark.parametrize("successor", [AT_CLUSTER, EMBEDDED])
@pytest.mark.parametrize("point", ["half-written", "written", "before-commit"])
def test_clients_that_both_hold_a_batch_for_theirs_publish_it_once_in_any_round(
    zygote, tmp_path: Path, spark_server, point, successor
) -> None:
    world = spark_world(zygote, tmp_path, spark_server)
    for number in range(ROUNDS):
        deliver_round(world, number)
        world.more_options = AT_CLUSTER
        collide(world, point, tmp_path / f"gate-{number}", *successor)


def test_ten_ingestions_at_once_on_one_cluster_that_is_started_anew_in_the_midst(
    zygote, tmp_path, spark_server
) -> None:
    spark = KillableSpark(spark_server, tmp_path / "server")
    spark.start()
    worlds = [
        spark_world(zygote, tmp_path / f"world-{number}", spark_server, f"t{number}", spark.server.url)
        for number in range(AT_ONCE)
    ]
    try:
        for world in worlds:
            for part in range(4):
                world.deliver(f"file-{part}.jsonl", 2000, bad=part % 2)
        runs = [world.start() for world in worlds]
        assert [run.result(timeout=RUN_SECONDS).code for run in runs] == [0] * AT_ONCE
        for world in worlds:
            world.deliver("later.jsonl", 2000)
        before = [data_files(spark_server, world) for world in worlds]
        runs = [world.start() for world in worlds]

        def writes() -> bool:
            assert not all(run.ended for run in runs)
            return any(data_files(spark_server, world) - old for world, old in zip(worlds, before, strict=True))

        until(writes, "one of them that writes")
        spark.kill()
        spark.start()
        for run in runs:
            assert "Traceback" not in run.result(timeout=RUN_SECONDS).err
        for world in worlds:
            settle(world)
            assert_all_there_once(world)
    finally:
        spark.kill()
