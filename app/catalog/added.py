"""What a snapshot added, as its manifests tell it: no row is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, ManifestEntryStatus
from pyiceberg.table import Table as Loaded
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.types import LongType

from app.catalog.faults import reading
from app.catalog.seen import Held

_MOST_FILES = 2_000  # manifests are read one entry after the other; of more files a scan is as fast


@dataclass(frozen=True, slots=True)
class AddedRows:
    """Numbers of rows; `filled` are those in which the other column is not null."""

    rows: int = 0
    filled: int = 0


def data_files(seen: Loaded, snapshot: Snapshot) -> Iterator[DataFile]:
    """The data files that the snapshot itself added."""
    for manifest in snapshot.manifests(seen.io):
        if manifest.added_snapshot_id != snapshot.snapshot_id:
            continue
        for entry in manifest.fetch_manifest_entry(seen.io):
            if entry.status == ManifestEntryStatus.ADDED:
                yield entry.data_file


def rows_by(held: Held, snapshot_id: int, column: str, other: str) -> Mapping[int, AddedRows] | None:
    """The added rows by the value of `column`, a bigint; None where manifests do not tell: a data file holds several
    values, has no bounds or counts for a column, or there are many of them.

    Raises what reading the table raises.
    """
    snapshot = _readable(held, snapshot_id)
    if snapshot is None:
        return None
    schema = held.metadata.schema()
    key, counted = schema.find_field(column).field_id, schema.find_field(other).field_id
    found: dict[int, AddedRows] = {}
    with reading(str(held.name)):
        for file in data_files(held.loaded, snapshot):
            value, nulls = _only_value(file, key), (file.null_value_counts or {}).get(counted)
            if value is None or nulls is None:
                return None
            before = found.get(value, AddedRows())
            found[value] = AddedRows(before.rows + file.record_count, before.filled + file.record_count - nulls)
    return found


def filled(held: Held, snapshot_id: int, columns: Collection[str]) -> bool:
    """Whether each added data file certainly has a value of one of these columns in each row: manifests count no null
    of it. Raises what reading the table raises.
    """
    snapshot = _readable(held, snapshot_id)
    if snapshot is None:
        return False
    known = {field.name: field.field_id for field in held.metadata.schema().fields}
    keys = [known[column] for column in columns if column in known]
    with reading(str(held.name)):
        return all(
            any((file.null_value_counts or {}).get(key) == 0 for key in keys)
            for file in data_files(held.loaded, snapshot)
        )


def _readable(held: Held, snapshot_id: int) -> Snapshot | None:
    """The snapshot, if it is there and its data files are few enough to be looked through one after the other."""
    snapshot = held.metadata.snapshot_by_id(snapshot_id)
    if snapshot is None or snapshot.summary is None:
        return None
    count = int(snapshot.summary.additional_properties.get("added-data-files", _MOST_FILES + 1))
    return snapshot if count <= _MOST_FILES else None


def _only_value(file: DataFile, key: int) -> int | None:
    """Of all rows of the file; None where they may differ, or one has none."""
    low, high = ((bounds or {}).get(key) for bounds in (file.lower_bounds, file.upper_bounds))
    if low is None or low != high or (file.null_value_counts or {}).get(key) != 0:
        return None
    return int(from_bytes(LongType(), low))
