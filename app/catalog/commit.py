"""One attempt of one commit, against exactly the metadata that was looked at (protocol, points 3 to 5).

The library's own retries would publish after somebody else's commit without looking again, and on a conflict it
deletes the manifests, which destroys the table when the conflict was with our own commit whose answer was lost.
So neither is used: the library stages the update, and we send it once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as Loaded
from pyiceberg.table import Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update import (
    AssertCurrentSchemaId,
    AssertDefaultSpecId,
    AssertLastAssignedFieldId,
    AssertRefSnapshotId,
    AssertTableUUID,
    TableRequirement,
)

from app.catalog.faults import committing, reading
from app.catalog.lineage import snapshot_info
from app.errors import CommitConflict
from app.values import SnapshotInfo

_SQL = "pyiceberg.catalog.sql"


class Staging(Transaction):
    """Holds what is to be sent. Nothing of it is public but by `begin`."""

    _changed: tuple[int, TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The metadata with the changes so far, to be read only.

        The library copies all of it, each snapshot of the table's history included, whenever it is asked; to stage one
        append it asks fourteen times. With thousands of snapshots that takes seconds, in which others are faster.
        """
        if not self._updates:
            return self._table.metadata
        if self._changed is None or self._changed[0] != len(self._updates):
            self._changed = len(self._updates), super().table_metadata
        return self._changed[1]


def begin(seen: Loaded) -> Transaction:
    """A transaction upon exactly what was looked at, for `send`."""
    return Staging(seen)


def append(seen: Loaded, files: Sequence[DataFile], properties: Mapping[str, str]) -> SnapshotInfo:
    """Append the files as one snapshot with `properties` in its summary, if the table is still as `seen`.

    Its UUID, main's head, its schema and its partition spec must be the same. Raises CommitConflict when they
    are not, CommitUnknown when no answer came.
    """
    name = ".".join(seen.name())
    with reading(name):
        transaction = begin(seen)
        update = transaction.update_snapshot(snapshot_properties=dict(properties)).fast_append()
        for file in files:
            update.append_data_file(file)
        update.commit()  # into the transaction: writes manifests, publishes nothing
    try:
        send(seen, transaction)
    except CommitConflict:
        if type(seen.catalog).__module__ == _SQL:  # its "no" is certain: the manifests are nobody's
            update._clean_all_uncommitted()  # noqa: SLF001
        raise
    snapshot = seen.metadata.snapshot_by_id(update.snapshot_id)
    if snapshot is None:
        message = f"The catalog accepted snapshot {update.snapshot_id} but does not show it"
        with committing(name):
            raise RuntimeError(message)
    return snapshot_info(snapshot)


def send(seen: Loaded, transaction: Transaction) -> None:
    """Commit what the transaction holds, once. `seen` becomes the table as it is after the commit.

    Raises CommitConflict, CommitUnknown, or CatalogError for a commit that the catalog will never take.
    """
    updates = transaction._updates  # noqa: SLF001  # staging is public, sending without retries is not
    if not updates:
        return
    with committing(".".join(seen.name())), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old metadata that could not be deleted is no failure of the commit
        seen._do_commit(updates, _requirements(seen, transaction))  # noqa: SLF001


def _requirements(seen: Loaded, transaction: Transaction) -> tuple[TableRequirement, ...]:
    """The library's own requirements of this update, and ours: nothing that we looked at has changed."""
    metadata = seen.metadata
    main = metadata.refs.get(MAIN_BRANCH)
    ours: tuple[TableRequirement, ...] = (
        AssertTableUUID(uuid=metadata.table_uuid),
        AssertRefSnapshotId(ref=MAIN_BRANCH, **{"snapshot-id": main.snapshot_id if main else None}),
        AssertCurrentSchemaId(**{"current-schema-id": metadata.current_schema_id}),
        # A schema that was changed and changed back has the old id, but has used up field ids.
        AssertLastAssignedFieldId(**{"last-assigned-field-id": metadata.last_column_id}),
        AssertDefaultSpecId(**{"default-spec-id": metadata.default_spec_id}),
    )
    kinds = {type(requirement) for requirement in ours}
    rest = tuple(item for item in transaction._requirements if type(item) not in kinds)  # noqa: SLF001
    return ours + rest
