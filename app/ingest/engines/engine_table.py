"""What engines ask of a table, whoever reaches its catalog: this process by PyIceberg, or a cluster alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from app.catalog.names import TableName
from app.catalog.seen import Seen
from app.datatypes import Column, TableSchema
from app.values import Lineage, TableState


class EngineTable(Protocol):
    """A table by name. Every method reads it fresh; all raise TableNotFound and what reaching the catalog raises."""

    @property
    def name(self) -> TableName: ...

    @property
    def rejects(self) -> EngineTable:
        """The table of the records that could not be parsed."""

    def look(self) -> Seen: ...

    def exists(self) -> bool: ...

    def state(self) -> TableState: ...

    def lineage(self) -> Lineage: ...

    def create(self, schema: TableSchema, partition_by: Sequence[str], properties: Mapping[str, str]) -> Seen:
        """The table, made with its namespace; as it stands when it exists already. Raises InvalidInput."""

    def add_columns(self, columns: Sequence[Column]) -> TableState:
        """Add what the table lacks, in a commit of its own. Raises CommitConflict, CommitUnknown, InvalidInput."""

    def require_properties(self, properties: Mapping[str, str]) -> bool:
        """Give the table these properties; answers whether it lacked one. Raises as `add_columns`."""

    def expire(self, protected: Collection[int | None], older_than: datetime) -> int:
        """Forget main's old snapshots, as `app.catalog.expire` says; answers how many. Raises CommitConflict."""

    def drop_staged(self, snapshot_ids: Collection[int]) -> None:
        """Forget what was staged and nobody publishes, with the files that it added. What was published stays.

        Raises CommitConflict, CommitUnknown.
        """

    def forget_staged(self, older_than: datetime, limit: int) -> int:
        """Forget what was staged by us before that and never published; answers how many. Raises CommitConflict."""

    def write_text(self, path: str, text: str) -> None:
        """A small packed file beside the table, in place of what is there."""

    def read_text(self, path: str) -> str:
        """What `write_text` wrote. Raises FileMissing, and LandingIncomplete for what is broken."""
