"""How a commit goes on against a table that others change all the time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from app.catalog.names import TableName
from app.errors import CommitConflict
from app.ingest.engines.publishing import until_answered
from app.values import Batch, BatchState, Landing, Lineage

TABLE = uuid4()
BATCH = Batch(uuid4(), uuid4(), uuid4(), BatchState.CLAIMED, 1, 1)
WINDOW = 0.05  # seconds from our look to the catalog's answer


@dataclass
class Clock:
    """Time that passes only when somebody works or pauses, and a writer that commits every `period` of it."""

    period: float
    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def commits(self) -> int:
        return int(self.now / self.period)


@dataclass
class Seen:
    commits: int
    lineage: Lineage = field(default_factory=lambda: Lineage(TABLE, (), complete=True))


@dataclass
class Table:
    clock: Clock
    name: TableName = field(default_factory=lambda: TableName("local", "demo", "rows"))

    def look(self) -> Seen:
        return Seen(self.clock.commits)

    def commit(self, look: Seen) -> str:
        self.clock.sleep(WINDOW)
        if self.clock.commits != look.commits:
            message = "Somebody was faster."
            raise CommitConflict(message)
        return "committed"


def tried(table: Table, attempts: int) -> object:
    answer = until_answered(table, BATCH, attempts, table.commit)  # type: ignore[type-var]  # as much of one as it asks
    assert not isinstance(answer, Landing)
    return answer[0]


@pytest.mark.parametrize("seed", range(50))
def test_a_writer_that_never_rests_leaves_a_place_for_us_when_its_commits_are_two_of_ours_apart(monkeypatch, seed):
    draw = random.Random(seed)
    clock = Clock(period=draw.uniform(2.1, 3) * WINDOW, now=draw.uniform(0, 1))
    monkeypatch.setattr("app.ingest.engines.publishing.time.sleep", clock.sleep)
    table = Table(clock)
    assert tried(table, 2) == "committed"


def test_a_table_that_is_never_free_ends_in_the_conflict_after_as_many_tries_as_allowed(monkeypatch):
    clock = Clock(period=WINDOW / 2)
    monkeypatch.setattr("app.ingest.engines.publishing.time.sleep", clock.sleep)
    table = Table(clock)
    with pytest.raises(CommitConflict, match="Somebody was faster"):
        tried(table, 6)
    assert clock.now >= 6 * WINDOW
