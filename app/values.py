"""The values that stages hand to each other. Frozen, no behaviour beyond what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from app.datatypes import Column, TableSchema


class FileState(StrEnum):
    DISCOVERED = "DISCOVERED"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    QUARANTINED = "QUARANTINED"
    SKIPPED = "SKIPPED"


class BatchState(StrEnum):
    PLANNED = "PLANNED"
    CLAIMED = "CLAIMED"
    LANDED = "LANDED"
    SETTLED = "SETTLED"
    SPENT = "SPENT"
    UNKNOWN = "UNKNOWN"


# What a state may become: SQL refuses every other move (repositories/file_moves.py), the docs draw these.
FILE_TRANSITIONS: Mapping[FileState, frozenset[FileState]] = {
    FileState.DISCOVERED: frozenset({FileState.PROCESSING, FileState.SKIPPED}),
    FileState.PROCESSING: frozenset(
        {FileState.SUCCESS, FileState.FAILED, FileState.SKIPPED, FileState.QUARANTINED, FileState.DISCOVERED}
    ),
    FileState.FAILED: frozenset({FileState.PROCESSING, FileState.SKIPPED, FileState.DISCOVERED}),
    FileState.QUARANTINED: frozenset({FileState.DISCOVERED, FileState.SKIPPED}),
    FileState.SKIPPED: frozenset({FileState.DISCOVERED}),
    FileState.SUCCESS: frozenset(),
}
BATCH_TRANSITIONS: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.PLANNED: frozenset({BatchState.CLAIMED}),
    BatchState.CLAIMED: frozenset(
        {BatchState.CLAIMED, BatchState.LANDED, BatchState.SETTLED, BatchState.SPENT, BatchState.UNKNOWN}
    ),
    BatchState.LANDED: frozenset({BatchState.SETTLED, BatchState.UNKNOWN}),
    BatchState.UNKNOWN: frozenset({BatchState.SETTLED, BatchState.SPENT}),  # a person decides
    BatchState.SETTLED: frozenset(),
    BatchState.SPENT: frozenset(),
}


class RunState(StrEnum):
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class SyncState(StrEnum):
    """How Prefect stands to an ingestion: as it should; not yet; it refuses; or it is to have none of it."""

    IN_SYNC = "in_sync"
    PENDING = "pending"
    ERROR = "error"
    OFF = "off"  # a migration was rolled back; only another one, or making the ingestion anew, ends it


class Trigger(StrEnum):
    MANUAL = "manual"
    SCHEDULED = "scheduled"
    ARRIVAL = "arrival"
    RETRY = "retry"
    BACKFILL = "backfill"
    DECISION = "decision"  # a person's, about what no machine can decide: it lists and loads nothing


# --- discovery -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One object as a listing showed it.

    `path` is the raw, undecoded address: `s3://bucket/key`, `az://container/key`, `gs://bucket/key`,
    or an absolute path of this machine. `version` identifies the content: the store's ETag (or
    `size-mtime` where it gives none); for a local file `<size>-<mtime in ns>`. Sizes are bytes.
    """

    path: str
    version: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListedPage:
    """Part of a listing: what matched, sorted by the bytes of `path`, and what a rule left out, by reason."""

    files: Sequence[FoundFile]
    empty: Sequence[FoundFile] = ()  # matched, but zero bytes: kept in the ledger as SKIPPED
    seen: int = 0  # objects listed, whether they matched or not
    skipped: dict[str, int] = field(default_factory=dict)  # reason → count, `empty` included
    bytes: int = 0  # sum of the sizes of `files`


# --- batches ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One file of a batch, pinned to the version that was discovered."""

    file_id: int
    path: str
    version: str
    size: int


