"""Old snapshots of main are forgotten, but never one that an unfinished batch may need (protocol, point 11)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from pyiceberg.table import Table as Loaded
from pyiceberg.table import TableProperties
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import RemoveSnapshotsUpdate

from app.catalog import commit
from app.catalog.faults import reading


def expire(seen: Loaded, protected: Collection[int | None], older_than: datetime, limit: int) -> int:
    """Forget at most `limit` of main's oldest snapshots that were committed before `older_than`.

    `protected` are the bases of batches that may still be looked for; None is the base of a batch that began on
    an empty table. Such a base, and everything after it, stays; a base that main does not show means that we do
    not know what is needed, and nothing is forgotten. Snapshots that a branch or tag names stay, and so does
    main's head. Data files are not touched. Raises CommitConflict when somebody committed at the same moment.
    """
    doomed = expirable(seen.metadata, protected, older_than)[:limit]
    if not doomed:
        return 0
    with reading(".".join(seen.name())):
        transaction = commit.begin(seen)
        transaction._apply((RemoveSnapshotsUpdate(snapshot_ids=doomed),))  # noqa: SLF001  # the public way commits
    commit.send(seen, transaction)
    return len(doomed)


def expirable(metadata: TableMetadata, protected: Collection[int | None], older_than: datetime) -> list[int]:
    """Ids of main's snapshots that may go, the oldest first. See `expire`."""
    chain = list(_main(metadata))
    known = {snapshot.snapshot_id for snapshot in chain}
    if not set(protected) <= known:  # None among them, or a base that is not on main
        return []
    last = next((place for place in range(len(chain) - 1, -1, -1) if chain[place].snapshot_id in protected), 0)
    keep = max(last + 1, _min_to_keep(metadata.properties))
    named = {ref.snapshot_id for ref in metadata.refs.values()}
    before = older_than.timestamp() * 1000
    return [
        snapshot.snapshot_id
        for snapshot in reversed(chain[keep:])
        if snapshot.timestamp_ms < before and snapshot.snapshot_id not in named
    ]


def _main(metadata: TableMetadata) -> Iterator[Snapshot]:
    """Main's snapshots, newest first."""
    known = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    current = metadata.current_snapshot_id
    while current is not None and current in known:
        yield known[current]
        current = known[current].parent_snapshot_id


def _min_to_keep(properties: Mapping[str, str]) -> int:
    text = properties.get(TableProperties.MIN_SNAPSHOTS_TO_KEEP, "")
    return max(1, int(text)) if text.isdigit() else 1


def retention_warning(name: str, properties: Mapping[str, str], needed: timedelta) -> str:
    """A sentence when the table's own retention lets others forget a batch that is still at work; else empty."""
    text = properties.get(TableProperties.MAX_SNAPSHOT_AGE_MS, "")
    if not text.isdigit() or (allowed := timedelta(milliseconds=int(text))) >= needed:
        return ""
    return (
        f"Table {name} lets maintenance remove snapshots older than {allowed}"
        f" ({TableProperties.MAX_SNAPSHOT_AGE_MS}={text}); a load that is interrupted for longer cannot tell whether"
        f" it landed. Set it to at least {needed // timedelta(milliseconds=1)} ({needed})."
    )
