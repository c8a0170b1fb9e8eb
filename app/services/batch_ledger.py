"""What the ledger learns about one batch: each method is one fenced, short transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from app import failpoints
from app.database import Session
from app.errors import LandingIncomplete, NotFound
from app.ingest import ledger, planning
from app.models import Batch as BatchRow
from app.repositories import batches, file_moves, files, ingestions
from app.services import blank_rows
from app.services.context import RunContext
from app.values import Batch, BatchFile, BatchState, FileOutcome, FileState, Landing, TableState

LANDED = "landed"
RELEASED = "released"  # nothing of it landed, and nothing will
SPLIT = "split"
QUARANTINED = "quarantined"  # its only file cannot be loaded
GIVEN_UP = {FileState.QUARANTINED: QUARANTINED, FileState.FAILED: RELEASED}


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What processing a batch came to. `children`, and those to be tried `again`, are to be processed next."""

    batch_id: UUID
    state: BatchState
    files: Counter[str] = field(default_factory=Counter)  # file state → files
    rows: int = 0
    rescued: int = 0
    rejected: int = 0
    byte_count: int = 0
    snapshot_id: int | None = None
    children: tuple[UUID, ...] = ()
    again: tuple[UUID, ...] = ()  # failed alone before this one was loaded
    waits: str = ""  # why it was left for another time

    @property
    def next(self) -> tuple[UUID, ...]:
        return (*self.children, *self.again)


