"""What every engine does on the table's side, by whichever way it is reached: make it, look, spend, receipts.

Commits here are made by `publishing`, whichever engine wrote the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from app.catalog.expire import retention_warning
from app.catalog.seen import Seen
from app.config import Settings
from app.datatypes import Column, TableSchema, parse_schema
from app.errors import CommitConflict, InvalidInput, LandingIncomplete, TableNotFound
from app.ingest.engines import publishing
from app.ingest.engines.embedded_input import row_columns, row_schema
from app.ingest.engines.engine_table import EngineTable
from app.ingest.landing import decide
from app.schemas.ingestion import IngestionShape
from app.values import Batch, BatchFile, Landing, TableState

_MOST_FORGOTTEN = 1_000


class TableSide:
    """The part of an engine that needs the table alone."""

    def __init__(
        self, table: EngineTable, shape: IngestionShape, schema: TableSchema | None, settings: Settings
    ) -> None:
        """`schema` are the columns of a table that is yet to be made; without them those that `shape` declares."""
        self.table = table
        self.shape = shape
        self.schema = schema
        self.settings = settings

    # --- the table ---------------------------------------------------------------------------

    def ensure_table(self) -> TableState:
        declared = parse_schema(self.shape.columns.columns) if self.shape.columns.columns else None
        wanted, added = self.schema or declared or TableSchema(), row_schema(self.shape.row_columns)
        ours = {column.name.lower() for column in added}
        taken = [column.name for column in wanted if column.name.lower() in ours]
        if taken:
            raise InvalidInput(
                f"The columns {', '.join(taken)} have the names of row columns.", hint="Rename them in row_columns."
            )
        if not self.table.exists():
            destination = self.shape.destination
            columns = TableSchema((*wanted.columns, *added.columns))
            self.table.create(columns, destination.partition_by, destination.properties)
        elif declared:
            _require_types(self.table.state(), declared)
        more = wanted.columns if self.shape.columns.on_new_columns == "add_columns" else ()
        state = self.table.add_columns((*more, *added.columns))
        row_columns(self.shape.row_columns, state.schema)
        return state if state.head is not None else self.table_to_claim()

    def table_to_claim(self) -> TableState:
        # Where a cluster takes batches too, what it stages and throws away would make an empty history uncertain.
        always = self.shape.engine != "embedded"
        return publishing.begin(self.table, self.settings.commit_attempts, always=always)

    def table_state(self) -> TableState:
        return self.table.state()

    def add_columns(self, columns: Sequence[Column]) -> TableState:
        return self.table.add_columns(columns)

    def expire(self, protected: frozenset[int | None], before: datetime) -> int:
        gone = _expired(self.table, protected, before) + _forgotten(self.table, before)
        if not protected:
            gone += _expired(self.table.rejects, protected, before) + _forgotten(self.table.rejects, before)
        return gone

    def retention_warning(self) -> str:
        needed = timedelta(seconds=self.settings.snapshot_retention_seconds)
        try:
            properties = self.table.look().properties
        except TableNotFound:
            properties = self.shape.destination.properties  # it will be made with them
        return retention_warning(str(self.table.name), properties, needed)

    def ignored_settings(self) -> str:
        destination = self.shape.destination
        try:
            return self.table.look().lacks(destination.partition_by, destination.properties)
        except TableNotFound:
            return ""

    def landing(self, batch: Batch) -> Landing:
        return decide(self.table.lineage(), batch)

    def job(self) -> str | None:
        return None

    def interrupt(self, job: str, batch: Batch) -> None:
        """Nothing of the embedded engine outlives its process."""

    def try_out(self, batch: Batch, file: BatchFile) -> bool:
        """The embedded engine works where this process does: what it meets it can tell from a file's fault."""
        del batch, file
        return True

    def spend(self, batch: Batch) -> Landing:
        return publishing.spend(self.table, batch, self.settings.commit_attempts)

    def write_receipt(self, batch: Batch, attempt: str, receipt: Mapping[str, object]) -> str:
        """One for each attempt: which of them landed, and so which receipt counts, its snapshot says."""
        path = self.receipt_path(self.table.look(), batch, attempt)
        self.table.write_text(path, json.dumps(receipt, ensure_ascii=False))
        return path

    @staticmethod
    def receipt_path(look: Seen, batch: Batch, attempt: str) -> str:
        return look.path(f"autoloader/{batch.id}.{attempt}.json.gz")

    def read_receipt(self, path: str) -> dict[str, object]:
        try:
            receipt = json.loads(self.table.read_text(path))
        except ValueError as error:
            raise LandingIncomplete(
                f"The receipt {path} cannot be read: {error}.", hint="Do not change receipts by hand."
            ) from error
        if not isinstance(receipt, dict):
            raise LandingIncomplete(f"The receipt {path} is not an object.", hint="Do not change receipts by hand.")
        return receipt


def _expired(table: EngineTable, protected: frozenset[int | None], before: datetime) -> int:
    try:
        return table.expire(protected, before)
    except TableNotFound:
        return 0
    except CommitConflict:
        return 0  # somebody commits right now: the next run has the time


def _forgotten(table: EngineTable, before: datetime) -> int:
    """What some run staged on a cluster and never published."""
    try:
        return table.forget_staged(before, _MOST_FORGOTTEN)
    except (TableNotFound, CommitConflict):
        return 0


def _require_types(state: TableState, declared: TableSchema) -> None:
    for column in declared:
        there = state.schema.find(column.name)
        if there is not None and str(there.type) != str(column.type):
            raise InvalidInput(
                f"Column {column.name} is declared as {column.type}, and {state.name} has it as {there.type}.",
                hint="Declare it as the table has it, or load into another table.",
            )
