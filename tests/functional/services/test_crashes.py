"""Every fault at every point of a run, then a run without faults: each file is in the table once, or says why not."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from app.errors import (
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    DatabaseUnavailable,
    LeaseLost,
    SourceUnavailable,
)
from tests.fakes.engine import FakeFile, Killed, RequestLost
from tests.fakes.world import OTHER, World


@dataclass(frozen=True)
class Scene:
    """Files that wait, and what an earlier process left behind."""

    config: dict[str, object]
    files: dict[str, FakeFile]
    before: Callable[[World], None] = lambda world: None

    def play(self, new_world, *, picks: bool) -> World:
        world: World = new_world(config=self.config, picks=picks)
        world.settings = world.settings.model_copy(update={"batch_max_files": 4})
        for path, file in self.files.items():
            world.source[path] = FakeFile(**{name: getattr(file, name) for name in FakeFile.__slots__})
        world.look_around()
        self.before(world)
        return world


def die_at(point: str) -> Callable[[str], None]:
    def script(reached: str) -> None:
        if reached == point:
            raise Killed

    return script


def sent_once_then_poisoned(world: World) -> None:
    """The first claim died when its commit may have been sent; since then one of the files kills the parser."""
    world.survive(die_at("publish-commit"))
    world.source["/d/b"].poison = True


def sent_once_then_spoiled(world: World) -> None:
    world.survive(die_at("publish-commit"))
    world.source["/d/b"].rejected = 5


SCENES = {
    "one batch of everything": Scene(
        {},
        {
            "/d/a": FakeFile(),
            "/d/b": FakeFile(rejected=2),
            "/d/c": FakeFile(column="x bigint"),
            "/d/d": FakeFile(failing=99, reason="truncated"),
            "/d/e": FakeFile(),
        },
    ),
    "a file that fails at first": Scene({}, {"/d/a": FakeFile(failing=1), "/d/b": FakeFile()}),
    "a file that kills the parser": Scene({}, {"/d/a": FakeFile(rejected=1), "/d/b": FakeFile(poison=True)}),
    "a file that kills the parser, in a batch that may have been sent": Scene(
        {}, {"/d/a": FakeFile(), "/d/b": FakeFile()}, sent_once_then_poisoned
    ),
    "a file that fails its job on a cluster": Scene(
        {"engine": "lakehouse", "policies": {"max_attempts": 1}}, {"/d/a": FakeFile(fails_job=True), "/d/b": FakeFile()}
    ),
    "too many errors": Scene(
        {"policies": {"on_error": "fail", "max_errors": "1"}}, {"/d/a": FakeFile(), "/d/b": FakeFile(rejected=5)}
    ),
    "too many errors, in a batch that may have been sent": Scene(
        {"policies": {"on_error": "fail", "max_errors": "1"}},
        {"/d/a": FakeFile(), "/d/b": FakeFile()},
        sent_once_then_spoiled,
    ),
}

Fault = Callable[[World], None]


def raising(error: Callable[[], BaseException]) -> Fault:
    def happen(world: World) -> None:
        raise error()

    return happen


KILL = {"killed": raising(Killed)}
DATABASE = {"answer-lost": raising(lambda: DatabaseUnavailable("gone"))}
LEASE = {"lease-lost": raising(lambda: LeaseLost("another one has it"))}
CATALOG = {"catalog-unavailable": raising(lambda: CatalogUnavailable("gone"))}
SOURCE = {"source-unavailable": raising(lambda: SourceUnavailable("gone"))}
COMMIT = {
    "refused": raising(lambda: CommitConflict("moved")),
    "unknown": raising(lambda: CommitUnknown("no answer")),
    "sent-then-killed": raising(lambda: RequestLost(Killed())),
    "sent-then-unknown": raising(lambda: RequestLost(CommitUnknown("no answer"))),
    "foreign-append": lambda world: world.table.foreign_append(),
    "foreign-column": lambda world: world.table.foreign_column(),
}
COMMITTED = {"answer-lost": raising(lambda: CommitUnknown("no answer"))}


def faults_at(point: str) -> dict[str, Fault]:
    """What can go wrong there. Dying before a transaction or inside it is dying after the one before it."""
    if point in {"tx-end", "look", "expire"}:
        return CATALOG if point == "look" else {}
    if point == "tx":
        return LEASE
    if point == "tx-done":
        return KILL | DATABASE
    if point in {"publish-commit", "spend-commit"}:
        return COMMIT
    if point in {"publish-committed", "spend-committed"}:
        return KILL | COMMITTED
    if point in {"write", "written"}:
        return KILL | SOURCE
    return KILL | CATALOG


class OnceAt:
    """A script: at its `number`-th point `fault` happens; before and after nothing does."""

    def __init__(self, world: World, number: int, fault: Fault) -> None:
        self.world, self.left, self.fault = world, number, fault

    def __call__(self, point: str) -> None:
        self.left -= 1
        if self.left == -1:
            self.fault(self.world)


class SomeFault:
    """A script: at its `number`-th point, or the next one that can fail, something fails."""

    def __init__(self, world: World, number: int, chance: random.Random) -> None:
        self.world, self.left, self.chance = world, number, chance
        self.told = "nothing"

    def __call__(self, point: str) -> None:
        self.left -= 1
        faults = faults_at(point)
        if self.left < 0 and self.told == "nothing" and faults:
            name = self.chance.choice(sorted(faults))
            self.told = f"{name} at {point}"
            faults[name](self.world)


def points_of(world: World) -> list[str]:
    points: list[str] = []
    world.survive(points.append)
    return points


def every_fault(points: list[str]) -> Iterator[tuple[int, str, str, Fault]]:
    for number, point in enumerate(points):
        for name, fault in faults_at(point).items():
            yield number, point, name, fault


def settle_down(world: World, *, late: bool) -> None:
    """The commits on their way arrive before the next run, or after it."""
    while world.table.in_flight and not late:
        world.table.deliver()
    world.heal()
    if world.table.in_flight:
        while world.table.in_flight:
            world.table.deliver()
        world.check_always()
        world.heal()


def states_of_its_own(world: World) -> dict[str, str]:
    """Without files that came for it to heal: how many it takes, the fault tells."""
    return {path: state for path, state in world.states().items() if not path.startswith(OTHER)}


@pytest.mark.parametrize("picks", [False, True], ids=["swap", "cherry-pick"])
@pytest.mark.parametrize("scene", SCENES)
def test_after_any_single_fault_the_next_run_makes_it_right(new_world, scene, picks):
    play = SCENES[scene].play
    undisturbed = play(new_world, picks=picks)
    points = points_of(undisturbed)
    undisturbed.heal()
    undisturbed.check_healed()
    wanted = states_of_its_own(undisturbed)
    assert "SUCCESS" in wanted.values()
    for number, point, name, fault in every_fault(points):
        if picks and not point.startswith(("publish", "spend")):
            continue  # the two ways to publish differ nowhere else
        for late in {False, name.startswith("sent")}:
            world = play(new_world, picks=picks)
            world.survive(OnceAt(world, number, fault))
            try:
                world.check_always()
                settle_down(world, late=late)
                world.check_healed()
                assert states_of_its_own(world) == wanted
                assert not world.batches("UNKNOWN")
            except BaseException as error:
                error.add_note(f"{name} at point {number}, {point}" + (", late" if late else ""))
                raise


@pytest.mark.parametrize("scene", SCENES)
def test_after_faults_one_upon_the_other_the_next_run_makes_it_right(new_world, scene):
    """A seeded sample of pairs and triples; `SOAK` says how many."""
    chance = random.Random(scene)
    play = SCENES[scene].play
    length = len(points_of(play(new_world, picks=False)))
    for _ in range(int(os.environ.get("SOAK", "25"))):
        picks = chance.random() < 0.3
        world, told = play(new_world, picks=picks), []
        for _ in range(chance.choice((2, 2, 3))):
            script = SomeFault(world, chance.randrange(length), chance)
            world.survive(script)
            told.append(script.told)
            world.check_always()
            if world.table.in_flight and chance.random() < 0.5:
                world.table.deliver()
        try:
            settle_down(world, late=chance.random() < 0.5)
            world.check_healed()
            assert not world.batches("UNKNOWN")
        except BaseException as error:
            error.add_note(", then ".join(told))
            raise
