"""Cut staged Parquet files by partition, with bounded memory and a bounded number of open files.

A table without partition takes the staged files as they are. Else the rows are read again in batches, and each
goes to the file of its partition. Where a file holds more partitions than may be open at once, its rows go to a
few files by groups of partitions first, and those are cut in turn: each row is written once for each level, and
the number of data files stays that of the partitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.partitioning import PartitionField, PartitionSpec, _to_partition_representation
from pyiceberg.schema import Schema
from pyiceberg.table import TableProperties
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Record

MOST_OPEN = 64
BATCH_ROWS = 65_536
BUFFER_BYTES = 128 * 1024 * 1024
_NAN = float("nan")  # one object, so that keys with it are equal
_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition's values, as manifests hold them. Has what the library's location providers ask for."""

    record: Record
    spec: PartitionSpec
    schema: Schema

    def to_path(self) -> str:
        return self.spec.partition_to_path(self.record, self.schema)


@dataclass(frozen=True, slots=True)
class Piece:
    """A local Parquet file whose rows all belong to one partition; `key` is None where the table has none."""

    path: Path
    key: Partition | None = None


def split(metadata: TableMetadata, staged: Sequence[Path], scratch: Path) -> list[Piece]:
    """The staged files cut by the table's partition; they are removed once they are cut."""
    if metadata.spec().is_unpartitioned():
        return [Piece(path) for path in staged]
    scratch.mkdir(parents=True, exist_ok=True)
    cutter = _Cutter(metadata, scratch)
    cutter.cut(list(staged))
    return cutter.pieces


