"""A handful of the faults of test_crashes, and of what a person decides, with the ledger in PostgreSQL."""

from __future__ import annotations

import random

import pytest

from app.errors import IngestionBlocked, LeaseLost
from tests.fakes.engine import FakeFile, Killed, RequestLost
from tests.fakes.world import Person, World
from tests.functional.services.test_crashes import SCENES, OnceAt, every_fault, points_of, settle_down

pytestmark = pytest.mark.parametrize("new_world", ["postgresql"], indirect=True)

_FAULTS = 6  # of each scene: the whole matrix is SQLite's


def fill(world: World, count: int = 3) -> None:
    for number in range(count):
        world.source[f"/d/{number}"] = FakeFile()
    world.look_around()


@pytest.mark.parametrize(
    "scene", ["one batch of everything", "a file that kills the parser, in a batch that may have been sent"]
)
def test_after_a_fault_the_next_run_makes_it_right(new_world, scene):
    play = SCENES[scene].play
    undisturbed = play(new_world, picks=False)
    faults = list(every_fault(points_of(undisturbed)))
    undisturbed.heal()
    undisturbed.check_healed()
    for number, point, name, fault in random.Random(scene).sample(faults, _FAULTS):
        world = play(new_world, picks=False)
        world.survive(OnceAt(world, number, fault))
        try:
            world.check_always()
            settle_down(world, late=name.startswith("sent"))
            world.check_healed()
            assert world.states() == undisturbed.states()
        except BaseException as error:
            error.add_note(f"{name} at point {number}, {point}")
            raise


def test_who_lost_the_lease_can_land_the_very_batch_it_had_claimed_but_not_say_so(new_world):
    world = new_world()
    fill(world)

    def lose(point: str) -> None:
        if point == "publish-commit":
            with world.process():
                pass

    assert isinstance(world.survive(lose), LeaseLost)
    assert world.counts() == {"PROCESSING": 3}
    world.heal()
    assert world.counts() == {"SUCCESS": 3}
    world.check_healed()


def test_what_nobody_can_tell_blocks_until_a_person_says_that_it_did_not_land(new_world):
    world = new_world()
    world.table.create(world.table.schema)
    world.table.foreign_append()
    fill(world)

    def lose(point: str) -> None:
        if point == "publish-commit":
            raise RequestLost(Killed())

    world.survive(lose)
    world.table.foreign_append()
    world.table.forget([s.snapshot_id for s in world.table.history()[1:]])
    with pytest.raises(IngestionBlocked):
        world.run()
    [evidence] = Person(world).evidence("orders")
    assert (evidence.file_count, evidence.files) == (3, ("/d/0", "/d/1", "/d/2"))
    Person(world).decide("orders", evidence.batch_id, landed=False)
    world.table.deliver()
    world.heal()
    world.check_healed()
    assert world.counts() == {"SUCCESS": 3}


def test_a_batch_that_kills_its_parser_is_halved_with_its_history(new_world):
    world = new_world()
    fill(world, 4)
    world.source["/d/2"].poison = True
    world.run()
    world.check_healed()
    assert world.states() == {"/d/0": "SUCCESS", "/d/1": "SUCCESS", "/d/2": "QUARANTINED", "/d/3": "SUCCESS"}
