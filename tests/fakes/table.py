"""An Iceberg table as far as the protocol sees one: snapshots with parents, and a compare-and-swap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

from app.datatypes import TableSchema
from app.errors import CommitConflict, TableNotFound
from app.ingest.landing import BATCH_ID, carries
from app.values import Lineage, SnapshotInfo, TableState

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(slots=True)
class FakeClock:
    """Each look at it is a second later: times are different and in order."""

    seconds: int = 0

    def now(self) -> datetime:
        self.seconds += 1
        return BEGIN + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Look:
    """The table as it was when it was read."""

    state: TableState
    lineage: Lineage
    schema_version: int


@dataclass(slots=True)
class FakeTable:
    """`rows` of a snapshot: how many times each file is in the table as of it (file id → times).

    `objects` lie beside the table and outlast it. `in_flight` are commits that were sent and whose sender is not
    waiting any more: `deliver` lets one of them arrive.
    """

    name: str
    clock: FakeClock
    uuid: UUID | None = None
    head: int | None = None
    snapshots: dict[int, SnapshotInfo] = field(default_factory=dict)
    rows: dict[int, Counter[int]] = field(default_factory=dict)
    schema: TableSchema = field(default_factory=TableSchema)
    schema_version: int = 0
    objects: dict[str, str] = field(default_factory=dict)
    in_flight: list[Callable[[], object]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=lambda: count(1))

    # --- what a catalog does

    def create(self, schema: TableSchema) -> None:
        if self.uuid is None:
            self.uuid, self.head, self.schema = uuid4(), None, schema
            self.snapshots, self.rows = {}, {}

    def look(self) -> Look:
        if self.uuid is None:
            raise TableNotFound(f"There is no table {self.name}.")
        chain = list(self._chain())
        known = {snapshot.snapshot_id for snapshot in chain}
        lineage = Lineage(
            table_uuid=self.uuid,
            ancestors=tuple(chain),
            complete=chain[-1].snapshot_id == min(self.rows) if chain else not self.rows,
            outside=frozenset(self.snapshots) - known,
        )
        state = TableState(self.name, self.uuid, self.head, f"fake://{self.name}", self.schema)
        return Look(state, lineage, self.schema_version)

    def commit(self, seen: Look, loaded: Mapping[int, int], summary: Mapping[str, str]) -> SnapshotInfo:
        """Append, if the table is the very same and main has not moved since it was seen."""
        if self.uuid != seen.state.uuid or self.head != seen.state.head or self.schema_version != seen.schema_version:
            raise CommitConflict(f"{self.name} has moved.")
        return self._append(loaded, summary)

    def cherry_pick(self, seen: Look, loaded: Mapping[int, int], summary: Mapping[str, str]) -> SnapshotInfo:
        """Append to whatever main is now, unless the id was published: what Spark does with a staged snapshot."""
        if self.uuid != seen.state.uuid:
            raise CommitConflict(f"{self.name} is another table now.")
        batch_id = UUID(summary[BATCH_ID])
        if any(carries(snapshot.summary, batch_id) for snapshot in self._chain()):
            raise CommitConflict(f"{batch_id} was published.")
        return self._append(loaded, summary)

    def _append(self, loaded: Mapping[int, int], summary: Mapping[str, str]) -> SnapshotInfo:
        info = SnapshotInfo(next(self.numbers), self.head, self.clock.now(), dict(summary))
        self.snapshots[info.snapshot_id] = info
        self.rows[info.snapshot_id] = self.content() + Counter(loaded)
        self.head = info.snapshot_id
        return info

    def expire(self, protected: frozenset[int | None], before: datetime) -> int:
        """Our own upkeep; see app.ingest.ports.Engine."""
        doomed = []
        for snapshot in reversed(self.history()):
            if snapshot.snapshot_id in {*protected, self.head} or snapshot.committed_at >= before:
                break
            doomed.append(snapshot.snapshot_id)
        if not protected <= {snapshot.snapshot_id for snapshot in self.history()}:
            return 0
        self.forget(doomed)
        return len(doomed)

    # --- what foreign hands do

    def foreign_append(self) -> None:
        self._append({}, {"operation": "append"})

    def foreign_column(self) -> None:
        self.schema_version += 1

    def rollback(self, to: int | None) -> None:
        self.head = to

    def replace(self) -> None:
        """REPLACE TABLE: the same table, and nothing in it."""
        self.head = None

    def drop(self) -> None:
        self.uuid, self.head, self.snapshots, self.rows = None, None, {}, {}

    def forget(self, ids: Iterable[int]) -> None:
        """Expire snapshots: their rows stay in the table, their summaries are gone."""
        for one in ids:
            self.snapshots.pop(one)

    def deliver(self) -> None:
        """A commit that was on its way arrives, whether it is still welcome or not."""
        try:
            self.in_flight.pop(0)()
        except CommitConflict:
            return

    # --- what a reader sees

    def history(self) -> list[SnapshotInfo]:
        """Main's ancestors, newest first."""
        return list(self._chain())

    def content(self) -> Counter[int]:
        """How many times each file is in the table now."""
        return Counter() if self.head is None else Counter(self.rows[self.head])

    def _chain(self) -> Iterable[SnapshotInfo]:
        current = self.head
        while current is not None and current in self.snapshots:
            yield self.snapshots[current]
            current = self.snapshots[current].parent_id