class _Cutter:
    def __init__(self, metadata: TableMetadata, scratch: Path) -> None:
        self.spec = metadata.spec()
        self.schema = metadata.schema()
        self.scratch = scratch
        self.full = _target_bytes(metadata.properties)
        self.pieces: list[Piece] = []
        self._files = 0

    def cut(self, paths: Sequence[Path]) -> None:
        """Cut these files together and remove them. A file without rows is just removed."""
        keys = self._keys(paths)
        arrow = pq.read_schema(paths[0]) if paths else None
        if arrow is not None and len(keys) <= MOST_OPEN:
            for key, written in self._write(paths, arrow, _each(keys)):
                self.pieces += [Piece(path, self._partition(key)) for path in written]
        elif arrow is not None:
            for _, written in self._write(paths, arrow, _grouped(keys)):
                self.cut(written)
        for path in paths:
            path.unlink(missing_ok=True)

    def _keys(self, paths: Sequence[Path]) -> list[_Key]:
        """All partitions of these files, in order of appearance; only the columns that decide are read."""
        names = sorted({self._path(item)[0] for item in self.spec.fields})
        found: dict[_Key, None] = {}
        for path in paths:
            for batch in _batches(path, names):
                found |= dict.fromkeys(self._runs(batch)[0])
        return list(found)

    def _write(self, paths: Sequence[Path], arrow: pa.Schema, place: dict[_Key, int]) -> list[tuple[_Key, list[Path]]]:
        """Write each row to the file whose number its partition has in `place`; answers the files with a key each."""
        writers = _Writers(arrow, BUFFER_BYTES, self.full)
        firsts = {number: key for key, number in reversed(place.items())}
        targets = {number: self._next() for number in sorted(firsts)}
        try:
            for path in paths:
                for batch in _batches(path):
                    keys, numbers = self._runs(batch)
                    for number, rows in _slices(batch, np.array([place[key] for key in keys])[numbers]):
                        writers.add(targets[number], rows)
            written = writers.finish()
        finally:
            writers.close()
        return [(firsts[number], written[target]) for number, target in targets.items()]

    def _next(self) -> Path:
        self._files += 1
        return self.scratch / f"cut-{self._files:06d}"

    def _runs(self, batch: pa.RecordBatch) -> tuple[list[_Key], np.ndarray[Any, Any]]:
        """The distinct partitions of a batch, and for each row the place of its own among them."""
        keys: list[_Key] = [()]
        numbers = np.zeros(batch.num_rows, dtype=np.int64)
        for item in self.spec.fields:
            encoded = self._transformed(batch, item).dictionary_encode(null_encoding="encode")
            choices = [_NAN if value != value else value for value in encoded.dictionary.to_pylist()]  # noqa: PLR0124
            combined = numbers * len(choices) + encoded.indices.to_numpy(zero_copy_only=False)
            distinct, numbers = np.unique(combined, return_inverse=True)
            keys = [(*keys[code // len(choices)], choices[code % len(choices)]) for code in distinct.tolist()]
        return keys, numbers

    def _transformed(self, batch: pa.RecordBatch, item: PartitionField) -> pa.Array:
        first, *inner = self._path(item)
        values = batch.column(first)
        if inner:
            values = pc.struct_field(values, inner)
        kind = self.schema.find_type(item.source_id)
        values = item.transform.pyarrow_transform(kind)(values)
        return values.storage if isinstance(values, pa.ExtensionArray) else values

    def _path(self, item: PartitionField) -> list[str]:
        return _names(self.schema, item.source_id)

    def _partition(self, key: _Key) -> Partition:
        # By the transform's result: the library's own key goes by the source, and fails for a bucket of a time.
        kinds = [item.transform.result_type(self.schema.find_type(item.source_id)) for item in self.spec.fields]
        values = [_to_partition_representation(kind, value) for kind, value in zip(kinds, key, strict=True)]
        return Partition(Record(*values), self.spec, self.schema)


def _names(schema: Schema, field_id: int) -> list[str]:
    """The names on the way to a field: of its structs, then its own."""
    parents = schema._lazy_id_to_parent  # noqa: SLF001
    names: list[str] = []
    current: int | None = field_id
    while current is not None:
        names.append(schema.find_field(current).name)
        current = parents.get(current)
    return names[::-1]


def _target_bytes(properties: Mapping[str, str]) -> int:
    text = properties.get(TableProperties.WRITE_TARGET_FILE_SIZE_BYTES, "")
    return int(text) if text.isdigit() else TableProperties.WRITE_TARGET_FILE_SIZE_BYTES_DEFAULT


def _each(keys: Sequence[_Key]) -> dict[_Key, int]:
    return {key: number for number, key in enumerate(keys)}


def _grouped(keys: Sequence[_Key]) -> dict[_Key, int]:
    size = -(-len(keys) // MOST_OPEN)
    return {key: number // size for number, key in enumerate(keys)}


def _batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False)


def _slices(batch: pa.RecordBatch, numbers: np.ndarray[Any, Any]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The batch's rows by number, each number's together and copied: a view of few rows would hold the whole batch."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.array([], dtype=np.int64)
    ends = np.r_[starts[1:], len(ordered)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        yield int(ordered[start]), batch.take(pa.array(order[start:end]))


@dataclass(slots=True)
class _Writers:
    """Open Parquet files. Rows are held back until there are enough for a good row group, all together bounded.

    A file that reaches `full` bytes is closed, and the next rows of its kind go to another beside it.
    """

    schema: pa.Schema
    most: int
    full: int
    held: int = 0
    rows: dict[Path, list[pa.RecordBatch]] = field(default_factory=dict)
    sizes: dict[Path, int] = field(default_factory=dict)
    open: dict[Path, pq.ParquetWriter] = field(default_factory=dict)
    written: dict[Path, list[Path]] = field(default_factory=dict)

    def add(self, target: Path, rows: pa.RecordBatch) -> None:
        self.rows.setdefault(target, []).append(rows)
        self.sizes[target] = self.sizes.get(target, 0) + rows.nbytes
        self.held += rows.nbytes
        while self.held > self.most:
            self._flush(max(self.sizes, key=self.sizes.__getitem__))

    def _flush(self, target: Path) -> None:
        rows = self.rows.pop(target)
        self.held -= self.sizes.pop(target)
        paths = self.written.setdefault(target, [])
        if target not in self.open:
            paths.append(target.with_name(f"{target.stem}-{len(paths):04d}.parquet"))
            self.open[target] = pq.ParquetWriter(paths[-1], self.schema, compression="zstd")
        self.open[target].write_table(pa.Table.from_batches(rows, self.schema))
        if paths[-1].stat().st_size >= self.full:
            self.open.pop(target).close()

    def finish(self) -> dict[Path, list[Path]]:
        """Write what is held back; answers the files of each target."""
        for target in list(self.rows):
            self._flush(target)
        return self.written

    def close(self) -> None:
        for writer in self.open.values():
            writer.close()
