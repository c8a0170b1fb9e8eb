"""What the core asks of the outside: an engine that reads and writes, somebody who watches, a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from app.datatypes import Column, TableSchema
from app.values import Batch, BatchFile, Landing, RejectFile, TableState, WriteResult

TRIAL_BYTES = 64 * 1024 * 1024


class Progress(Protocol):
    """Who is told how a run goes on. Calls are cheap and never raise."""

    def step(self, name: str) -> None:
        """A step begins: `discover`, `plan`, `load`, `finish`, `wait`."""

    def advance(
        self, name: str, count: int, size: int = 0, total: int | None = None, total_size: int | None = None
    ) -> None:
        """`count` more files and `size` more bytes of the step are done; the totals are set where they are known."""

    def note(self, text: str) -> None:
        """One sentence a person wants to see while it runs."""


class SilentProgress:
    """Nobody watches."""

    def step(self, name: str) -> None:
        pass

    def advance(
        self, name: str, count: int, size: int = 0, total: int | None = None, total_size: int | None = None
    ) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, with its zone."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Engine(Protocol):
    """Reads a batch's files and publishes them as one snapshot; one object serves one run.

    No method touches the ledger. A method that reads the table reads it fresh. All raise
    CatalogError's children for the table, SourceError's for the files.
    """

    name: str
    schema: TableSchema | None  # the columns of a table that is yet to be made

    def ensure_table(self) -> TableState:
        """The table, created (with its namespace) when it does not exist; then as `table_to_claim` gives it."""

    def table_to_claim(self) -> TableState:
        """The table, with a head that a claim can count from. Raises TableNotFound.

        Where main is empty, and not for certain because the table is new, an empty snapshot is committed first:
        without it, nobody could tell later whether a batch had landed.
        """

    def table_state(self) -> TableState:
        """The table as it stands. Raises TableNotFound."""

    def retention_warning(self) -> str:
        """A sentence when the table's own retention is shorter than ours; else empty (point 11)."""

    def ignored_settings(self) -> str:
        """A sentence when the table was there and is not as the destination describes a new one; else empty."""

    def job(self) -> str | None:
        """What a successor needs to stop what this process may leave at work; None where nothing outlives it.

        It is stored before the batch is written. Raises what opening the engine raises.
        """

    def interrupt(self, job: str, batch: Batch) -> None:
        """Stop what the process that gave `job` may still do for the batch, as far as it goes.

        Never raises: that nothing is loaded twice does not rest on it.
        """

    def try_out(self, batch: Batch, file: BatchFile) -> bool:
        """Whether the engine can do its work: it sees the file, and gets through as many bytes of no meaning.

        They are TRIAL_BYTES at most, written as the batch's rows would be, published by nobody and taken away again.

        Raises Interrupted, and TableChanged where they were published all the same.
        """

    def landing(self, batch: Batch) -> Landing:
        """Where the batch is, by the table alone (protocol, points 4 and 5)."""

    def write(self, batch: Batch, files: Sequence[BatchFile]) -> WriteResult:
        """Write data files for the batch; publish nothing.

        A file that cannot be read gets an outcome that says so and has no rows. Raises ParserDied
        when the parser was lost and nobody knows by which file.
        """

    def add_columns(self, columns: Sequence[Column]) -> TableState:
        """Add the columns in a commit of their own (protocol, point 3); those already there are left."""

    def publish(self, batch: Batch, written: WriteResult, properties: Mapping[str, str]) -> Landing:
        """Commit, looking inside every attempt (protocol, point 5). LANDED may be another attempt's.

        `properties` go into the snapshot's summary beside the batch's ids. Raises CommitUnknown when
        no answer could be had, and CommitConflict when the table stayed too busy.
        """

    def spend(self, batch: Batch) -> Landing:
        """Take the batch's id with an empty snapshot, unless it is taken; then look (point 6)."""

    def write_receipt(self, batch: Batch, attempt: str, receipt: Mapping[str, object]) -> str:
        """Store the attempt's receipt beside the table (point 8); answers the path."""

    def read_receipt(self, path: str) -> dict[str, object]:
        """The receipt at `path`. Raises FileMissing, and LandingIncomplete when it is broken."""

    def publish_rejects(self, batch: Batch, reject_file: RejectFile) -> None:
        """Append the attempt's reject file to the reject table, once (point 7).

        Where the reject table's history cannot tell whether that was done (it was expired, rolled back, or the
        table made again), its rows do.

        Raises FileMissing when the file is gone, and LandingIncomplete when it is broken.
        """

    def expire(self, protected: frozenset[int | None], before: datetime) -> int:
        """Expire snapshots of main older than `before`, never one of `protected` nor anything after it (point 11).

        None in `protected` is the base of a batch that began on an empty table. The reject table's go as well, but
        only when nothing is protected: what they may be needed for, only the batches' snapshots say. Answers how
        many went; none where there is no table.
        """

    def discard(self, written: WriteResult) -> None:
        """Remove the files of an attempt, as far as it goes; does nothing once a commit with them was sent.

        Whether it was, only `publish` knows: it may have sent one, and then raised or answered with another's.
        """

    def close(self) -> None:
        """Give back processes and disk."""
