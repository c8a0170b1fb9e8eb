"""SIGKILL of a real process at each named point: after the next run nothing is missing and nothing is there twice."""

from __future__ import annotations

import json
import signal

import pytest

from app.failpoints import NAMES
from tests.behaviour.workers import heal_with_a_third_file, kill_at
from tests.behaviour.world import World, assert_all_there_once

pytestmark = pytest.mark.kill

# Points that need a history: what the first process, killed there, leaves behind for the second.
AFTER = {"healing": "written=kill", "spending": "written=kill", "spent": "written=kill"}
POISON = {"spending", "spent"}
ELSEWHERE = {"migrating", "migrated", "queue-stored"}  # a load does not come by; they have tests of their own


def deliver_first(world: World) -> None:
    for number in range(4):
        world.deliver(f"first-{number}.jsonl", 20, bad=1 if number == 1 else 0)


@pytest.mark.parametrize("point", [name for name in NAMES if name not in POISON | ELSEWHERE | {"parsing", "heartbeat"}])
def test_killed_at_a_point_the_next_run_makes_it_right(world: World, point: str) -> None:
    deliver_first(world)
    if point == "schema-changed":  # needs a table that lacks a column
        assert world.run().code == 0
        world.deliver("later.jsonl", 20, extra="later")
    if point in AFTER:
        assert world.run(AFTER[point]).code == -signal.SIGKILL
    kill_at(world, point)
    heal_with_a_third_file(world)


def test_after_a_kill_and_a_healing_a_third_run_finds_nothing_to_do(world: World) -> None:
    deliver_first(world)
    assert world.run("commit-landed=kill").code == -signal.SIGKILL
    assert world.run().code == 0
    again = world.run()
    assert again.code == 0
    assert again.answer["metrics"]["files"]["loaded"] == 0
    assert_all_there_once(world)


@pytest.mark.parametrize("point", sorted(POISON))
def test_killed_while_a_batch_that_kills_its_parser_is_broken_up(world: World, point: str) -> None:
    deliver_first(world)
    poison = "parsing=poison:first-2"
    # The first claim died, so the batch may have been sent: its id must be spent before it is split.
    assert world.run("written=kill@2").code == -signal.SIGKILL
    killed = world.run(f"{poison};{point}=kill")
    assert killed.code == -signal.SIGKILL, killed.err
    healed = world.run(poison)
    assert healed.code == 3, healed.err  # PARTIAL: one file is quarantined

    good = [name for name in world.delivered if name != "first-2.jsonl"]
    assert world.rows() == world.expected(good)
    states = {row["path"].rpartition("/")[2]: (row["state"], row["reason"]) for row in world.ledger()}
    assert states.pop("first-2.jsonl") == ("QUARANTINED", "parser-died")
    assert {state for state, _ in states.values()} == {"SUCCESS"}


IGNORING = ("--schema", "id bigint", "--on-new-columns", "ignore")


def test_the_run_that_heals_a_batch_says_how_many_of_its_rows_hold_nothing(folder: World) -> None:
    folder.more_options = IGNORING
    folder.put("1.jsonl", b'{"id": 1}\n{"q": 1}\n{"q": 2}\n')
    assert folder.run("commit-landed=kill").code == -signal.SIGKILL
    ran = folder.run()
    assert [note.partition(" (")[0] for note in json.loads(ran.out)["metrics"]["notes"]] == ["2 rows hold nothing"]


def test_a_run_that_fails_has_said_how_many_rows_of_its_earlier_batches_hold_nothing(folder: World) -> None:
    folder.more_options = (*IGNORING, "--on-error", "fail")
    for number in range(2):
        folder.put(f"{number}.jsonl", b'{"id": 1}\n{"q": 1}\n')
    folder.put("2.jsonl", b"no\n")
    assert folder.run().code == 1
    (run,) = json.loads(folder.cli("runs", "list").out)["runs"]
    shown = json.loads(folder.cli("runs", "show", run["id"]).out)
    assert shown["state"] == "FAILED"
    (note,) = shown["metrics"]["notes"]
    assert note.startswith(f"2 rows hold nothing (in 2 files, the first is {folder.source}/0.jsonl): ")
