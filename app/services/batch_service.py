"""One batch, from claim to settle, and whatever can come between (protocol, points 2 to 7).

The engine asks and changes the table; `batch_ledger` changes the ledger. Between the two lies every
point at which a process can die, so each way begins with what the table says, never with what was hoped.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from app import failpoints
from app.errors import (
    AutoloaderError,
    CatalogError,
    IngestionBlocked,
    LandingIncomplete,
    ParserDied,
    SparkJobFailed,
    SparkSessionLost,
    SparkUnavailable,
    TableNotFound,
)
from app.ingest import commit
from app.services.batch_attempt import BatchAttempt, Refused
from app.services.batch_ends import BatchEnds
from app.services.batch_ledger import BatchLedger, BatchReport
from app.services.context import RunContext
from app.services.engine_rule import EMBEDDED
from app.services.put_off import AWAY
from app.services.table_checks import require_same
from app.values import (
    Batch,
    BatchFile,
    BatchState,
    FileOutcome,
    FileState,
    Landing,
    LandingKind,
    TableState,
)

_GONE = (SparkUnavailable, SparkSessionLost)


class BatchService:
    """Processes the batches of one run."""

    def __init__(self, ctx: RunContext) -> None:
        self.ctx = ctx
        self.engine = ctx.engine
        self.ledger = BatchLedger(ctx)
        self.ends = BatchEnds(ctx, self.ledger, self._follow)

    def process(self, batch_id: UUID) -> BatchReport:
        """Load the batch, or finish what an earlier run began. May be repeated: it finds out what is left.

        Raises IngestionBlocked when only a person can decide, LeaseLost, and the errors of table and
        source; the batch then waits for the next run.
        """
        batch, unanswered = self.ledger.load(batch_id)
        if batch.state in {BatchState.SETTLED, BatchState.SPENT}:
            return BatchReport(batch_id, batch.state)
        if batch.state is BatchState.UNKNOWN:
            raise self._blocked(batch, "An earlier run found it so.")
        if batch.claims:
            failpoints.hit("healing")
            self._interrupt(batch)
            landing = self._still_there(batch, self._look(batch))
            if landing.kind is not LandingKind.NOT_LANDED:
                return self._follow(batch, landing)
            if unanswered >= self.ctx.max_attempts:
                return self._doubt(batch, unanswered)
        return self._attempt(batch)

    def _doubt(self, batch: Batch, unanswered: int) -> BatchReport:
        """Whoever loaded it was never heard of again: its parser may kill processes, its job may kill the cluster."""
        # A single file is the whole suspect: it gets more chances than a batch that can be halved.
        is_enough = batch.file_count > 1 or unanswered >= 2 * self.ctx.max_attempts
        if batch.engine in {None, EMBEDDED}:
            why = f"{unanswered} processes in a row died while they loaded it."
            return self.ends.break_up(self.engine, batch, why) if is_enough else self._attempt(batch)
        why = f"{unanswered} attempts in a row to load it on {batch.engine} ended without an answer."
        if batch.file_count > 1:
            return self.ends.break_up(self.engine, batch, why)
        if is_enough and self.ledger.is_to_blame(batch):
            return self.ends.blame(
                self.engine, batch, SparkJobFailed(why, hint=f"Look at the jobs of {batch.engine} in its own pages.")
            )
        self.ledger.unheard_alone(batch)
        if is_enough:
            self.ends.try_out(batch)
        return self._attempt(batch)

    def _interrupt(self, batch: Batch) -> None:
        """Stop what the last claimant may have left at work, by the engine that it used."""
        if not batch.engine_job:
            return
        try:
            self.ctx.engine_named(batch.engine or self.ctx.rule.large).interrupt(batch.engine_job, batch)
        except AutoloaderError as error:  # a cluster that was removed; nothing rests on it
            self.ctx.progress.note(f"An earlier attempt of batch {batch.id} could not be interrupted: {error.message}")

    def require_none_waits(self) -> None:
        """Raises SparkJobFailed where files wait of which nobody knows whether they fail their jobs."""
        self.ends.require_none_waits()

    # --- one attempt -------------------------------------------------------------------------

    def _attempt(self, batch: Batch) -> BatchReport:
        chosen = self.ctx.rule.choose(batch.file_count, batch.byte_count).engine
        try:
            return self._attempt_on(chosen, batch)
        except AWAY as error:
            if len(self.ctx.rule.engines) == 1:
                raise
            self.ctx.put_off.add(batch, chosen, error)
            if self.ctx.put_off.batches == 1:  # the others are told with the run's end
                self.ctx.progress.note(self.ctx.put_off.sentence)
            return BatchReport(batch.id, batch.state, waits=self.ctx.put_off.sentence)

    def _attempt_on(self, engine: str, batch: Batch) -> BatchReport:
        if self.ctx.put_off.first is not None and engine == self.ctx.put_off.cluster:
            raise self.ctx.put_off.first
        self.engine = self.ctx.engine_named(engine)
        batch, batch_files = self.ledger.claim(batch, self._table(), engine, self.engine.job())
        if batch.claims == 1:
            self.ctx.unsent.add(batch.id)
        failpoints.hit("claimed")
        try:
            return self._load(batch, batch_files)
        except BaseException as error:
            # Whatever it is, the process lives and can say so. A cluster that went away in the midst did not answer: it
            # may be the batch that takes it down.
            if isinstance(error, (Exception, *self.ctx.stops)) and not isinstance(error, _GONE):
                with suppress(AutoloaderError):  # the first error is the one to tell
                    self.ledger.answered(batch)
            raise

    def _load(self, batch: Batch, batch_files: Sequence[BatchFile]) -> BatchReport:
        try:
            landing, outcomes = BatchAttempt(self.ctx, self.engine).load(batch, batch_files)
        except ParserDied as died:
            return self.ends.break_up(self.engine, batch, died.message)
        except SparkJobFailed as failed:
            return self.ends.narrow_down(self.engine, batch, str(batch.engine), failed)
        except Refused as refused:
            report = self.ends.release(self.engine, batch, refused.failed)
            if report.state is BatchState.SETTLED and report.snapshot_id is not None:
                return report  # another attempt had landed it: nothing is refused any more
            raise refused.error from None
        return self._loaded(batch, self._follow(batch, landing, outcomes))

    def _loaded(self, batch: Batch, report: BatchReport) -> BatchReport:
        """What the batch came to. Where its engine has loaded something, that is told of others that it could not load.

        Not so where an earlier attempt had landed: nobody knows when.
        """
        if batch.engine and report.files[FileState.SUCCESS]:
            return replace(report, again=self.ends.loaded(batch.engine))
        return report

    def _table(self) -> TableState:
        """The table to load into: made once, and never again by us once rows of ours were in it."""
        if self.ctx.ingestion.table_uuid is None:
            return self.engine.ensure_table()
        return require_same(self.ctx.ingestion, self.engine.table_to_claim)

    # --- what the table says -----------------------------------------------------------------

    def _look(self, batch: Batch) -> Landing:
        try:
            return self.engine.landing(batch)
        except TableNotFound:
            evidence = f"Table {self.ctx.ingestion.table_name} does not exist any more."
            return Landing(LandingKind.UNKNOWN, evidence=evidence)

    def _still_there(self, batch: Batch, landing: Landing) -> Landing:
        """`landing`, unless the batch was seen on the table before and is not there any more."""
        if batch.state is not BatchState.LANDED or landing.kind in {LandingKind.LANDED, LandingKind.UNKNOWN}:
            return landing
        evidence = f"It had landed, but main does not show it any more: the table was rolled back. {landing.evidence}"
        return replace(landing, kind=LandingKind.UNKNOWN, evidence=evidence.rstrip())

    def _follow(self, batch: Batch, landing: Landing, outcomes: Sequence[FileOutcome] | None = None) -> BatchReport:
        """Bring the ledger to where the table is. `outcomes` are known when our own attempt landed."""
        if landing.kind is LandingKind.LANDED and landing.snapshot is not None:
            failpoints.hit("before-settle")
            self.ledger.landed(batch, landing.snapshot.snapshot_id)
            return self._settle(batch, landing, landing.snapshot.snapshot_id, outcomes)
        if landing.kind is LandingKind.SPENT:
            failpoints.hit("spent")
            return self.ledger.split(batch, landing, parts=2)
        if landing.kind is LandingKind.UNKNOWN:
            raise self._block(batch, landing.evidence)
        raise CatalogError(f"Batch {batch.id} was published, but the table does not show it.", hint="Run again.")

    def _settle(
        self, batch: Batch, landing: Landing, snapshot_id: int, outcomes: Sequence[FileOutcome] | None
    ) -> BatchReport:
        """Complete what belongs to a batch that landed, and end it. What can never be completed waits for a person."""
        try:
            outcomes = outcomes or commit.outcomes_of(self.engine, batch, landing)
            commit.complete_rejects(self.engine, batch, landing)
            report = self.ledger.settle(batch, outcomes, snapshot_id, landing.table_uuid)
        except LandingIncomplete as error:
            raise self._block(batch, f"It landed as snapshot {snapshot_id}, but {error.message}") from error
        failpoints.hit("settled")
        return report

    def _block(self, batch: Batch, evidence: str) -> IngestionBlocked:
        self.ledger.block(batch, evidence)
        return self._blocked(batch, evidence)

    def _blocked(self, batch: Batch, evidence: str) -> IngestionBlocked:
        name = self.ctx.ingestion.name
        files = "1 file" if batch.file_count == 1 else f"{batch.file_count:,} files"
        return IngestionBlocked(
            f"{name} is blocked: nobody can tell whether batch {batch.id} ({files}) is in"
            f" {self.ctx.ingestion.table_name}. {evidence}",
            hint=f"See the evidence and decide: autoloader ingestions resolve {name}",
        )
