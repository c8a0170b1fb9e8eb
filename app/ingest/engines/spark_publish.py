"""Publishing what Spark staged: look, and only then cherry-pick our own snapshot (protocol, point 5).

Iceberg refuses a snapshot whose `wap.id` an ancestor of main carries, in every attempt of its own. Whatever the cluster
answers, or not: only the table says where the batch is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app import failpoints
from app.catalog.names import TableName
from app.catalog.schema import field_types
from app.catalog.seen import Seen
from app.errors import AutoloaderError, CommitConflict, CommitUnknown, TableChanged
from app.ingest.engines.cluster_sql import argument
from app.ingest.engines.engine_table import EngineTable
from app.ingest.engines.publishing import look_again, until_answered
from app.ingest.landing import decide
from app.spark import Session, identifier
from app.values import Batch, Landing, LandingKind, RejectFile, SnapshotInfo


@dataclass(slots=True)
class SparkStaged:
    """What a write attempt left: a staged snapshot, and what it relied on when it was staged.

    `sent` once its publishing is under way: whatever the answer, its files may be the table's from then on.
    """

    snapshot: SnapshotInfo
    field_types: Mapping[int, str]
    spec_id: int
    reject_file: RejectFile | None = None
    sent: bool = field(default=False)

    @classmethod
    def of(cls, snapshot: SnapshotInfo, look: Seen, reject_file: RejectFile | None) -> SparkStaged:
        types = field_types(look.state.schema)
        return cls(snapshot, types, look.spec_id, reject_file)

    def require_same(self, look: Seen) -> None:
        """Raises TableChanged when a column that was written has gone or has another type: stage again."""
        now = field_types(look.state.schema)
        changed = sorted(one for one, kind in self.field_types.items() if now.get(one) != kind)
        if changed:
            shown = ", ".join(f"{one} ({self.field_types[one]}, now {now.get(one, 'gone')})" for one in changed[:5])
            raise TableChanged(
                f"Columns of {look.name} were changed while rows for it were staged: field {shown}.",
                hint="The batch is written again.",
            )


@dataclass(frozen=True, slots=True)
class NothingStaged:
    """What a write attempt left that only told new columns: there is nothing to publish, and nothing to take away.

    `clean`: most records were seen to be so.
    """

    clean: bool


def publish(
    session: Callable[[], Session], table: EngineTable, batch: Batch, written: SparkStaged, attempts: int
) -> Landing:
    """Land the batch with this snapshot, or learn where it is. LANDED may be another attempt's.

    Raises TableChanged when it must be staged again, CommitConflict when the table stayed too busy, CommitUnknown when
    an answer was lost and the table does not show the batch.
    """

    def once(look: Seen) -> SnapshotInfo:
        written.require_same(look)
        opened = session()
        failpoints.hit("before-commit")
        written.sent = True
        cherry_pick(opened, table.name, written.snapshot.snapshot_id)
        failpoints.hit("commit-landed")
        return written.snapshot

    landing = until_answered(table, batch, attempts, once)
    if isinstance(landing, Landing):
        return landing
    found = decide(look_again(table, attempts).lineage, batch)
    if found.kind is LandingKind.NOT_LANDED:
        raise CommitUnknown(
            f"The cluster published batch {batch.id}, and {table.name} does not show it.",
            hint="The next run looks before it writes.",
        )
    return found


def cherry_pick(session: Session, name: TableName, snapshot_id: int) -> None:
    """Raises CommitConflict where Iceberg refused it, CommitUnknown for all else that is not a success."""
    call = f"CALL {identifier(name.catalog)}.system.cherrypick_snapshot({argument(name)}, {snapshot_id})"
    try:
        session.rows(call, str(name))
    except CommitConflict:
        raise
    except AutoloaderError as error:
        raise CommitUnknown(
            f"The answer to a publishing on {name} was lost: {error.message}",
            hint="Only the table knows whether it landed; the next run looks.",
        ) from error
