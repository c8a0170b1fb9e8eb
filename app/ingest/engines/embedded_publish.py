"""Publishing by the embedded engine: data files, then the file of rejected records (protocol, points 5, 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyiceberg.manifest import DataFile

from app import failpoints
from app.catalog import rejects
from app.catalog.objects import Objects
from app.catalog.schema import field_types
from app.catalog.table import Look, Table
from app.errors import (
    CommitConflict,
    CommitUnknown,
    TableChanged,
)
from app.ingest.engines.publishing import pause, until_answered
from app.ingest.landing import ids_of, reject_properties, rejects_landed
from app.values import Batch, Landing, LandingKind, RejectFile, SnapshotInfo


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
