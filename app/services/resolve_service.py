"""What no machine can decide, shown to a person and decided by them.

A decision holds the lease and is kept as a run whose trigger is `decision`; it leaves the table's history as it is,
for that is the evidence of what is still undecided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.errors import Conflict, LandingIncomplete, NotFound, TableChanged, TableNotFound
from app.ingest import commit
from app.ingest.ports import Engine
from app.repositories import batches, files, ingestions
from app.services import wiring
from app.services.batch_ledger import BatchLedger, BatchReport
from app.services.context import IngestionInfo, RunContext
from app.services.ingestion_service import IngestionService
from app.services.run_service import RunService
from app.services.table_checks import require_same
from app.values import Batch, BatchFile, BatchState, FileOutcome, FileState, Landing, LandingKind, Trigger

_SHOWN_FILES = 5


@dataclass(frozen=True, slots=True)
class Evidence:
    """One UNKNOWN batch: what was stored at its claim, what the table says now, and some of its files."""

    batch_id: UUID
    file_count: int
    byte_count: int
    claims: int
    claimed_table_uuid: UUID | None
    base_snapshot_id: int | None
    found: str  # why it became UNKNOWN
    table_now: str  # what the table says at this moment
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undecided:
    """What waits for a person: batches that block, or, without any, what became of the table; else None."""

    batches: list[Evidence]
    table_changed: str | None


class ResolveService:
    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    def undecided(self, name: str) -> Undecided:
        """What there is to decide. Changes nothing, and needs no lease."""
        found = self.evidence(name)
        return Undecided(found, None if found else self.table_changed(name))

    def evidence(self, name: str) -> list[Evidence]:
        """The batches that block the ingestion; empty when none does. Changes nothing, and needs no lease."""
        with self._looking(name) as (ingestion, engine):
            with self.database.read_scope() as session:
                rows = [
                    (batches.as_value(row), row.error or "", files.of_batch(session, row.id, _SHOWN_FILES))
                    for row in batches.unknown(session, ingestion.id)
                ]
            return [self._evidence(ingestion, engine, *row) for row in rows]

    def table_changed(self, name: str) -> str | None:
        """What there is to decide where no batch blocks: files were loaded into a table that is not there any more."""
        with self._looking(name) as (ingestion, engine):
            if ingestion.table_uuid is None:
                return None
            try:
                require_same(ingestion, engine.table_state)
            except TableChanged as changed:
                return str(changed)
        return None

    def _evidence(
        self, ingestion: IngestionInfo, engine: Engine, batch: Batch, error: str, first_files: list[BatchFile]
    ) -> Evidence:
        try:
            state, landing = engine.table_state(), engine.landing(batch)
            now = f"{state.name} has UUID {state.uuid} and head {state.head}; the batch is {landing.kind} there."
            now = f"{now} {landing.evidence}".rstrip()
        except TableNotFound:
            now = f"{ingestion.table_name} does not exist."
        return Evidence(
            batch_id=batch.id,
            file_count=batch.file_count,
            byte_count=batch.byte_count,
            claims=batch.claims,
            claimed_table_uuid=batch.table_uuid,
            base_snapshot_id=batch.base_snapshot_id,
            found=error,
            table_now=now,
            files=tuple(file.path for file in first_files),
        )

    def decide(self, name: str, batch_id: UUID, *, landed: bool) -> BatchReport:
        """End an UNKNOWN batch as the person says.

        `landed`: its files become SUCCESS, and nothing is written. Otherwise its id is spent on the table as it
        stands, so that nobody can land it later, and its files wait in a new batch for the next run.
        Raises NotFound, and Conflict when the batch is not UNKNOWN or the table shows the contrary.
        """
        with self._run(name) as ctx:
            ledger = BatchLedger(ctx)
            batch, _ = ledger.load(batch_id)
            if batch.state is not BatchState.UNKNOWN:
                raise Conflict(
                    f"Batch {batch_id} is {batch.state}, not UNKNOWN: there is nothing to decide.",
                    hint=f"See what waits for you: autoloader ingestions show {ctx.ingestion.name}",
                )
            report = self._landed(ctx, ledger, batch) if landed else self._not_landed(ctx, ledger, batch)
            self._end(ctx)
            return report

    def _landed(self, ctx: RunContext, ledger: BatchLedger, batch: Batch) -> BatchReport:
        landing = self._as_of_now(ctx, batch)
        if landing is None or landing.kind is not LandingKind.LANDED or landing.snapshot is None:
            return ledger.settle(batch, _by_hand(ledger.files(batch)), None, None)
        outcomes = self._outcomes(ctx, ledger.files(batch), batch, landing)
        with suppress(LandingIncomplete):  # its rejects are gone: what is in the table is settled without them
            commit.complete_rejects(ctx.engine, batch, landing)
        return ledger.settle(batch, outcomes, landing.snapshot.snapshot_id, landing.table_uuid)

    def _outcomes(
        self, ctx: RunContext, files: Sequence[BatchFile], batch: Batch, landing: Landing
    ) -> Sequence[FileOutcome]:
        """What the receipt says; the person's word for all files where it is gone or of other files."""
        try:
            outcomes = commit.outcomes_of(ctx.engine, batch, landing)
        except LandingIncomplete:
            return _by_hand(files)
        same = {outcome.file_id for outcome in outcomes} == {file.file_id for file in files}
        return outcomes if same else _by_hand(files)

    def _not_landed(self, ctx: RunContext, ledger: BatchLedger, batch: Batch) -> BatchReport:
        landing = self._as_of_now(ctx, batch)
        if landing is None:
            return ledger.release(batch, ())
        if landing.kind is not LandingKind.LANDED:  # also SPENT: only the spending that is on main now counts
            landing = commit.free_id(ctx.engine, self._rebased(ctx, batch), never_sent=False)
        if landing.kind is LandingKind.LANDED and landing.snapshot is not None:
            raise Conflict(
                f"Batch {batch.id} is in the table: snapshot {landing.snapshot.snapshot_id} carries it.",
                hint=f"Say so: autoloader ingestions resolve {ctx.ingestion.name} --landed {batch.id}",
            )
        if landing.kind is not LandingKind.SPENT:
            raise Conflict(f"The id of batch {batch.id} could not be taken. {landing.evidence}", hint="Try again.")
        return ledger.split(batch, landing, parts=1)

    def _as_of_now(self, ctx: RunContext, batch: Batch) -> Landing | None:
        """Where the batch is by the table's whole present history; None when there is no table."""
        try:
            return ctx.engine.landing(replace(batch, table_uuid=None, base_snapshot_id=None))
        except TableNotFound:
            return None

    def _rebased(self, ctx: RunContext, batch: Batch) -> Batch:
        state = ctx.engine.table_to_claim()
        return replace(batch, table_uuid=state.uuid, base_snapshot_id=state.head)

    def accept_table(self, name: str) -> UUID | None:
        """Go on with the table as it is now (None: it will be made anew) and with new files only.

        Files that were loaded into the table of before stay SUCCESS. Answers the UUID.
        """
        with self._run(name) as ctx:
            try:
                uuid = ctx.engine.table_state().uuid
            except TableNotFound:
                uuid = None
            with ctx.lease.transaction() as session:
                row = ingestions.by_id(session, ctx.ingestion.id)
                if row is None:
                    raise NotFound(f"There is no ingestion {name!r}.", hint="See: autoloader ingestions list")
                row.table_uuid = uuid
            self._end(ctx)
            return uuid

    def _run(self, name: str) -> AbstractContextManager[RunContext]:
        found = IngestionService(self.database, self.settings).find(name)
        return RunService(self.database, self.settings).start(found.id, Trigger.DECISION, even_paused=True)

    def _end(self, ctx: RunContext) -> None:
        RunService(self.database, self.settings).finish(ctx, upkeep=False)

    @contextmanager
    def _looking(self, name: str) -> Iterator[tuple[IngestionInfo, Engine]]:
        """The ingestion, and its engine to ask about the table."""
        found = IngestionService(self.database, self.settings).find(name)
        with (
            wiring.opened_sandbox(self.settings) as sandbox,
            wiring.opened_engine(self.database, self.settings, found, sandbox) as engine,
        ):
            yield found, engine


def _by_hand(files: Sequence[BatchFile]) -> list[FileOutcome]:
    note = "A person said that the batch had landed."
    return [FileOutcome(file.file_id, FileState.SUCCESS, reason="by-hand", error=note) for file in files]
