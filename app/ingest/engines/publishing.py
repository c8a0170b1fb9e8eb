"""What each engine's publishing is made of: look, and only then commit, inside every attempt (protocol, points 5 to 7).

Each attempt reads the table fresh, lets `landing.decide` say where the batch is, and commits against exactly that
reading. A conflict or a lost answer says nothing about the batch: the next look does. A commit that is still on its
way cannot land beside a later one, because both demand the same head of main.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from app import failpoints
from app.catalog.names import TableName
from app.catalog.seen import Seen
from app.errors import (
    CatalogRefused,
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    SparkRefused,
    SparkSessionLost,
    SparkUnavailable,
)
from app.ingest.engines.engine_table import EngineTable
from app.ingest.landing import BEGUN, OUTCOME, SPENT, decide, ids_of
from app.values import Batch, Landing, LandingKind, TableState

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_SILENCE = (CatalogUnavailable, CatalogRefused, SparkUnavailable, SparkRefused, SparkSessionLost)

AnySeen_co = TypeVar("AnySeen_co", bound=Seen, covariant=True)
Made = TypeVar("Made")


class Looked(Protocol[AnySeen_co]):
    """A table that can be looked at."""

    @property
    def name(self) -> TableName: ...

    def look(self) -> AnySeen_co: ...


def begin(table: EngineTable, attempts: int, *, always: bool = False) -> TableState:
    """The table, with an empty snapshot to count from where main is empty and its history is not certain.

    `always`: also where it is certain. Snapshots that are staged and thrown away again would make it uncertain.
    """
    lost: CommitConflict | CommitUnknown | None = None
    for attempt in range(attempts + 1):
        look = table.look()
        if look.lineage.ancestors or (look.lineage.complete and not always):
            return look.state
        try:
            look.append_nothing({OUTCOME: BEGUN})
        except (CommitConflict, CommitUnknown) as error:  # the next look tells; one more of them does no harm
            lost = error
            pause(attempt)
    raise lost or CommitConflict(f"{table.name} took an empty snapshot, and does not show it.", hint="Run again.")


def spend(table: EngineTable, batch: Batch, attempts: int) -> Landing:
    """Take the batch's id with an empty snapshot unless it is taken or cannot be judged; then look: that decides."""

    def once(look: Seen) -> None:
        failpoints.hit("spending")
        look.append_nothing({**ids_of(batch), OUTCOME: SPENT})

    landing = until_answered(table, batch, attempts, once)
    if isinstance(landing, Landing):
        return landing
    return decide(look_again(table, attempts).lineage, batch)


def until_answered(
    table: Looked[AnySeen_co], batch: Batch, attempts: int, once: Callable[[AnySeen_co], Made]
) -> Landing | tuple[Made, AnySeen_co]:
    """Look and try `once`, again and again; the table's answer, or what `once` made and what it was put upon.

    After a refusal the next try comes at once, each second time: somebody has just committed, and if it is one writer
    that never rests, there is no better moment until its next commit. The pauses in between are for a crowd.
    """
    refused: CommitConflict | CommitUnknown | None = None
    lost: CommitUnknown | None = None
    for attempt in range(attempts):
        look = look_again(table, attempts) if lost else table.look()
        landing = decide(look.lineage, batch)
        if landing.kind is not LandingKind.NOT_LANDED:
            return landing
        try:
            return once(look), look
        except CommitConflict as error:
            refused = error
            if attempt % 2:
                pause(attempt // 2)
        except CommitUnknown as error:
            refused = lost = error
            pause(attempt)
    landing = decide(look_again(table, attempts).lineage, batch)
    if landing.kind is not LandingKind.NOT_LANDED:
        return landing
    raise (
        lost
        or refused
        or CommitConflict(
            f"No attempt to commit to {table.name} was allowed.", hint="Set COMMIT_ATTEMPTS to 1 or more."
        )
    )


def look_again(table: Looked[AnySeen_co], attempts: int) -> AnySeen_co:
    """Look after a commit was sent. Raises CommitUnknown when the table cannot be asked."""
    for attempt in range(attempts):
        try:
            return table.look()
        except _SILENCE as error:  # a token may expire while a commit is under way
            silent = error
            pause(attempt)
    raise CommitUnknown(
        f"A commit to {table.name} was sent, and the table does not answer whether it landed: {silent.message}",
        hint="The next run looks before it writes.",
    ) from silent


def pause(attempt: int) -> None:
    """Longer each time, and never the same for two writers."""
    time.sleep(min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.0))  # noqa: S311
