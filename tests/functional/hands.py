"""What foreign hands do to a real table."""

from __future__ import annotations

from collections.abc import Sequence

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


def stage(table: Table, batch_id: object) -> None:
    """A snapshot as Spark stages one: under the batch's id, and not on main."""
    staged = table.look().loaded.transaction()
    staged.update_snapshot(snapshot_properties={"wap.id": str(batch_id)}, branch=None).fast_append().commit()
    staged.commit_transaction()