class BatchLedger:
    """The ledger's side of a run's batches."""

    def __init__(self, ctx: RunContext) -> None:
        self.ctx = ctx

    def load(self, batch_id: UUID) -> tuple[Batch, int]:
        """The batch, and how many claims in a row ended without an answer."""
        with self.ctx.lease.transaction() as session:
            row = batches.by_id(session, batch_id)
            if row is None or row.ingestion_id != self.ctx.ingestion.id:
                raise NotFound(
                    f"There is no batch {batch_id} of {self.ctx.ingestion.name}.",
                    hint=f"Look at its runs: autoloader runs list {self.ctx.ingestion.name}",
                )
            return batches.as_value(row), row.unanswered

    def files(self, batch: Batch) -> list[BatchFile]:
        with self.ctx.lease.transaction() as session:
            return files.of_batch(session, batch.id)

    def is_to_blame(self, batch: Batch) -> bool:
        """Whether a file that stands alone failed, and again after its engine had got through something else."""
        with self.ctx.lease.transaction() as session:
            row = self._row(session, batch.id)
            return row.others_loaded is not None and row.claims > row.others_loaded

    def failed_alone(self, batch: Batch) -> None:
        """Its only file's job failed, which is no proof: what its engine loaded before that says nothing any more."""
        with self.ctx.lease.transaction() as session:
            batches.change(session, batch.id, unanswered=0, failed_alone=True, others_loaded=None)

    def unheard_alone(self, batch: Batch) -> None:
        """The same, when no attempt to load it was answered. Where that is known already it changes nothing."""
        with self.ctx.lease.transaction() as session:
            batches.change(session, batch.id, failed_alone=True)

    def others_loaded(self, engine: str, at_most: int | None = None) -> None:
        """The engine has loaded a batch of the ingestion, or got through a trial of `at_most` bytes: a proof against
        those files, no larger than that, which fail their job again.
        """
        with self.ctx.lease.transaction() as session:
            batches.note_others_loaded(session, self.ctx.ingestion.id, engine, at_most)

    def claim(self, batch: Batch, state: TableState, engine: str, job: str | None) -> tuple[Batch, list[BatchFile]]:
        """Files become PROCESSING before data is touched; the first claim stores the base (protocol, point 4).

        `engine` and `job` are stored for whoever heals it: what may be left at work, and where.
        """
        now = self.ctx.clock.now()
        with self.ctx.lease.transaction() as session:
            row = self._row(session, batch.id)
            ledger.require_batch_move(batch.id, BatchState(row.state), BatchState.CLAIMED)
            first = row.claims == 0
            batches.claim(
                session,
                row,
                epoch=self.ctx.lease.epoch,
                base=(state.uuid, state.head),
                now=now,
                engine=engine,
                job=job,
            )
            file_moves.claim(session, batch.id, self.ctx.run_id, now, first=first, expected=row.file_count)
            return batches.as_value(row), files.of_batch(session, batch.id)

    def answered(self, batch: Batch) -> None:
        """The claim ended with an error or an interrupt: it was not the batch that killed a process."""
        with self.ctx.lease.transaction() as session:
            batches.change(session, batch.id, unanswered=0)

    def landed(self, batch: Batch, snapshot_id: int) -> None:
        if batch.state is BatchState.LANDED:
            return
        with self.ctx.lease.transaction() as session:
            self._move(session, batch.id, BatchState.LANDED, snapshot_id=snapshot_id)

    def settle(
        self, batch: Batch, outcomes: Sequence[FileOutcome], snapshot_id: int | None, table_uuid: UUID | None
    ) -> BatchReport:
        """Every file of a landed batch gets what became of it, and the batch ends."""
        now = self.ctx.clock.now()
        with self.ctx.lease.transaction() as session:
            final = self._final(session, batch, outcomes)
            blank_rows.count(session, self.ctx.run_id, batch.id, outcomes)
            file_moves.settle(session, batch.id, final, snapshot_id, now)
            failpoints.hit("mid-settle")
            file_moves.settled_events(session, batch.id, self.ctx.run_id, now)
            report = _report(batch, final, snapshot_id)
            self._end(session, report, LANDED)
            row = ingestions.by_id(session, batch.ingestion_id)
            if row is not None and row.table_uuid is None:
                row.table_uuid = table_uuid
        if self.ctx.ingestion.table_uuid is None:  # the run's further batches must not make the table again
            self.ctx.ingestion = replace(self.ctx.ingestion, table_uuid=table_uuid)
        return report

    def release(self, batch: Batch, failed: Sequence[FileOutcome]) -> BatchReport:
        """End a batch whose commit was never sent: `failed` files keep their outcome, the others wait again."""
        now = self.ctx.clock.now()
        with self.ctx.lease.transaction() as session:
            attempts = files.attempts_of(session, batch.id)
            final = ledger.final_outcomes(failed, attempts, self.ctx.max_attempts)
            file_moves.settle(session, batch.id, final, None, now)
            file_moves.set_free(session, batch.id, expected=batch.file_count - len(final))
            file_moves.settled_events(session, batch.id, self.ctx.run_id, now)
            report = _report(batch, final, None)
            self._end(session, report, RELEASED)
        return report

    def split(self, batch: Batch, spent: Landing | None, *, parts: int) -> BatchReport:
        """Move the files into children, in the transaction that ends the parent (protocol, point 6).

        A child's base is the spending snapshot, or the parent's own where no commit was ever sent.
        """
        now = self.ctx.clock.now()
        with self.ctx.lease.transaction() as session:
            members = [(file.file_id, file.size) for file in files.of_batch(session, batch.id)]
            cuts = planning.halves(members) if parts > 1 and len(members) > 1 else (planning.whole(members),)
            base = (batch.table_uuid, batch.base_snapshot_id)
            if spent is not None and spent.snapshot is not None:
                base = (spent.table_uuid, spent.snapshot.snapshot_id)
            children = []
            for cut in cuts:
                child = BatchRow(
                    id=uuid4(),
                    ingestion_id=batch.ingestion_id,
                    run_id=self.ctx.run_id,
                    parent_id=batch.id,
                    state=BatchState.PLANNED.value,
                    file_count=cut.files,
                    byte_count=cut.size,
                    table_uuid=base[0],
                    base_snapshot_id=base[1],
                    created_at=now,
                )
                batches.add(session, child)
                file_moves.hand_over(session, batch.id, child.id, cut.first, cut.last, expected=cut.files)
                file_moves.batch_events(session, child.id, self.ctx.run_id, now)
                children.append(child.id)
            state = BatchState.SPENT if spent is not None else BatchState.SETTLED
            snapshot_id = spent.snapshot.snapshot_id if spent is not None and spent.snapshot else None
            report = BatchReport(batch.id, state, snapshot_id=snapshot_id, children=tuple(children))
            self._end(session, report, SPLIT)
        return report

    def give_up(self, batch: Batch, spent: Landing | None, outcome: FileOutcome) -> BatchReport:
        """End a batch of one file that cannot be loaded. FAILED becomes QUARANTINED after the file's last attempt."""
        now = self.ctx.clock.now()
        with self.ctx.lease.transaction() as session:
            final = self._final(session, batch, [outcome])
            file_moves.settle(session, batch.id, final, None, now)
            file_moves.settled_events(session, batch.id, self.ctx.run_id, now)
            snapshot_id = spent.snapshot.snapshot_id if spent is not None and spent.snapshot else None
            state = BatchState.SPENT if spent is not None else BatchState.SETTLED
            report = replace(_report(batch, final, snapshot_id), state=state)
            self._end(session, report, GIVEN_UP[final[0].state])
        return report

    def block(self, batch: Batch, evidence: str) -> None:
        """What no machine can decide waits for a person."""
        with self.ctx.lease.transaction() as session:
            self._move(session, batch.id, BatchState.UNKNOWN, error=evidence, unanswered=0)

    # --- within a transaction ----------------------------------------------------------------

    def _row(self, session: Session, batch_id: UUID) -> BatchRow:
        row = batches.by_id(session, batch_id)
        if row is None:
            raise NotFound(
                f"Batch {batch_id} vanished from the ledger.", hint="Was its ingestion deleted meanwhile? Run again."
            )
        return row

    def _move(self, session: Session, batch_id: UUID, state: BatchState, **columns: object) -> None:
        """Change the batch's state. Raises IllegalTransition."""
        ledger.require_batch_move(batch_id, BatchState(self._row(session, batch_id).state), state)
        batches.change(session, batch_id, state=state.value, **columns)

    def _final(self, session: Session, batch: Batch, outcomes: Sequence[FileOutcome]) -> tuple[FileOutcome, ...]:
        attempts = files.attempts_of(session, batch.id)
        if {outcome.file_id for outcome in outcomes} != attempts.keys():
            raise LandingIncomplete(
                f"The receipt of batch {batch.id} names {len(outcomes)} files, the ledger {len(attempts)}:"
                " they differ.",
                hint="Do not change receipts or the ledger by hand.",
            )
        return ledger.final_outcomes(outcomes, attempts, self.ctx.max_attempts)

    def _end(self, session: Session, report: BatchReport, outcome: str) -> None:
        self._move(
            session,
            report.batch_id,
            report.state,
            outcome=outcome,
            snapshot_id=report.snapshot_id,
            row_count=report.rows,
            rescued_count=report.rescued,
            rejected_count=report.rejected,
            loaded_count=report.files[FileState.SUCCESS],
            failed_count=report.files[FileState.FAILED],
            quarantined_count=report.files[FileState.QUARANTINED],
            skipped_count=report.files[FileState.SKIPPED],
            settled_run_id=self.ctx.run_id,
            settled_at=self.ctx.clock.now(),
            unanswered=0,
        )


def _report(batch: Batch, outcomes: Sequence[FileOutcome], snapshot_id: int | None) -> BatchReport:
    return BatchReport(
        batch_id=batch.id,
        state=BatchState.SETTLED,
        files=Counter(outcome.state for outcome in outcomes),
        rows=sum(outcome.rows for outcome in outcomes),
        rescued=sum(outcome.rescued for outcome in outcomes),
        rejected=sum(outcome.rejected for outcome in outcomes),
        byte_count=batch.byte_count,
        snapshot_id=snapshot_id,
    )
