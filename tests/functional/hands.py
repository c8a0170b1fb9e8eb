"""What foreign hands do to a real table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyiceberg.manifest import DataFile
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update import RemoveSnapshotsUpdate

from app.catalog.table import Table


def drop(table: Table) -> None:
    """Take the table out of its catalog; its files stay."""
    table.catalog.library.drop_table(table.name.identifier)


def replace(table: Table) -> None:
    """What REPLACE TABLE leaves: the same table with its old snapshots, and main empty."""
    table.look().loaded.manage_snapshots().remove_branch(MAIN_BRANCH).commit()


def roll_back(table: Table, snapshot_id: int) -> None:
    table.look().loaded.manage_snapshots().rollback_to_snapshot(snapshot_id).commit()


def forget(table: Table, snapshot_ids: Sequence[int]) -> None:
    """Expire just these, whoever may need them."""
    with table.look().loaded.transaction() as change:
        change._apply((RemoveSnapshotsUpdate(snapshot_ids=list(snapshot_ids)),))


def append_nothing(table: Table) -> int:
    """A commit that is nobody's; answers its snapshot."""
    return table.look().append((), {"who": "foreign"}).snapshot_id


def stage(
    table: Table, batch_id: object, properties: Mapping[str, str] | None = None, files: Sequence[DataFile] = ()
) -> int:
    """A snapshot as Spark stages one: under the batch's id, and not on main. Answers it."""
    transaction = table.look().loaded.transaction()
    summary = {"wap.id": str(batch_id), **(properties or {})}
    update = transaction.update_snapshot(snapshot_properties=summary, branch=None).fast_append()
    for file in files:
        update.append_data_file(file)
    update.commit()
    transaction.commit_transaction()
    return update.snapshot_id