class OpenFile(Protocol):
    def fileno(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for the copy of one file in an open file that holds many: `size` bytes, `offset` from its beginning."""

    handle: OpenFile
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A fixed, stored set of files that becomes one commit.

    `table_uuid` and `base_snapshot_id` are what the first claim saw (a `None` base with a UUID: the
    table had no snapshot); both are `None` before it. `claims` counts how often the batch was claimed, `unanswered` how
    many of the last of them in a row were never heard of again. `engine_job` is what the last claimant's engine gave
    for its successor, to stop what it may have left at work; `engine` is its name.
    """

    id: UUID
    ingestion_id: UUID
    run_id: UUID
    state: BatchState
    file_count: int
    byte_count: int
    claims: int = 0
    claim_epoch: int | None = None
    table_uuid: UUID | None = None
    base_snapshot_id: int | None = None
    parent_id: UUID | None = None
    engine_job: str | None = None
    engine: str | None = None
    unanswered: int = 0


# --- what an engine did ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file in one write attempt. `state` is SUCCESS, FAILED, SKIPPED or QUARANTINED.

    `rescued` counts rows with something in `_rescued_data`; `rejected` counts records that went to
    the reject table and are not in `rows`. A file that is not SUCCESS has no rows in the attempt.
    """

    file_id: int
    state: FileState
    rows: int = 0
    rescued: int = 0
    rejected: int = 0
    reason: str = ""  # a stable word, such as `truncated`, `changed`, `missing`, `too-many-errors`
    error: str = ""  # the sentence for a person
    blank: int = 0  # of its rows, those without a value in any column; counted where unknown keys are left out


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One snapshot of a table, with its summary as Iceberg stores it."""

    snapshot_id: int
    parent_id: int | None
    committed_at: datetime
    summary: dict[str, str]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Main's ancestors, newest first, as far as the metadata still knows them.

    `complete` is true when it is certain that main never had anything older; false when snapshots were
    removed, or the table was replaced. `outside` are the snapshots that the metadata
    holds and that are not main's ancestors: staged, on branches, or rolled back.
    """

    table_uuid: UUID
    ancestors: tuple[SnapshotInfo, ...]
    complete: bool
    outside: frozenset[int] = frozenset()

    @property
    def head(self) -> int | None:
        return self.ancestors[0].snapshot_id if self.ancestors else None


@dataclass(frozen=True, slots=True)
class TableState:
    """A table as it stands now. Column field ids are set in `schema`."""

    name: str
    uuid: UUID
    head: int | None
    location: str
    schema: TableSchema


@dataclass(frozen=True, slots=True)
class RejectSample:
    """One rejected record, for a message: where it is, why, and how it begins. `reason` is the why alone."""

    file_id: int
    text: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Twin:
    """A new name, in so many records, that gets no column: it differs only in case from `kept`, which more have."""

    name: str
    records: int
    kept: str
    kept_records: int

    @property
    def sentence(self) -> str:
        return (
            f"{self.name} ({_records(self.records)}) gets no column of its own: it differs only in case from"
            f" {self.kept} ({_records(self.kept_records)})."
        )


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What one write attempt left, before anything is published.

    `handle` belongs to the engine (data files, or a staged snapshot). `attempt` names the attempt:
    its receipt and its reject file carry it in their names.
    """

    attempt: str
    outcomes: tuple[FileOutcome, ...]
    rows: int
    rescued: int
    rejected: int
    byte_count: int
    new_columns: tuple[Column, ...] = ()
    twins: tuple[Twin, ...] = ()
    handle: object = None
    first_rejects: tuple[RejectSample, ...] = ()
    new_in: int | None = None  # the first file that brings one of `new_columns`


@dataclass(frozen=True, slots=True)
class RejectFile:
    """Where an attempt's rejects lie, and what the reject table was like before they were written.

    `table_uuid` is None where that is not known; a `base_snapshot_id` of None beside a UUID: it had no snapshot.
    """

    path: str
    table_uuid: UUID | None = None
    base_snapshot_id: int | None = None


class LandingKind(StrEnum):
    NOT_LANDED = "not-landed"
    LANDED = "landed"
    SPENT = "spent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Landing:
    """The table's answer to "where is this batch?". `snapshot` is set for LANDED and SPENT;
    `evidence` is the sentence a person needs for UNKNOWN. `table_uuid` and `head` are what was seen.
    """

    kind: LandingKind
    table_uuid: UUID | None = None
    head: int | None = None
    snapshot: SnapshotInfo | None = None
    evidence: str = ""
