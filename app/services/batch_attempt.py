"""One attempt at a claimed batch: written as the ingestion's policies allow, then published (protocol, points 3, 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from shlex import quote

from app import failpoints
from app.datatypes import Column
from app.errors import AutoloaderError, SchemaChangeRefused, TableChanged, TooManyErrors
from app.ingest import commit
from app.ingest.landing import ATTEMPT
from app.ingest.ports import Engine
from app.ingest.threshold import over_threshold
from app.services.context import IngestionInfo, RunContext
from app.values import Batch, BatchFile, FileOutcome, FileState, Landing, WriteResult

_REWRITES = 5  # a table whose columns change faster than we can write is somebody else's experiment
_SHOWN_COLUMNS = 20


class Refused(Exception):
    """An attempt that must not be published: `error` tells a person why, `failed` are the files to blame."""

    def __init__(self, error: AutoloaderError, failed: Sequence[FileOutcome] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.failed = failed


class BatchAttempt:
    """By one engine. What it wrote and sent no commit with, it removes."""

    def __init__(self, ctx: RunContext, engine: Engine) -> None:
        self.ctx = ctx
        self.engine = engine

    def load(self, batch: Batch, batch_files: Sequence[BatchFile]) -> tuple[Landing, Sequence[FileOutcome] | None]:
        """Write until the table's columns hold still, then publish; outcomes if it is our attempt that landed.

        Raises Refused, ParserDied and SparkJobFailed over the files, and the errors of table and source.
        """
        for _ in range(_REWRITES):
            written = self._write(batch, batch_files)
            try:
                with self._thrown_away_unless_sent(written):
                    landing = self._publish(batch, batch_files, written)
            except TableChanged:
                continue
            summary = landing.snapshot.summary if landing.snapshot else {}
            if summary.get(ATTEMPT) == written.attempt:
                self._note_reject(batch_files, written)
                return landing, written.outcomes
            self._discard(written)
            return landing, None
        raise TableChanged(
            f"The columns of {self.ctx.ingestion.table_name} changed {_REWRITES} times"
            f" while batch {batch.id} was written.",
            hint="Somebody alters the table all the time; run again when it holds still.",
        )

    def _publish(self, batch: Batch, batch_files: Sequence[BatchFile], written: WriteResult) -> Landing:
        self._check_errors(batch_files, written)
        failpoints.hit("written")
        self.ctx.lease.check()
        self.ctx.unsent.discard(batch.id)
        return commit.publish(self.engine, batch, batch_files, written, self.ctx.run_id, self.ctx.clock.now())

    @contextmanager
    def _thrown_away_unless_sent(self, written: WriteResult) -> Iterator[None]:
        """However the attempt ends, files that no commit was sent with are nobody's, and nobody would remove them."""
        try:
            yield
        except (AutoloaderError, Refused, KeyboardInterrupt):
            self._discard(written)
            raise

    def _discard(self, written: WriteResult) -> None:
        with suppress(AutoloaderError):  # what stays behind harms nobody; what came before is what counts
            self.engine.discard(written)

    def _write(self, batch: Batch, batch_files: Sequence[BatchFile]) -> WriteResult:
        """Write, adding new columns first where the ingestion says so (protocol, point 3)."""
        mode = self.ctx.ingestion.shape.columns.on_new_columns
        added: set[str] = set()
        while True:
            written = self.engine.write(batch, batch_files)
            asked = {str(column) for column in written.new_columns}
            # What was added and is asked for again does not fit its column: it stays rescued.
            if mode in {"rescue", "ignore"} or asked <= added:
                return written
            self._discard(written)
            if mode == "fail":
                path = next(
                    (f", the first in {file.path}" for file in batch_files if file.file_id == written.new_in), ""
                )
                raise Refused(
                    SchemaChangeRefused(
                        f"Files of {self.ctx.ingestion.name} bring columns the table lacks:"
                        f" {_shown(written.new_columns)}{path}.",
                        hint="Add them to the table, or say what becomes of them (add_columns, rescue, ignore):"
                        f" {_load(self.ctx.ingestion)} --on-new-columns add_columns",
                    )
                )
            self.ctx.lease.check()
            self.engine.add_columns(written.new_columns)
            added |= asked
            self.ctx.progress.note(f"New columns in {self.ctx.ingestion.table_name}: {_shown(written.new_columns)}.")
            for twin in written.twins[:_SHOWN_COLUMNS]:
                self.ctx.progress.note(twin.sentence)
            failpoints.hit("schema-changed")

    def _note_reject(self, batch_files: Sequence[BatchFile], written: WriteResult) -> None:
        """Keep the run's first rejected record: where not one record is loaded, the run says why by it."""
        if self.ctx.first_reject is None and written.first_rejects:
            sample = written.first_rejects[0]
            path = next((file.path for file in batch_files if file.file_id == sample.file_id), "")
            self.ctx.first_reject = path, sample

    def _check_errors(self, batch_files: Sequence[BatchFile], written: WriteResult) -> None:
        """Under `on_error: fail`, refuse the whole batch before anything is published."""
        policies = self.ctx.ingestion.shape.policies
        records = written.rows + written.rejected
        if policies.on_error != "fail" or not over_threshold(written.rejected, records, policies.max_errors):
            return
        bad = {outcome.file_id: outcome for outcome in written.outcomes if outcome.rejected}
        paths = [file.path for file in batch_files if file.file_id in bad]
        where = f"They are in {len(paths)} files, the first is" if len(paths) > 1 else "They are in"
        first = next((file.file_id for file in batch_files if file.file_id in bad), 0)
        error = TooManyErrors(
            f"{written.rejected} of {records} records could not be parsed (allowed: {policies.max_errors});"
            f" nothing of the batch was loaded. {where} {paths[0]}{_named(written, first)}.",
            hint=f"See them with: autoloader files list {self.ctx.ingestion.name} --state FAILED",
        )
        failed = [_failed(outcome, policies.max_errors, _named(written, file_id)) for file_id, outcome in bad.items()]
        raise Refused(error, failed)


def _named(written: WriteResult, file_id: int) -> str:
    """The first records of the file that were rejected, as the end of a sentence; empty where they are not known."""
    shown = [sample.text for sample in written.first_rejects if sample.file_id == file_id]
    return f" ({'; '.join(shown)})" if shown else ""


def _failed(outcome: FileOutcome, allowed: str, named: str) -> FileOutcome:
    sentence = f"{outcome.rejected} of its records could not be parsed{named}; allowed in the batch: {allowed}."
    return FileOutcome(
        outcome.file_id, FileState.FAILED, rejected=outcome.rejected, reason="too-many-errors", error=sentence
    )


def _load(ingestion: IngestionInfo) -> str:
    """The command that changes the ingestion of this source and table, and runs it."""
    table = ingestion.table_name.removeprefix("local.")
    return f"autoloader load {quote(ingestion.shape.source.url)} {quote(table)}"


def _shown(columns: Sequence[Column]) -> str:
    shown = ", ".join(str(column) for column in columns[:_SHOWN_COLUMNS])
    more = len(columns) - _SHOWN_COLUMNS
    return f"{shown} and {more} more" if more > 0 else shown
