"""Snapshots that another engine staged for us: on the table, and not of main until they are published by their id."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from pyiceberg.table import Table as Loaded
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import RemoveSnapshotsUpdate

from app.catalog import added, commit
from app.catalog.faults import reading
from app.catalog.lineage import SOURCE, STAGED, lineage_of, snapshot_info
from app.catalog.seen import Held, Seen
from app.values import SnapshotInfo

_BATCH = "autoloader.batch-id"


def find(look: Seen, key: str, value: str) -> SnapshotInfo | None:
    """The snapshot whose summary has `value` under `key`, staged or published; None where there is none."""
    for snapshot in look.metadata.snapshots:
        info = snapshot_info(snapshot)
        if info.summary.get(key) == value:
            return info
    return None


def is_published(look: Seen, snapshot_id: int) -> bool:
    """Whether main has the snapshot itself, or its files by a cherry-pick."""
    return any(
        one.snapshot_id == snapshot_id or one.summary.get(SOURCE) == str(snapshot_id) for one in look.lineage.ancestors
    )


def drop(held: Held, snapshot_ids: Collection[int]) -> None:
    """Forget staged snapshots, and remove the files that they added. Those that were published stay.

    For who staged them and knows that nobody publishes them any more. Raises CommitConflict, CommitUnknown.
    """
    doomed = unpublished(held, snapshot_ids)
    if not doomed:
        return
    with reading(str(held.name)):
        paths = [str(file.file_path) for snapshot in doomed for file in added.data_files(held.loaded, snapshot)]
    _forget(held.loaded, [snapshot.snapshot_id for snapshot in doomed])
    held.objects.remove(paths)


def unpublished(look: Seen, snapshot_ids: Collection[int]) -> list[Snapshot]:
    """Those of the snapshots that the table has, and main does not."""
    known = {snapshot.snapshot_id: snapshot for snapshot in look.metadata.snapshots}
    return [known[one] for one in snapshot_ids if one in known and not is_published(look, one)]


def forget_old(held: Held, older_than: datetime, limit: int) -> int:
    """Forget at most `limit` staged snapshots of ours that nobody published and that are older than that.

    Their files stay: whether an expired snapshot of main had them, nobody can tell any more. Answers how many went.
    Raises CommitConflict.
    """
    old = left_behind(held, older_than)[:limit]
    if old:
        _forget(held.loaded, old)
    return len(old)


def left_behind(look: Seen, older_than: datetime) -> list[int]:
    """Ids of what was staged by us before that, and is not main's nor named by a branch or tag."""
    return list(_old(look.metadata, older_than.timestamp() * 1000))


def _old(metadata: TableMetadata, before: float) -> Iterator[int]:
    kept = {snapshot.snapshot_id for snapshot in lineage_of(metadata).ancestors}
    kept |= {ref.snapshot_id for ref in metadata.refs.values()}
    summaries = [snapshot_info(snapshot).summary for snapshot in metadata.snapshots]
    kept |= {int(summary[SOURCE]) for summary in summaries if summary.get(SOURCE, "").isdigit()}
    for snapshot, summary in zip(metadata.snapshots, summaries, strict=True):
        ours = STAGED in summary and _BATCH in summary
        if ours and snapshot.timestamp_ms < before and snapshot.snapshot_id not in kept:
            yield snapshot.snapshot_id


def _forget(seen: Loaded, snapshot_ids: list[int]) -> None:
    """One attempt, against exactly what was looked at: had one of them become main's head, it is refused."""
    with reading(".".join(seen.name())):
        transaction = commit.begin(seen)
        transaction._apply((RemoveSnapshotsUpdate(snapshot_ids=snapshot_ids),))  # noqa: SLF001  # as in `expire`
    commit.send(seen, transaction)
