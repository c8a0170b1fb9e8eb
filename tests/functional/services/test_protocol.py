"""Two processes on one ingestion in any order, with crashes, lost answers, foreign hands: hypothesis against us."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.database import upgrade
from app.errors import CatalogUnavailable, CommitConflict, CommitUnknown, DatabaseUnavailable, SourceUnavailable
from tests.fakes.engine import FakeFile, Killed, RequestLost
from tests.fakes.stepping import Actor, Order
from tests.fakes.world import WatchedDatabase, World

KINDS = {
    "plain": {},
    "rejects": {"rejected": 2},
    "poison": {"poison": True},
    "fails its job": {"fails_job": True},
    "column": {"column": "x bigint"},
    "shaky": {"failing": 1},
    "broken": {"failing": 999, "reason": "truncated"},
}
COMMITS = {"publish-commit", "spend-commit"}


def moves() -> list[tuple]:
    """What can happen, each as often as it shall be drawn."""
    go_on: list[tuple] = []
    for number in (0, 1):
        go_on += 4 * [("go_on", number, "end", "stand")]
        for stop, often in (("publish-commit", 4), ("spend-commit", 2), ("committed", 1), ("tx-done", 1)):
            thens = [*(3 * ["stand"]), "die", "fail", *(["send", "send and die"] if stop in COMMITS else [])]
            go_on += often * [("go_on", number, stop, then) for then in thens]
    files: list[tuple] = [("deliver", kind) for kind in [*(3 * ["plain"]), *KINDS]]
    files += [("change", number, what) for number in range(3) for what in ("poison", "poison", "new version")]
    foreign = [*(3 * [("foreign", "append", 1)]), ("foreign", "column", 1), ("foreign", "recreate", 1)]
    foreign += [("foreign", what, much) for what in ("expire", "rollback") for much in (1, 2)]
    return [*go_on, *files, *foreign, *(10 * [("arrive",)]), ("change", 0, "gone")]


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protocol")
    upgrade(f"sqlite:///{folder / 'template.db'}")
    Protocol.folder = folder
    yield
    WatchedDatabase(f"sqlite:///{folder / 'world.db'}").engine.dispose()


class Protocol(RuleBasedStateMachine):
    folder: Path = Path(tempfile.gettempdir())

    @initialize(
        picks=st.booleans(), kinds=st.lists(st.sampled_from(["plain", "plain", *KINDS]), min_size=2, max_size=3)
    )
    def begin(self, picks: bool, kinds: list[str]) -> None:
        # An example must play out again as it did: ids decide which of two batches comes first.
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(os, "urandom", random.Random(1).randbytes)
        path = self.folder / "world.db"
        WatchedDatabase(f"sqlite:///{path}").engine.dispose()
        for left in path.parent.glob("world.db*"):
            left.unlink()
        shutil.copy(self.folder / "template.db", path)
        self.world = World(f"sqlite:///{path}", picks=picks, config={"engine": "lakehouse"} if picks else None)
        self.actors: list[Actor | None] = [None, None]
        self.history_lost = False  # by foreign hands
        self.new = 0
        for kind in kinds:
            self.deliver(kind)

    # --- processes

    def alive(self, number: int) -> Actor | None:
        actor = self.actors[number]
        return actor if actor is not None and actor.alive else None

    @rule(move=st.sampled_from(moves()))
    def play(self, move: tuple) -> None:
        """One rule for all: hypothesis leaves out rules for a whole example, and without processes nothing happens."""
        name, *rest = move
        getattr(self, name)(*rest)

    def go_on(self, number: int, stop: str, then: str) -> None:
        """Let a process go on to a point; when there is none, start one: it takes the lease, the other may live on."""
        actor = self.alive(number)
        if actor is None:
            if not {"DISCOVERED", "PROCESSING", "FAILED"} & set(self.world.counts()):
                self.deliver("plain")
            actor = self.actors[number] = Actor(self.world.run)
        while actor.alive and not (actor.step() or "").endswith(stop):
            pass
        if actor.alive and then != "stand":
            self.meet(actor, then)

    def meet(self, actor: Actor, what: str) -> None:
        point = str(actor.point)
        if what == "fail":
            actor.step(raising(failure_at(point)))
        elif what == "send" and point in COMMITS:
            actor.step(raising(RequestLost(CommitUnknown("no answer"))))
        elif what == "send and die" and point in COMMITS:
            actor.step(raising(RequestLost(Killed())))
            actor.kill()
        else:
            actor.kill()

    # --- the network, and foreign hands

    def arrive(self) -> None:
        if self.world.table.in_flight:
            self.world.table.deliver()

    def foreign(self, what: str, much: int) -> None:
        table = self.world.table
        if table.uuid is None:
            return
        if what == "append":
            table.foreign_append()
        elif what == "column":
            table.foreign_column()
        elif what == "expire" and not (self.world.picks and table.in_flight):
            doomed = [snapshot.snapshot_id for snapshot in table.history()[much:]]
            self.history_lost = self.history_lost or bool(doomed)
            table.forget(doomed)
        elif what == "rollback" and self.all_gone() and not table.in_flight and len(table.history()) > much:
            self.take_away(lambda: table.rollback(table.history()[much].snapshot_id))
        elif what == "recreate" and self.all_gone():
            self.take_away(table.drop)

    def all_gone(self) -> bool:
        """By hand, as the docs say: the workers are stopped."""
        return not any(self.alive(number) for number in (0, 1))

    def take_away(self, action: Callable[[], None]) -> None:
        before = set(self.world.table.content())
        action()
        self.history_lost = True
        self.world.removed |= before - set(self.world.table.content())

    # --- files

    def change(self, number: int, what: str) -> None:
        path = sorted(self.world.source)[-1 - number % len(self.world.source)]  # one of the newest
        file = self.world.source[path]
        if what == "poison":
            file.poison = True
        elif what == "new version":
            self.world.deliver(path, FakeFile(version=f"v{int(file.version[1:]) + 1}", rejected=file.rejected))
        elif len(self.world.source) > 1:
            self.world.gone[path] = self.world.source.pop(path)

    def deliver(self, kind: str) -> None:
        self.new += 1
        if kind == "fails its job" and not self.world.picks:  # no other engine has jobs that fail
            kind = "poison"
        self.world.deliver(f"/d/{self.new}", FakeFile(**KINDS[kind]))

    # --- what must hold

    @invariant()
    def nothing_is_there_twice_and_nothing_loaded_is_missing(self) -> None:
        if hasattr(self, "world"):
            self.world.check_always()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.end()
        finally:
            self.patches.undo()

    def end(self) -> None:
        world = self.world
        for number in (0, 1):
            if actor := self.alive(number):
                actor.kill()
        world.heal()
        world.check_always()
        while world.table.in_flight:
            world.table.deliver()
        world.check_always()
        world.heal()
        if not self.history_lost:
            assert not world.batches("UNKNOWN"), "nobody touched the table's history"
        self.decide()
        world.check_healed()

    def decide(self) -> None:
        """A person resolves what is UNKNOWN, each time with the evidence in hand."""
        for _ in range(20):
            for batch_id in self.world.batches("UNKNOWN"):
                assert self.world.batch(batch_id)["error"], "no evidence"
            if not self.world.resolve():
                return
            self.world.heal()
        raise AssertionError("The ingestion stays blocked.")


def failure_at(point: str) -> BaseException:
    if point in COMMITS:
        return CommitConflict("moved")
    if point.endswith("-committed"):
        return CommitUnknown("no answer")
    if point.startswith("tx"):
        return DatabaseUnavailable("gone")
    if point in {"write", "written"}:
        return SourceUnavailable("gone")
    return CatalogUnavailable("gone")


def raising(error: BaseException) -> Order:
    def order() -> None:
        raise error

    return order


@pytest.mark.timeout(1200)  # a failure is shrunk before it is told
class TestProtocol(Protocol.TestCase):  # type: ignore[misc,valid-type] # made by the library at run time
    settings = settings(
        max_examples=50,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,  # new orders are looked for by the soak, not by whoever changes something else
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.soak
class TestProtocolForLong(Protocol.TestCase):  # type: ignore[misc,valid-type] # as above
    settings = settings(
        max_examples=int(os.environ.get("SOAK", "3000")),
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
