"""The cluster killed, the connection refused, cut or stalled, at each point of a batch: every row once, none lost.

One fault meets several ingestions at once, each at a point of its own: it costs one server and a few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.behaviour.spark_world import all_reached, at_work, data_files, run_states, spark_world
from tests.behaviour.workers import race
from tests.behaviour.world import World, assert_all_there_once
from tests.behaviour.zygote import Forked, Ran
from tests.services.spark.killable import KillableSpark
from tests.services.spark.server import SparkServer
from tests.services.spark.wire import Wire, wire

pytestmark = [pytest.mark.kill, pytest.mark.slow]

POINTS = ("claimed", "half-written", "before-commit", "commit-landed")
LANDED = "commit-landed"  # who has come so far needs the cluster no more
WRITING = "writing"
BIG = 120_000
SILENCE_SECONDS = 2.0
BOUND_SECONDS = 150.0  # gRPC alone would wait for more than five minutes


@dataclass
class Place:
    """One world for each point, and one that is in the midst of writing."""

    server: SparkServer
    folder: Path
    worlds: dict[str, World]
    runs: dict[str, Forked] = field(default_factory=dict)

    def begin(self) -> None:
        """Bring each run to its point."""
        for point, world in self.worlds.items():
            world.deliver("first.jsonl", 20, bad=1)
            world.deliver("second.jsonl", BIG if point == WRITING else 20)
        gates = {point: self.folder / f"gate-{point}" for point in self.worlds if point != WRITING}
        self.runs = {point: self.worlds[point].start(f"{point}=wait:{gate}") for point, gate in gates.items()}
        all_reached(gates.values(), self.runs.values())
        world = self.worlds[WRITING]
        before = data_files(self.server, world)
        self.runs[WRITING] = world.start()
        at_work(self.server, world, before, self.runs[WRITING])

    def go_on(self) -> dict[str, Ran]:
        """Let all of them meet the fault; how each ended."""
        begun = time.monotonic()
        for point in self.worlds:
            (self.folder / f"gate-{point}").touch()
        ended = {point: run.result() for point, run in self.runs.items()}
        assert time.monotonic() - begun < BOUND_SECONDS
        return ended

    def run_again(self) -> None:
        """All at once; then every row is there, once."""
        again = [world.start() for world in self.worlds.values()]
        assert [run.result().code for run in again] == [0] * len(again), [run.result().out for run in again]
        for world in self.worlds.values():
            assert_all_there_once(world)


def place_at(zygote, folder: Path, server: SparkServer, url: str, points: tuple[str, ...] = POINTS) -> Place:
    worlds = {
        point: spark_world(zygote, folder / point, server, point.replace("-", "_"), url) for point in (*points, WRITING)
    }
    return Place(server, folder, worlds)


@pytest.fixture
def through(spark_server: SparkServer) -> Iterator[Wire]:
    with wire(spark_server.port) as made:
        yield made


@pytest.fixture
def place(request, zygote, tmp_path: Path, spark_server: SparkServer, through: Wire) -> Place:
    points = getattr(request, "param", POINTS)
    return place_at(zygote, tmp_path, spark_server, through.url, points)


def assert_all_told(ended: dict[str, Ran], said: str) -> None:
    """Each run that still needed the cluster says that it is not reachable, and where; nobody shows a traceback."""
    for point, run in ended.items():
        assert "Traceback" not in run.err, run.err
        if point == LANDED:
            assert run.code == 0, run.out
        else:
            assert run.code == 1, (point, run.out)
            assert "spark-unavailable" in run.out, (point, run.out)
            assert said in run.out, (point, run.out)


def test_a_server_that_is_killed_at_any_point_and_started_again(zygote, tmp_path, spark_server) -> None:
    spark = KillableSpark(spark_server, tmp_path / "server")
    spark.start()
    try:
        place = place_at(zygote, tmp_path, spark_server, spark.server.url)
        place.begin()
        spark.kill()
        said = f"Spark Connect service not reachable at {spark.server.url}"
        assert_all_told(place.go_on(), said)
        late = spark_world(zygote, tmp_path / "late", spark_server, "late", spark.server.url)
        late.deliver("first.jsonl", 20)
        assert_all_told({"before": late.run()}, said)
        spark.start()
        place.worlds["late"] = late
        place.run_again()
        assert [state for state, _, _ in run_states(late)] == ["FAILED", "SUCCESS"]
    finally:
        spark.kill()


@pytest.mark.soak  # what a killed server refuses, the test above shows each time
def test_a_connection_that_is_refused_at_any_point_and_healed(place: Place, through: Wire) -> None:
    place.begin()
    through.refuse()
    assert_all_told(place.go_on(), f"Spark Connect service not reachable at {through.url}")
    through.heal()
    place.run_again()


@pytest.mark.parametrize("place", [("half-written",)], indirect=True, ids=[""])
def test_a_connection_that_is_cut_at_any_point_is_made_anew_and_the_run_goes_on(place: Place, through: Wire) -> None:
    place.begin()
    through.cut()
    assert {point: run.code for point, run in place.go_on().items()} == dict.fromkeys(place.worlds, 0)
    place.run_again()


@pytest.mark.parametrize("place", [("half-written", "before-commit")], indirect=True, ids=[""])
def test_a_connection_over_which_nothing_comes_any_more_is_given_up(place: Place, through: Wire) -> None:
    for world in place.worlds.values():
        world.more_env["SPARK_SILENCE_SECONDS"] = str(SILENCE_SECONDS)
    place.begin()
    through.stall()
    ended = place.go_on()
    assert_all_told(ended, f"Spark Connect service not reachable at {through.url}")
    assert f"no sign of life for {SILENCE_SECONDS:g} s" in ended[WRITING].out
    through.heal()
    for world in place.worlds.values():  # three jobs at once may well be silent for so long
        del world.more_env["SPARK_SILENCE_SECONDS"]
    place.run_again()


def test_of_clients_at_once_one_runs_and_loads_each_file_once(zygote, tmp_path, spark_server) -> None:
    world = spark_world(zygote, tmp_path, spark_server)
    for number in range(3):
        world.deliver(f"file-{number}.jsonl", 20, bad=number % 2)
    race(world, tmp_path / "gate")
    assert_all_there_once(world)
