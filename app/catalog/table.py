"""Iceberg tables by name. Reading is always fresh; every commit is one attempt against what was read.

Catalog ── table(name) ──► Table ── look() ──► Look ── append(files, properties)
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from pyiceberg.catalog import Catalog as Library
from pyiceberg.exceptions import NamespaceAlreadyExistsError, TableAlreadyExistsError
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as Loaded
from pyiceberg.table import TableProperties, Transaction

from app.catalog import commit, expire, staged
from app.catalog.faults import reading
from app.catalog.names import TableName, parse_table_name
from app.catalog.partitions import parse_partitions
from app.catalog.schema import to_iceberg
from app.catalog.seen import Held, unpacked
from app.catalog.widen import widen
from app.datatypes import Column, TableSchema
from app.errors import CatalogUnavailable, CommitConflict, CommitUnknown, InvalidInput, TableNotFound
from app.values import Lineage, SnapshotInfo, TableState

_SCHEMA_ATTEMPTS = 20
# Each commit writes a metadata file; without these two a busy table keeps all of them for ever.
NEW_TABLE = {
    TableProperties.METADATA_DELETE_AFTER_COMMIT_ENABLED: "true",
    TableProperties.METADATA_PREVIOUS_VERSIONS_MAX: "100",
}


class Catalog:
    """One opened catalog; may be used from several threads. Close it to give its connections back."""

    def __init__(self, name: str, library: Library) -> None:
        self.name = name
        self.library = library

    def table(self, name: TableName | str) -> Table:
        """The table of that name, whether it exists or not. Raises InvalidInput for another catalog's."""
        parsed = parse_table_name(name, self.name) if isinstance(name, str) else name
        if parsed.catalog != self.name:
            raise InvalidInput(
                f"{parsed} is not in the catalog {self.name}.", hint=f"Name it as {self.name}.{parsed.namespace}.…"
            )
        return Table(self, parsed)

    def create(
        self,
        name: TableName | str,
        schema: TableSchema,
        partition_by: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> Look:
        """The table, made with its namespace; as it stands when it exists already.

        Raises InvalidInput for a partition that cannot be, CatalogUnavailable.
        """
        table = self.table(name)
        # Looked at first: the library writes the new table's metadata before it learns that the name is taken.
        with suppress(TableNotFound):
            return table.look()
        columns = to_iceberg(schema)
        spec = parse_partitions(partition_by, columns)
        self._make_namespace(table.name.namespace)
        with reading(str(table.name)):
            try:
                made = self.library.create_table(
                    table.name.identifier,
                    columns,
                    partition_spec=spec,
                    properties={**NEW_TABLE, **(properties or {})},
                )
            except TableAlreadyExistsError:  # another process was faster
                return table.look()
        return Look(table.name, made)

    def _make_namespace(self, namespace: str) -> None:
        with reading(f"namespace {namespace}"):
            if self.library.namespace_exists(namespace):
                return
        try:
            with reading(f"namespace {namespace}"):
                try:
                    self.library.create_namespace(namespace)
                except NamespaceAlreadyExistsError:
                    return
        except CatalogUnavailable:
            # Two processes made it at once: the loser is told by a constraint of the catalog's database.
            with reading(f"namespace {namespace}"):
                if not self.library.namespace_exists(namespace):
                    raise

    def close(self) -> None:
        self.library.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Table:
    """A table by name; holds nothing of its content."""

    catalog: Catalog
    name: TableName

    def look(self) -> Look:
        """The table as it stands now. Raises TableNotFound, CatalogUnavailable."""
        with reading(str(self.name)):
            return Look(self.name, self.catalog.library.load_table(self.name.identifier))

    def exists(self) -> bool:
        with reading(str(self.name)):
            return self.catalog.library.table_exists(self.name.identifier)

    def state(self) -> TableState:
        return self.look().state

    def lineage(self) -> Lineage:
        return self.look().lineage

    def add_columns(self, columns: Sequence[Column]) -> TableState:
        """Add what the table lacks, in a commit of its own; what is there already is left (protocol, point 3).

        A struct that exists gets the members it lacks. Raises CommitConflict when the table stays too busy,
        CommitUnknown when no answer came and the table cannot be asked.
        """

        def stage(seen: Look, transaction: Transaction) -> bool:
            return widen(transaction, seen.state.schema, columns)

        return self._changed(stage, "columns")[0].state

    def require_properties(self, properties: Mapping[str, str]) -> bool:
        """Give the table these properties, in a commit of its own; answers whether it lacked one. Raises as
        `add_columns`.
        """

        def stage(seen: Look, transaction: Transaction) -> bool:
            lacking = {name: value for name, value in properties.items() if seen.properties.get(name) != value}
            if lacking:
                transaction.set_properties(lacking)
            return bool(lacking)

        return self._changed(stage, "properties")[1] > 0

    def _changed(self, stage: Callable[[Look, Transaction], bool], what: str) -> tuple[Look, int]:
        """The table once `stage` finds nothing to change in it, and how many commits were tried for that."""
        lost: CommitUnknown | CommitConflict | None = None
        for attempt in range(_SCHEMA_ATTEMPTS):
            seen = self.look()
            transaction = commit.begin(seen.loaded)
            if not stage(seen, transaction):
                return seen, attempt
            try:
                commit.send(seen.loaded, transaction)
            except (CommitConflict, CommitUnknown) as error:
                lost = error  # the next look tells, and changing again what is changed does nothing
        raise lost or CommitConflict(f"The {what} of {self.name} could not be changed.", hint="Run again.")

    def expire(self, protected: Collection[int | None], older_than: datetime, limit: int = 1_000) -> int:
        """Forget main's old snapshots; answers how many. See `app.catalog.expire`."""
        return expire.expire(self.look().loaded, protected, older_than, limit)

    def drop_staged(self, snapshot_ids: Collection[int]) -> None:
        """Forget what was staged and nobody publishes, with its files. Raises CommitConflict, CommitUnknown."""
        staged.drop(self.look(), snapshot_ids)

    def forget_staged(self, older_than: datetime, limit: int) -> int:
        """Forget what was staged by us before that and never published; answers how many. Raises CommitConflict."""
        return staged.forget_old(self.look(), older_than, limit)

    @property
    def rejects(self) -> Table:
        """The table of the records that could not be parsed."""
        return Table(self.catalog, self.name.rejects)

    def create(self, schema: TableSchema, partition_by: Sequence[str], properties: Mapping[str, str]) -> Look:
        """As `Catalog.create`."""
        return self.catalog.create(self.name, schema, partition_by, properties)

    def write_text(self, path: str, text: str) -> None:
        """A small packed file beside the table, in place of what is there. Raises CatalogUnavailable, CatalogError."""
        self.look().objects.write(path, gzip.compress(text.encode(), mtime=0))

    def read_text(self, path: str) -> str:
        """What `write_text` wrote. Raises FileMissing, and LandingIncomplete for what is broken."""
        return unpacked(path, self.look().objects.read(path))


@dataclass(frozen=True)
class Look(Held):
    """One reading of a table through a catalog of ours. A commit succeeds only if what it says still holds."""

    name: TableName
    loaded: Loaded

    def append(self, files: Sequence[DataFile], properties: Mapping[str, str]) -> SnapshotInfo:
        """Publish the files as one snapshot, if nothing has changed. Raises CommitConflict or CommitUnknown.

        Not for use after it succeeded: look again.
        """
        return commit.append(self.loaded, files, properties)

    def append_nothing(self, properties: Mapping[str, str]) -> None:
        self.append((), properties)
