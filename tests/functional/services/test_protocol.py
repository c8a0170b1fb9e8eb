"""Two processes on one ingestion in any order, with crashes, lost answers, foreign hands: hypothesis plays against us."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.database import upgrade
from app.errors import CatalogUnavailable, CommitConflict, CommitUnknown, DatabaseUnavailable, SourceUnavailable
from tests.fakes.engine import FakeFile, Killed, RequestLost
from tests.fakes.stepping import Actor, Order
from tests.fakes.world import WatchedDatabase, World

KINDS = {
    "plain": {},
    "rejects": {"rejected": 2},
    "poison": {"poison": True},
    "column": {"column": "x bigint"},
    "shaky": {"failing": 1},
    "broken": {"failing": 999, "reason": "truncated"},
}
WORKERS = st.integers(0, 1)
COMMITS = {"publish-commit", "spend-commit"}


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protocol")
    upgrade(f"sqlite:///{folder / 'template.db'}")
    Protocol.folder = folder
    yield
    WatchedDatabase(f"sqlite:///{folder / 'world.db'}").engine.dispose()


class Protocol(RuleBasedStateMachine):
    folder: Path = Path(tempfile.gettempdir())

    @initialize(picks=st.booleans(), paths=st.integers(2, 5), kinds=st.lists(st.sampled_from(sorted(KINDS))))
    def begin(self, picks: bool, paths: int, kinds: list[str]) -> None:
        path = self.folder / "world.db"
        WatchedDatabase(f"sqlite:///{path}").engine.dispose()
        for left in path.parent.glob("world.db*"):
            left.unlink()
        shutil.copy(self.folder / "template.db", path)
        self.world = World(f"sqlite:///{path}", picks=picks)
        self.actors: list[Actor | None] = [None, None]
        self.kills = 0
        self.history_lost = False  # by foreign hands
        for number in range(paths):
            self.world.source[f"/d/{number}"] = FakeFile(**KINDS[kinds[number] if number < len(kinds) else "plain"])
        self.world.list()

    # --- processes

    def alive(self, number: int) -> Actor | None:
        actor = self.actors[number]
        return actor if actor is not None and actor.alive else None

    @rule(number=WORKERS, steps=st.integers(1, 40))
    def go_on(self, number: int, steps: int) -> None:
        """Let a process go on; when there is none, start one: it takes the lease, and the other one may live on."""
        actor = self.alive(number)
        if actor is None:
            actor = self.actors[number] = Actor(self.world.run)
        for _ in range(steps):
            if actor.alive:
                actor.step()

    @rule(number=WORKERS, point=st.sampled_from(["publish-look", *sorted(COMMITS), "publish-committed", "tx-done"]))
    def go_on_to(self, number: int, point: str) -> None:
        actor = self.alive(number)
        while actor is not None and actor.alive:
            if actor.step() == point:
                break

    @rule(number=WORKERS)
    def kill(self, number: int) -> None:
        if actor := self.alive(number):
            actor.kill()
            self.kills += 1

    @rule(number=WORKERS, which=st.integers(0, 3))
    def fail(self, number: int, which: int) -> None:
        if actor := self.alive(number):
            orders = self.failures(str(actor.point))
            actor.step(orders[which % len(orders)])

    def failures(self, point: str) -> list[Order]:
        if point in COMMITS:
            return [
                raising(RequestLost(CommitUnknown("no answer"))),
                raising(RequestLost(Killed())),
                raising(CommitUnknown("no answer")),
                raising(CommitConflict("moved")),
            ]
        if point.endswith("-committed"):
            return [raising(CommitUnknown("no answer")), raising(Killed())]
        if point.startswith("tx"):
            return [raising(DatabaseUnavailable("gone"))]
        if point in {"write", "written"}:
            return [raising(SourceUnavailable("gone"))]
        return [raising(CatalogUnavailable("gone"))] if point != "start" else [lambda: None]

    # --- the network, and foreign hands

    @precondition(lambda self: self.world.table.in_flight)
    @rule()
    def arrive(self) -> None:
        self.world.table.deliver()

    @precondition(lambda self: self.world.table.uuid)
    @rule()
    def foreign_append(self) -> None:
        self.world.table.foreign_append()

    @precondition(lambda self: self.world.table.uuid)
    @rule()
    def foreign_column(self) -> None:
        self.world.table.foreign_column()

    @precondition(lambda self: self.world.table.head and not (self.world.picks and self.world.table.in_flight))
    @rule(keep=st.integers(1, 3))
    def foreign_expiry(self, keep: int) -> None:
        doomed = [snapshot.snapshot_id for snapshot in self.world.table.history()[keep:]]
        self.history_lost = self.history_lost or bool(doomed)
        self.world.table.forget(doomed)

    @precondition(lambda self: self.quiet_for_a_rollback())
    @rule(back=st.integers(1, 3))
    def rollback(self, back: int) -> None:
        """By hand, as the docs say: the workers are gone."""
        history = self.world.table.history()
        before = set(self.world.table.content())
        self.world.table.rollback(history[min(back, len(history) - 1)].snapshot_id)
        self.take_away(before)

    @precondition(lambda self: self.world.table.uuid and not any(self.alive(number) for number in (0, 1)))
    @rule()
    def recreate(self) -> None:
        before = set(self.world.table.content())
        self.world.table.drop()
        self.take_away(before)

    def quiet_for_a_rollback(self) -> bool:
        gone = not any(self.alive(number) for number in (0, 1)) and not self.world.table.in_flight
        return gone and len(self.world.table.history()) > 1

    def take_away(self, before: set[int]) -> None:
        self.history_lost = True
        self.world.removed |= before - set(self.world.table.content())

    # --- files

    @rule(number=st.integers(0, 5), kind=st.sampled_from(sorted(KINDS)))
    def deliver(self, number: int, kind: str) -> None:
        """A new file, or a new version of one."""
        path = f"/d/{number}"
        old = self.world.source.get(path)
        if old is None or old.rejected == KINDS[kind].get("rejected", 0):
            version = f"v{int(old.version[1:]) + 1}" if old else "v1"
            self.world.deliver(path, FakeFile(version=version, **KINDS[kind]))

    @rule(number=st.integers(0, 5))
    def becomes_poison(self, number: int) -> None:
        if file := self.world.source.get(f"/d/{number}"):
            file.poison = True

    # --- what must hold

    @invariant()
    def nothing_is_there_twice_and_nothing_loaded_is_missing(self) -> None:
        if hasattr(self, "world"):
            self.world.check_always()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
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


def raising(error: BaseException) -> Order:
    def order() -> None:
        raise error

    return order


class TestProtocol(Protocol.TestCase):
    settings = settings(
        max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )


@pytest.mark.soak
class TestProtocolForLong(Protocol.TestCase):
    settings = settings(
        max_examples=int(os.environ.get("SOAK", "3000")),
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
