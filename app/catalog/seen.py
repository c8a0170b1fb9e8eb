"""What a table's metadata says at one moment, whoever read it: through a catalog of ours, or on a cluster."""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

from pyiceberg.table import Table as Loaded
from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil

from app.catalog.lineage import lineage_of
from app.catalog.names import TableName
from app.catalog.objects import Objects
from app.catalog.partitions import is_partitioned_by, partition_texts
from app.catalog.schema import from_iceberg
from app.errors import CatalogError, LandingIncomplete
from app.values import Lineage, TableState

_PACKED = b"\x1f\x8b"


class Seen(ABC):
    """One reading of a table. All answers are about that moment."""

    name: TableName

    @property
    @abstractmethod
    def metadata(self) -> TableMetadata:
        """As Iceberg's library has it."""

    @abstractmethod
    def append_nothing(self, properties: Mapping[str, str]) -> None:
        """Publish an empty snapshot with these properties. Raises CommitConflict or CommitUnknown."""

    @cached_property
    def state(self) -> TableState:
        metadata = self.metadata
        return TableState(
            name=str(self.name),
            uuid=metadata.table_uuid,
            head=metadata.current_snapshot_id,
            location=metadata.location,
            schema=from_iceberg(metadata.schema()),
        )

    @cached_property
    def lineage(self) -> Lineage:
        return lineage_of(self.metadata)

    @property
    def properties(self) -> Mapping[str, str]:
        return self.metadata.properties

    @property
    def spec_id(self) -> int:
        """Of the partition that new files are written in."""
        return self.metadata.default_spec_id

    @property
    def is_unpartitioned(self) -> bool:
        return self.metadata.spec().is_unpartitioned()

    def path(self, name: str) -> str:
        """The full address of the file `name` below the table's location."""
        return f"{self.metadata.location.rstrip('/')}/{name}"

    def lacks(self, partition_by: Sequence[str], properties: Mapping[str, str]) -> str:
        """A sentence that names what is asked of a new table and this one, which is there, does not have; or empty.

        A property's value may be a secret: only its name is told.
        """
        lacking = []
        if partition_by and not is_partitioned_by(self.metadata, partition_by):
            has = ", ".join(partition_texts(self.metadata)) or "none"
            lacking.append(f"partition_by {', '.join(partition_by)} (the table has {has})")
        other = [name for name, value in properties.items() if self.properties.get(name) != value]
        if other:
            lacking.append(f"properties {', '.join(other)}")
        return f"Table {self.name} was there already. Without effect: {'; '.join(lacking)}." if lacking else ""


class Held(Seen):
    """One reading through a catalog of ours: it can be committed against, and files beside the table be had."""

    loaded: Loaded

    @property
    def metadata(self) -> TableMetadata:
        return self.loaded.metadata

    @property
    def objects(self) -> Objects:
        """Small files beside the table."""
        return Objects(self.loaded.io, self.loaded.metadata.location)


def parse_metadata(name: TableName, data: bytes) -> TableMetadata:
    """The content of a table's metadata file, packed or not. Raises CatalogError for what we cannot read."""
    try:
        text = (gzip.decompress(data) if data.startswith(_PACKED) else data).decode()
        return TableMetadataUtil.parse_raw(text)
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise CatalogError(
            f"The metadata of table {name} cannot be read: {said}.",
            hint="Is it of a version of Iceberg's format that we do not know?",
        ) from error


def unpacked(path: str, data: bytes) -> str:
    """The text of a small packed file beside a table. Raises LandingIncomplete for what is broken."""
    try:
        return gzip.decompress(data).decode()
    except (OSError, EOFError, ValueError) as error:
        raise LandingIncomplete(
            f"The file {path} cannot be read: {error}.", hint="Do not change receipts by hand."
        ) from error
