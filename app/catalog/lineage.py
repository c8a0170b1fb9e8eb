"""Main's history as the metadata still knows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Snapshot

from app.values import Lineage, SnapshotInfo

STAGED = "wap.id"
SOURCE = "source-snapshot-id"
_OURS = "autoloader."


def lineage_of(metadata: TableMetadata) -> Lineage:
    """Main's ancestors, newest first.

    `complete` only when it is certain that main never had anything older; see `_nothing_is_hidden`.
    """
    known = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    chain = list(_chain(metadata.current_snapshot_id, known))
    end = chain[-1].parent_snapshot_id if chain else metadata.current_snapshot_id
    complete = end is None and _nothing_is_hidden(chain, metadata)
    outside = frozenset(known).difference(snapshot.snapshot_id for snapshot in chain)
    ancestors = tuple(_with_source(snapshot_info(snapshot), known) for snapshot in chain)
    return Lineage(metadata.table_uuid, ancestors, complete, outside)


def staged_beside(metadata: TableMetadata) -> frozenset[int]:
    """The ids of snapshots that were staged, and are neither of main's history nor named by a branch or a tag."""
    known = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    seen = {snapshot.snapshot_id for snapshot in _chain(metadata.current_snapshot_id, known)}
    seen |= {ref.snapshot_id for ref in metadata.refs.values()}
    return frozenset(one for one, snapshot in known.items() if one not in seen and _is_staged(snapshot))


def _is_staged(snapshot: Snapshot) -> bool:
    return snapshot.summary is not None and STAGED in snapshot.summary.additional_properties


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


def _with_source(published: SnapshotInfo, known: Mapping[int, Snapshot]) -> SnapshotInfo:
    """`published`, with what the staged snapshot said of us: a cherry-pick onto a moved main copies its files alone."""
    text = published.summary.get(SOURCE, "")
    source = known.get(int(text)) if text.isdigit() else None
    if source is None:
        return published
    ours = {key: value for key, value in snapshot_info(source).summary.items() if key.startswith(_OURS)}
    return replace(published, summary={**ours, **published.summary})


def _nothing_is_hidden(chain: Sequence[Snapshot], metadata: TableMetadata) -> bool:
    """Whether the chain, which ends at a snapshot without parent or is empty, is all that main ever was.

    Some programs (the library used here among them) take the parent's id out of a snapshot when they expire
    the parent, and whoever replaces a table leaves main empty: both look like a history that is whole. Sequence
    numbers tell: they count the snapshots that were ever added, so each number below the oldest one's must belong
    to a snapshot that is known and never was main's. Tables of format 1 have no such numbers; their history is
    never certain once there is one.
    """
    if metadata.format_version == 1:
        return not metadata.snapshots
    first = chain[-1].sequence_number if chain else metadata.last_sequence_number + 1
    if not first:
        return False
    beside = _beside_main(metadata)
    return all(number in beside for number in range(1, first))


def _beside_main(metadata: TableMetadata) -> set[int | None]:
    """Sequence numbers of the snapshots that were staged for an audit, or that another branch has."""
    known = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    numbers = {s.sequence_number for s in known.values() if s.summary and STAGED in s.summary.additional_properties}
    for name, ref in metadata.refs.items():
        if name != MAIN_BRANCH and ref.snapshot_ref_type is SnapshotRefType.BRANCH:
            numbers |= {snapshot.sequence_number for snapshot in _chain(ref.snapshot_id, known)}
    return numbers


def _chain(current: int | None, known: Mapping[int, Snapshot]) -> Iterator[Snapshot]:
    while current is not None and current in known:
        yield known[current]
        current = known[current].parent_snapshot_id
