"""Publishing by the embedded engine: look, and only then commit, inside every attempt (protocol, points 5 to 7).

Each attempt reads the table fresh, lets `landing.decide` say where the batch is, and commits against exactly that
reading. A conflict or a lost answer says nothing about the batch: the next look does. A commit that is still on its
way cannot land beside a later one, because both demand the same head of main.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pyiceberg.manifest import DataFile

from app import failpoints
from app.catalog import rejects
from app.catalog.names import TableName
from app.catalog.objects import Objects
from app.catalog.schema import field_types
from app.catalog.seen import Seen
from app.catalog.table import Look, Table
from app.errors import (
    CatalogRefused,
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    SparkRefused,
    SparkSessionLost,
    SparkUnavailable,
    TableChanged,
)
from app.ingest.engines.engine_table import EngineTable
from app.ingest.landing import BEGUN, OUTCOME, SPENT, decide, ids_of, reject_properties, rejects_landed
from app.values import Batch, Landing, LandingKind, RejectFile, SnapshotInfo, TableState

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


@dataclass(slots=True)
class Staged:
    """What a write attempt left at the table's location, and what it relied on when it wrote.

    `sent` once a commit with these files is under way: whatever its answer, they may be the table's from then on.
    """

    files: tuple[DataFile, ...]
    field_types: Mapping[int, str]
    spec_id: int
    objects: Objects
    reject_file: RejectFile | None = None
    sent: bool = False

    def remove(self) -> None:
        """Take the files away again, unless they were sent."""
        if not self.sent:
            self.objects.remove(self.paths)

    @property
    def paths(self) -> tuple[str, ...]:
        data = tuple(str(file.file_path) for file in self.files)
        return (*data, self.reject_file.path) if self.reject_file else data

    def require_same(self, look: Look) -> None:
        """Raises TableChanged when a column that was written has gone or has another type, or the partition changed:
        the files must be written again.
        """
        now = field_types(look.state.schema)
        changed = [field_id for field_id, kind in self.field_types.items() if now.get(field_id) != kind]
        if changed:
            shown = ", ".join(f"{i} ({self.field_types[i]}, now {now.get(i, 'gone')})" for i in sorted(changed)[:5])
            raise TableChanged(
                f"Columns of {look.name} were changed while files for it were written: field {shown}.",
                hint="The batch is written again.",
            )
        if look.loaded.metadata.default_spec_id != self.spec_id:
            raise TableChanged(
                f"The partition of {look.name} was changed while files for it were written.",
                hint="The batch is written again.",
            )


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


def publish(table: Table, batch: Batch, staged: Staged, properties: Mapping[str, str], attempts: int) -> Landing:
    """Land the batch with these files, or learn where it is. LANDED may be another attempt's.

    Raises TableChanged when the files must be written again, CommitConflict when the table stayed too busy,
    CommitUnknown when an answer was lost and the table cannot be asked, or does not show the batch.
    """
    summary = {**properties, **ids_of(batch), **(reject_properties(staged.reject_file) if staged.reject_file else {})}

    def once(look: Look) -> SnapshotInfo:
        staged.require_same(look)
        failpoints.hit("before-commit")
        staged.sent = True
        snapshot = look.append(staged.files, summary)
        failpoints.hit("commit-landed")
        return snapshot

    landing = until_answered(table, batch, attempts, once)
    if isinstance(landing, Landing):
        return landing
    snapshot, look = landing
    return Landing(
        LandingKind.LANDED, look.state.uuid, snapshot.snapshot_id, snapshot, f"Snapshot {snapshot.snapshot_id} is ours."
    )


def spend(table: EngineTable, batch: Batch, attempts: int) -> Landing:
    """Take the batch's id with an empty snapshot unless it is taken or cannot be judged; then look: that decides."""

    def once(look: Seen) -> None:
        failpoints.hit("spending")
        look.append_nothing({**ids_of(batch), OUTCOME: SPENT})

    landing = until_answered(table, batch, attempts, once)
    if isinstance(landing, Landing):
        return landing
    return decide(look_again(table, attempts).lineage, batch)


def publish_rejects(table: Table, batch: Batch, file: RejectFile, attempts: int) -> None:
    """Append the reject file to the reject table unless the batch's rejects are there. May be repeated.

    Raises FileMissing when the file is gone, LandingIncomplete when it is broken, CommitConflict, CommitUnknown.
    """
    lost: CommitConflict | CommitUnknown | None = None
    for attempt in range(attempts):
        look = rejects.ensure(table.catalog, table.name)
        if _rejects_are_in(look, batch, file):
            return
        try:
            rejects.append(look, file.path, ids_of(batch))
        except (CommitConflict, CommitUnknown) as error:
            lost = error
            pause(attempt)
        else:
            return
    if not _rejects_are_in(rejects.ensure(table.catalog, table.name), batch, file) and lost:
        raise lost


def _rejects_are_in(look: Look, batch: Batch, file: RejectFile) -> bool:
    """By the table's history; where that cannot tell, by its rows, which takes a scan."""
    landed = rejects_landed(look.lineage, batch, file)
    return rejects.has_rows_of(look, batch) if landed is None else landed


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
