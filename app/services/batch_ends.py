"""How a batch ends that is not loaded: halved, released, or its only file given up (protocol, point 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from app import failpoints
from app.errors import NotFound, SparkJobFailed
from app.ingest import commit, ledger
from app.ingest.ports import TRIAL_BYTES, Engine
from app.services.batch_ledger import BatchLedger, BatchReport
from app.services.context import RunContext
from app.services.engine_rule import EMBEDDED
from app.services.suspects import Suspect
from app.values import Batch, FileOutcome, FileState, Landing, LandingKind

Follow = Callable[[Batch, Landing], BatchReport]


class BatchEnds:
    """For one batch after the other. `follow` takes what turns out to have landed after all."""

    def __init__(self, ctx: RunContext, batches: BatchLedger, follow: Follow) -> None:
        self.ctx = ctx
        self.ledger = batches
        self.follow = follow

    # --- a parser that dies, processes that die

    def break_up(self, engine: Engine, batch: Batch, why: str) -> BatchReport:
        """The batch kills its parser: halve it until the bad file stands alone, and quarantine that one."""
        if batch.file_count > 1:
            self.ctx.progress.note(
                f"{why} The batch of {batch.file_count} files is halved to find the file that did it."
            )
            return self._halve(engine, batch)
        return self._give_up(engine, batch, FileState.QUARANTINED, ledger.DIED, why)

    # --- a job that fails on a cluster

    def narrow_down(self, engine: Engine, batch: Batch, cluster: str, error: SparkJobFailed) -> BatchReport:
        """The batch's job fails on the cluster, which names no file: halve it until the file stands alone.

        That one waits until the cluster has loaded something else, and fails if its job then fails again: in this run
        or a later one. Not so where many files failed in a row.
        Raises SparkJobFailed when too much has failed to look on.
        """
        if batch.file_count > 1:
            self.ctx.suspects.halve(cluster, error)
            return self.break_up(engine, batch, error.message)
        if not self.ctx.suspects.is_doubtful(cluster) and self.ledger.is_to_blame(batch):
            self.ctx.suspects.blame(cluster, error)
            return self.blame(engine, batch, error)
        self.ledger.failed_alone(batch)
        path = self.ledger.files(batch)[0].path
        if self.ctx.suspects.add(cluster, Suspect(batch, path, error)):
            self.require_none_waits()
        return BatchReport(batch.id, batch.state, waits=f"{error.message} Is it {path}? The others are tried first.")

    def try_out(self, batch: Batch) -> bool:
        """Whether the cluster gets through as much as the batch's only file has, and nothing of it.

        Then that is stored, as `loaded` does, for files that are no larger: so one to which no other comes is loaded or
        given up all the same.
        """
        cluster, file = str(batch.engine), self.ledger.files(batch)[0]
        try:
            went_through = self.ctx.engine_named(cluster).try_out(batch, file)
        except NotFound:  # the cluster was removed
            return False
        if went_through:
            self.ledger.others_loaded(cluster, None if file.size >= TRIAL_BYTES else file.size)
        return went_through

    def require_none_waits(self) -> None:
        """Raises SparkJobFailed for files that failed alone and wait; their cluster is tried out first."""
        waiting = self.ctx.suspects.waiting()
        self.ctx.suspects.require_none([cluster for cluster, batch in waiting.items() if self.try_out(batch)])

    def loaded(self, cluster: str) -> tuple[UUID, ...]:
        """The cluster has just loaded a batch, and can: answers those of this run that failed alone, to be tried again.

        It is stored for all that did, also in earlier runs.
        """
        if cluster == EMBEDDED:
            return ()
        self.ledger.others_loaded(cluster)
        return tuple(suspect.batch.id for suspect in self.ctx.suspects.loaded(cluster))

    def blame(self, engine: Engine, batch: Batch, error: SparkJobFailed) -> BatchReport:
        """Its only file fails its job, and the cluster does others: FAILED, and after its last attempt QUARANTINED."""
        path = self.ledger.files(batch)[0].path
        why = f"The job that loads {path} fails, while the cluster gets through other work: {error.message}"
        return self._give_up(engine, batch, FileState.FAILED, error.reason, why)

    # --- nothing of the batch is to be published

    def release(self, engine: Engine, batch: Batch, failed: Sequence[FileOutcome]) -> BatchReport:
        """Give the files back. Where a commit may be under way, its id is spent first, and they wait in a child."""
        landing = self._free(engine, batch)
        if landing.kind is LandingKind.NOT_LANDED:
            return self.ledger.release(batch, failed)
        if landing.kind is LandingKind.SPENT:
            return self.ledger.split(batch, landing, parts=1)
        return self.follow(batch, landing)

    # --- the protocol's part

    def _halve(self, engine: Engine, batch: Batch) -> BatchReport:
        landing = self._free(engine, batch)
        if landing.kind in {LandingKind.NOT_LANDED, LandingKind.SPENT}:
            return self.ledger.split(batch, _spent(landing), parts=2)
        return self.follow(batch, landing)

    def _give_up(self, engine: Engine, batch: Batch, state: FileState, reason: str, why: str) -> BatchReport:
        landing = self._free(engine, batch)
        if landing.kind in {LandingKind.NOT_LANDED, LandingKind.SPENT}:
            file = self.ledger.files(batch)[0]
            return self.ledger.give_up(
                batch, _spent(landing), FileOutcome(file.file_id, state, reason=reason, error=why)
            )
        return self.follow(batch, landing)

    def _free(self, engine: Engine, batch: Batch) -> Landing:
        landing = commit.free_id(engine, batch, never_sent=self._never_sent(batch))
        if landing.kind is LandingKind.SPENT:
            failpoints.hit("spent")
        return landing

    def _never_sent(self, batch: Batch) -> bool:
        """Whether this process made the first and only claim, in this lease epoch, and sent no commit.

        Claims before it that this run made and saw fail are over, and do no harm.
        """
        is_only = batch.claims == 1 + self.ctx.suspects.tries_of(batch.id)
        return is_only and batch.claim_epoch == self.ctx.lease.epoch and batch.id in self.ctx.unsent


def _spent(landing: Landing) -> Landing | None:
    return landing if landing.kind is LandingKind.SPENT else None
