"""The protocol's sequences on the engine: publish with a receipt, read it back, free an id. No ledger here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from app import failpoints
from app.errors import CatalogError, FileMissing, LandingIncomplete
from app.ingest.landing import ATTEMPT, RECEIPT, RUN_ID, reject_file_of
from app.ingest.ports import Engine
from app.values import Batch, BatchFile, FileOutcome, FileState, Landing, LandingKind, WriteResult

RECEIPT_FORMAT = 1
_HANDS_OFF = "Do not change receipts by hand."


def publish(  # the five things a snapshot must be able to tell
    engine: Engine, batch: Batch, files: Sequence[BatchFile], written: WriteResult, run_id: UUID, now: datetime
) -> Landing:
    """Store the attempt's receipt, then publish. The answer may be about another attempt that was faster.

    Raises CommitUnknown, CommitConflict or TableChanged; none of them says that nothing landed later.
    """
    receipt = engine.write_receipt(batch, written.attempt, receipt_of(batch, files, written, run_id, now))
    properties = {
        RUN_ID: str(run_id),
        ATTEMPT: written.attempt,
        RECEIPT: receipt,
        "autoloader.rows": str(written.rows),
        "autoloader.rescued": str(written.rescued),
        "autoloader.rejected": str(written.rejected),
    }
    return engine.publish(batch, written, properties)


def receipt_of(
    batch: Batch, files: Sequence[BatchFile], written: WriteResult, run_id: UUID, now: datetime
) -> dict[str, object]:
    """What the batch did, file by file (protocol, point 8): enough to settle it, or to rebuild the ledger."""
    outcomes = {outcome.file_id: outcome for outcome in written.outcomes}
    return {
        "format": RECEIPT_FORMAT,
        "batch_id": str(batch.id),
        "ingestion_id": str(batch.ingestion_id),
        "run_id": str(run_id),
        "attempt": written.attempt,
        "written_at": now.isoformat(),
        "rows": written.rows,
        "rescued": written.rescued,
        "rejected": written.rejected,
        "files": [_receipt_row(file, outcomes[file.file_id]) for file in files],
    }


def _receipt_row(file: BatchFile, outcome: FileOutcome) -> dict[str, object]:
    return {
        "id": file.file_id,
        "path": file.path,
        "version": file.version,
        "size": file.size,
        "state": outcome.state.value,
        "rows": outcome.rows,
        "rescued": outcome.rescued,
        "rejected": outcome.rejected,
        "reason": outcome.reason,
        "error": outcome.error,
        "blank": outcome.blank,
    }


def outcomes_of(engine: Engine, batch: Batch, landing: Landing) -> tuple[FileOutcome, ...]:
    """What the attempt that landed did with each file, by the receipt that its snapshot names.

    Raises LandingIncomplete when the snapshot names none, or the receipt is gone, broken, or of another batch.
    """
    path = _summary(landing).get(RECEIPT)
    if path is None:
        raise LandingIncomplete(
            f"Snapshot {landing.snapshot.snapshot_id if landing.snapshot else '?'} carries batch {batch.id}"
            " but names no receipt.",
            hint="Another program wrote it. See: autoloader ingestions resolve",
        )
    try:
        receipt = engine.read_receipt(path)
    except FileMissing as gone:
        raise LandingIncomplete(gone.message, hint=gone.hint) from gone
    if receipt.get("batch_id") != str(batch.id):
        raise LandingIncomplete(f"The receipt {path} is not of batch {batch.id}.", hint=_HANDS_OFF)
    rows = receipt.get("files")
    if not isinstance(rows, list):
        raise LandingIncomplete(f"The receipt {path} has no list of files.", hint=_HANDS_OFF)
    try:
        return tuple(_outcome(row) for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise LandingIncomplete(
            f"The receipt {path} has a file that cannot be read: {error!r}.", hint=_HANDS_OFF
        ) from error


def _outcome(row: Mapping[str, object]) -> FileOutcome:
    return FileOutcome(
        file_id=int(str(row["id"])),
        state=FileState(str(row["state"])),
        rows=int(str(row["rows"])),
        rescued=int(str(row["rescued"])),
        rejected=int(str(row["rejected"])),
        reason=str(row["reason"]),
        error=str(row["error"]),
        blank=int(str(row.get("blank", 0))),  # not in those of versions that did not count it
    )


def complete_rejects(engine: Engine, batch: Batch, landing: Landing) -> None:
    """Publish the reject file of the attempt that landed, if it has one (protocol, point 7). May be repeated.

    Raises LandingIncomplete when the file is gone.
    """
    reject_file = reject_file_of(_summary(landing))
    if reject_file is None:
        return
    failpoints.hit("before-rejects")
    try:
        engine.publish_rejects(batch, reject_file)
    except FileMissing as gone:
        raise LandingIncomplete(gone.message, hint=gone.hint) from gone
    failpoints.hit("rejects-landed")


def free_id(engine: Engine, batch: Batch, *, never_sent: bool) -> Landing:
    """Make sure that the batch cannot land any more, or learn that it has (protocol, point 6).

    `never_sent`: this process made the batch's first and only claim, in this lease epoch, and sent no
    commit; then nothing is done and the answer is NOT_LANDED. Otherwise SPENT, LANDED or UNKNOWN.
    Raises CatalogError when the spending was taken back at once: the id is not free then.
    """
    if never_sent:
        return Landing(LandingKind.NOT_LANDED)
    landing = engine.spend(batch)
    if landing.kind is LandingKind.NOT_LANDED:
        raise CatalogError(
            f"The id of batch {batch.id} was taken on the table, but main does not show it: it was rolled back.",
            hint="Run again.",
        )
    return landing


def _summary(landing: Landing) -> Mapping[str, str]:
    return landing.snapshot.summary if landing.snapshot else {}
