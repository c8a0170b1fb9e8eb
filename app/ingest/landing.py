"""Where is this batch? The table's history decides, and nothing else (protocol, points 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from app.values import Batch, Landing, LandingKind, Lineage, RejectFile, SnapshotInfo

# What a snapshot's summary says of us; every engine writes and reads these same names.
BATCH_ID = "autoloader.batch-id"
WAP_ID = "wap.id"
PUBLISHED_WAP_ID = "published-wap-id"
OUTCOME = "autoloader.outcome"
SPENT = "spent"
BEGUN = "begun"  # an empty snapshot for claims to count from
RUN_ID = "autoloader.run-id"
INGESTION_ID = "autoloader.ingestion-id"
ATTEMPT = "autoloader.attempt"
RECEIPT = "autoloader.receipt"
REJECT_FILE = "autoloader.reject-file"
REJECT_TABLE = "autoloader.reject-table"  # its UUID, and its head below, before the reject file was written
REJECT_BASE = "autoloader.reject-base"
_IDS = (BATCH_ID, WAP_ID, PUBLISHED_WAP_ID)
_THINNED = (
    "main's history does not reach back to the table's first snapshot any more:"
    " snapshots were expired or the table was replaced, the batch's may be among what went."
)


def ids_of(batch: Batch) -> dict[str, str]:
    """Whose snapshot it is, under both ids: a publish of the same batch by another engine is refused, too."""
    return {BATCH_ID: str(batch.id), PUBLISHED_WAP_ID: str(batch.id), INGESTION_ID: str(batch.ingestion_id)}


def carries(summary: Mapping[str, str], batch_id: UUID) -> bool:
    """Whether a snapshot's summary names the batch, under any of the three properties."""
    return any(summary.get(key) == str(batch_id) for key in _IDS)


def reject_properties(file: RejectFile) -> dict[str, str]:
    """What the snapshot of the data says of its attempt's rejects; `reject_file_of` reads it again."""
    said = {REJECT_FILE: file.path, REJECT_TABLE: file.table_uuid, REJECT_BASE: file.base_snapshot_id}
    return {key: str(value) for key, value in said.items() if value is not None}


def reject_file_of(summary: Mapping[str, str]) -> RejectFile | None:
    path = summary.get(REJECT_FILE)
    if not path:
        return None
    table, base = summary.get(REJECT_TABLE), summary.get(REJECT_BASE)
    return RejectFile(path, UUID(table) if table else None, int(base) if base else None)


def rejects_landed(lineage: Lineage, batch: Batch, file: RejectFile) -> bool | None:
    """Whether the reject table shows the batch's rejects; None when its history cannot tell.

    The same rule as for the data, counted from what the reject table was when the file was written.
    """
    answer = decide(lineage, replace(batch, table_uuid=file.table_uuid, base_snapshot_id=file.base_snapshot_id))
    if answer.kind is LandingKind.LANDED:
        return True
    return False if answer.kind is LandingKind.NOT_LANDED and file.table_uuid is not None else None


def decide(lineage: Lineage, batch: Batch) -> Landing:
    """Where the batch is, as far as main's ancestors can tell.

    LANDED: an ancestor carries its id and is not its spending. It beats SPENT, whichever is nearer to the head,
    and of several the oldest counts. SPENT and NOT_LANDED are answers only if nothing can be hidden: the table's
    UUID is the one of the first claim, and main's history reaches its base (no base: the first snapshot ever).
    UNKNOWN: everything else, and a landing whose base is certainly not in main's history.

    A batch that nobody claimed has no UUID and no base to check. Nobody can have sent a commit for it, so its
    absence is enough for NOT_LANDED; an id that is there (the ledger was restored from an older copy) still counts,
    and a spent one needs the whole history, because a landing could be hidden.
    """
    carriers = [snapshot for snapshot in reversed(lineage.ancestors) if carries(snapshot.summary, batch.id)]
    landed = [snapshot for snapshot in carriers if snapshot.summary.get(OUTCOME) != SPENT]
    if batch.table_uuid is None:
        doubt = _THINNED if carriers and not landed and not lineage.complete else ""
    else:
        doubt = _doubt(lineage, batch)
    believed = bool(landed) and not _known_to_be_elsewhere(lineage, batch)
    if believed:
        return Landing(LandingKind.LANDED, lineage.table_uuid, lineage.head, landed[0], _landed_text(landed, batch))
    if doubt:
        text = f"{_found_text(carriers, landed, batch)}, but {doubt}"
        return Landing(LandingKind.UNKNOWN, lineage.table_uuid, lineage.head, None, text)
    kind = LandingKind.SPENT if carriers else LandingKind.NOT_LANDED
    text = f"{_found_text(carriers, landed, batch)}."
    return Landing(kind, lineage.table_uuid, lineage.head, carriers[0] if carriers else None, text)


def _doubt(lineage: Lineage, batch: Batch) -> str:
    """Why main's history cannot be trusted to show a claimed batch; empty when it can."""
    base = batch.base_snapshot_id
    if lineage.table_uuid != batch.table_uuid:
        return (
            f"the table was dropped and made again: its UUID is {lineage.table_uuid},"
            f" and was {batch.table_uuid} when the batch was claimed."
        )
    if base is None:
        return "" if lineage.complete else f"the table was empty when the batch was claimed, and {_THINNED}"
    if _has(lineage, base):
        return ""
    where = f"snapshot {base}, which was main's head when the batch was claimed"
    if _is_foreign(lineage, base):
        return f"{where}, is not in main's history: the table was rolled back or replaced."
    return f"main's history does not reach back to {where}: snapshots were expired, the batch's may be among them."


def _known_to_be_elsewhere(lineage: Lineage, batch: Batch) -> bool:
    """Whether it is certain that main is not the history in which the batch was claimed."""
    if batch.table_uuid is None:
        return False
    base = batch.base_snapshot_id
    return lineage.table_uuid != batch.table_uuid or (base is not None and _is_foreign(lineage, base))


def _is_foreign(lineage: Lineage, snapshot_id: int) -> bool:
    """Whether it is certain that main's history does not contain the snapshot, expired parts included."""
    return snapshot_id in lineage.outside or (lineage.complete and not _has(lineage, snapshot_id))


def _has(lineage: Lineage, snapshot_id: int) -> bool:
    return any(snapshot.snapshot_id == snapshot_id for snapshot in lineage.ancestors)


def _found_text(carriers: list[SnapshotInfo], landed: list[SnapshotInfo], batch: Batch) -> str:
    if landed:
        return f"{_shown(landed[0])} carries batch {batch.id}"
    if carriers:
        return f"{_shown(carriers[0])} took the id of batch {batch.id}"
    return f"No snapshot of main carries batch {batch.id}"


def _landed_text(landed: list[SnapshotInfo], batch: Batch) -> str:
    text = f"{_shown(landed[0])} is batch {batch.id}."
    if len(landed) > 1:
        others = ", ".join(str(snapshot.snapshot_id) for snapshot in landed[1:])
        text += f" It is also carried by {others}: look whether rows are there twice."
    return text


def _shown(snapshot: SnapshotInfo) -> str:
    return f"Snapshot {snapshot.snapshot_id} of {snapshot.committed_at:%Y-%m-%d %H:%M:%S %Z}"
