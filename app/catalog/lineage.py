"""Main's history as the metadata still knows it."""

from __future__ import annotations

from datetime import UTC, datetime

from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

from app.values import Lineage, SnapshotInfo


def lineage_of(metadata: TableMetadata) -> Lineage:
    """Main's ancestors, newest first.

    `complete` only when it is certain that nothing older was ever removed; see `_starts_history`.
    """
    known = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    chain: list[Snapshot] = []
    current = metadata.current_snapshot_id
    while current is not None and current in known:
        chain.append(known[current])
        current = known[current].parent_snapshot_id
    complete = current is None and (not chain or _starts_history(chain[-1], metadata))
    outside = frozenset(known).difference(snapshot.snapshot_id for snapshot in chain)
    return Lineage(metadata.table_uuid, tuple(snapshot_info(snapshot) for snapshot in chain), complete, outside)


def snapshot_info(snapshot: Snapshot) -> SnapshotInfo:
    summary: dict[str, str] = {}
    if snapshot.summary is not None:
        summary = {"operation": snapshot.summary.operation.value, **snapshot.summary.additional_properties}
    return SnapshotInfo(
        snapshot_id=snapshot.snapshot_id,
        parent_id=snapshot.parent_snapshot_id,
        committed_at=datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
        summary=summary,
    )


def _starts_history(oldest: Snapshot, metadata: TableMetadata) -> bool:
    """Whether a snapshot without parent is the table's first, not one whose parents were expired.

    Some programs (the library used here among them) take the parent's id out of a snapshot when they expire
    the parent, so that the rest looks like a whole history. Sequence numbers tell: they count the snapshots
    that were ever added, so each number below the oldest one's must belong to a snapshot still known. Tables
    of format 1 have no such numbers; their history is never certain.
    """
    first = oldest.sequence_number
    if metadata.format_version == 1 or not first:
        return False
    numbers = {snapshot.sequence_number for snapshot in metadata.snapshots}
    return all(number in numbers for number in range(1, first))
