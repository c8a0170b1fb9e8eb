"""A table in a catalog that a cluster alone reaches: looked at and changed by Spark SQL, always fresh.

What it is, its metadata file says, whole: the cluster names the newest one (`metadata_log_entries`) and reads it. Its
own tables of snapshots and references tell neither the table's UUID, nor ids of columns, nor sequence numbers, and the
protocol needs all three. A commit through SQL cannot be bound to what was looked at: so a publishing is a cherry-pick,
which Iceberg refuses by the batch's id, and all others may come late or twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyiceberg.table.metadata import TableMetadata

from app.catalog import staged
from app.catalog.expire import expirable
from app.catalog.names import TableName
from app.catalog.seen import Seen, parse_metadata, unpacked
from app.catalog.table import NEW_TABLE
from app.catalog.widen import missing_paths
from app.datatypes import Column, TableSchema
from app.errors import (
    CatalogError,
    CatalogNotFound,
    CatalogUnavailable,
    CommitConflict,
    CommitUnknown,
    FileMissing,
    SparkError,
    TableNotFound,
)
from app.ingest.engines import cluster_files, cluster_sql
from app.ingest.engines.cluster_files import CHANGE_SECONDS, LOOK_SECONDS, of_table
from app.spark import Session, spark_errors
from app.values import Lineage, TableState

_ATTEMPTS = 5
_MOST_EXPIRED = 1_000
_SESSION_CATALOG = "spark_catalog"
_ELSEWHERE = ("spark.wap.id", "spark.wap.branch")  # what sends rows beside main, whoever set it
_REF_AGE = "history.expire.max-ref-age-ms"


@dataclass(frozen=True)
class ClusterLook(Seen):
    """One reading of a table by a cluster."""

    name: TableName
    table: ClusterTable
    content: TableMetadata

    @property
    def metadata(self) -> TableMetadata:
        return self.content

    def append_nothing(self, properties: Mapping[str, str]) -> None:
        self.table.append_nothing(self.state.schema, properties)


@dataclass(frozen=True)
class ClusterTable:
    """A table by name; holds nothing of its content. `session` gives one of the cluster's, made anew when it was lost.

    All methods raise as `spark_errors` says, and TableNotFound.
    """

    name: TableName
    session: Callable[[], Session]

    @property
    def rejects(self) -> ClusterTable:
        return ClusterTable(self.name.rejects, self.session)

    # --- looking -----------------------------------------------------------------------------

    def look(self) -> ClusterLook:
        """Raises CatalogError for metadata that the cluster cannot read as a file, or that we cannot."""
        lost: FileMissing | None = None
        for _ in range(_ATTEMPTS):
            session = self.session()
            log = self._log(session)
            if not log or not log[-1]:
                raise CatalogError(f"The cluster names no metadata file of {self.name}.", hint="Is it Iceberg's?")
            try:
                metadata = parse_metadata(self.name, cluster_files.content(session, log[-1], str(self.name)))
            except FileMissing as error:  # dropped, or changed a hundred times meanwhile
                lost = error
                continue
            if [entry.metadata_file for entry in metadata.metadata_log] == log[:-1]:
                return ClusterLook(self.name, self, metadata)
        raise CatalogUnavailable(
            f"Which metadata file of {self.name} is the newest, the cluster cannot tell.",
            hint="Somebody changes the table all the time, or files were taken away; run again.",
        ) from lost

    def exists(self) -> bool:
        try:
            self._log(self.session())
        except TableNotFound:
            return False
        return True

    def has(self, condition: str) -> bool:
        """Whether main has a row of which the SQL is true."""
        return bool(self._ask(f"SELECT 1 FROM {self._target} WHERE {condition} LIMIT 1", seconds=CHANGE_SECONDS))

    def state(self) -> TableState:
        return self.look().state

    def lineage(self) -> Lineage:
        return self.look().lineage

    # --- changing ----------------------------------------------------------------------------

    def create(self, schema: TableSchema, partition_by: Sequence[str], properties: Mapping[str, str]) -> ClusterLook:
        """The table, made with its namespace; as it stands when it exists already. Raises InvalidInput."""
        with suppress(TableNotFound):
            return self.look()
        statement = cluster_sql.create(self.name, schema, partition_by, {**NEW_TABLE, **properties})
        with suppress(SparkError, CatalogError):  # where it is there and we may not make one, the table tells
            self._ask(cluster_sql.make_namespace(self.name), seconds=CHANGE_SECONDS)
        try:
            self._ask(statement, seconds=CHANGE_SECONDS)
        except (SparkError, CatalogUnavailable) as error:  # another process was faster, or the answer was lost
            try:
                return self.look()
            except TableNotFound:
                raise CatalogError(
                    f"The cluster cannot make table {self.name}: {error.message}",
                    hint="Is there one of that name which is not Iceberg's? Choose another name.",
                ) from error
        return self.look()

    def add_columns(self, columns: Sequence[Column]) -> TableState:
        """Add what the table lacks, in a commit of its own; a struct gets the members it lacks."""

        def lacking(seen: ClusterLook) -> str:
            missing = missing_paths(seen.state.schema, columns)
            return cluster_sql.add_columns(self.name, missing) if missing else ""

        return self._changed(lacking)[0].state

    def require_properties(self, properties: Mapping[str, str]) -> bool:
        def lacking(seen: ClusterLook) -> str:
            wanted = {name: value for name, value in properties.items() if seen.properties.get(name) != value}
            return cluster_sql.set_properties(self.name, wanted) if wanted else ""

        return self._changed(lacking)[1] > 0

    def _changed(self, statement: Callable[[ClusterLook], str]) -> tuple[ClusterLook, int]:
        """The table once `statement` has nothing to change any more, and how many statements that took."""
        lost: CommitUnknown | CommitConflict | None = None
        for attempt in range(_ATTEMPTS):
            seen = self.look()
            wanted = statement(seen)
            if not wanted:
                return seen, attempt
            try:
                self._ask(wanted, committing=True, seconds=CHANGE_SECONDS)
            except (CommitConflict, CommitUnknown) as error:
                lost = error  # the next look tells
        seen = self.look()
        if not statement(seen):
            return seen, _ATTEMPTS
        raise lost or CommitConflict(f"Table {self.name} took a change, and does not show it.", hint="Run again.")

    def append_nothing(self, schema: TableSchema, properties: Mapping[str, str]) -> None:
        """Publish an empty snapshot with these properties. Raises CommitConflict or CommitUnknown.

        Not against what was looked at, and Iceberg itself tries again: for snapshots that may come late or twice.
        """
        session = self.session()
        session.unset(*_ELSEWHERE)
        with session.within(CHANGE_SECONDS), spark_errors(session.endpoint, str(self.name), committing=True):
            writer = session.spark.sql(cluster_sql.nothing(schema)).writeTo(self._target)
            for key, value in properties.items():
                writer = writer.option(f"snapshot-property.{key}", value)
            writer.append()

    # --- forgetting --------------------------------------------------------------------------

    def expire(self, protected: Collection[int | None], older_than: datetime) -> int:
        seen = self.look()
        return self._expire(seen, expirable(seen.metadata, protected, older_than)[:_MOST_EXPIRED])

    def drop_staged(self, snapshot_ids: Collection[int]) -> None:
        seen = self.look()
        self._expire(seen, [one.snapshot_id for one in staged.unpublished(seen, snapshot_ids)])

    def forget_staged(self, older_than: datetime, limit: int) -> int:
        seen = self.look()
        return self._expire(seen, staged.left_behind(seen, older_than)[:limit])

    def _expire(self, seen: ClusterLook, doomed: Sequence[int]) -> int:
        """Answers how many were asked to go. A table that is kept from it, or that has an age of its own for branches
        and tags, or for one of them, by which the procedure would take more, is left alone.
        """
        aged = any(ref.max_snapshot_age_ms or ref.max_ref_age_ms for ref in seen.metadata.refs.values())
        aged = aged or _REF_AGE in seen.properties
        if not doomed or aged or seen.properties.get("gc.enabled", "true").lower() == "false":
            return 0
        self._ask(cluster_sql.expire(self.name, doomed), committing=True, seconds=CHANGE_SECONDS)
        return len(doomed)

    # --- small files -------------------------------------------------------------------------

    def write_text(self, path: str, text: str) -> None:
        """As a folder of that name, with one packed file: Spark writes no other."""
        cluster_files.write(self.session(), path, text, str(self.name))

    def read_text(self, path: str) -> str:
        return unpacked(path, cluster_files.content(self.session(), path, str(self.name)))

    # --- asking ------------------------------------------------------------------------------

    def _log(self, session: Session) -> list[str]:
        """The table's metadata files, the newest last."""
        try:
            found = self._ask(f"SELECT file FROM {self._target}.metadata_log_entries", session)
        except CatalogNotFound as error:
            # Of a table that is not Iceberg's, Spark's own catalog takes the table's name for a namespace.
            if self.name.catalog != _SESSION_CATALOG:
                raise
            raise TableNotFound(f"There is no Iceberg table {self.name}.", hint="Look at the name.") from error
        return [row["file"] for row in found]

    @property
    def _target(self) -> str:
        return cluster_sql.target(self.name)

    def _ask(
        self,
        statement: str,
        session: Session | None = None,
        *,
        committing: bool = False,
        seconds: float = LOOK_SECONDS,
    ) -> list[Any]:
        session = session or self.session()
        with of_table(session, str(self.name), seconds, committing=committing):
            return list(session.spark.sql(statement).collect())
