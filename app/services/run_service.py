"""The steps of a run: start, discover, plan, process, finish or fail. Flow and orchestrator call the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from app import failpoints
from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError, Conflict, IngestionBlocked, Interrupted, LeaseLost, NotFound
from app.ingest import discovery, ledger, planning
from app.ingest.ports import Clock, Progress, SilentProgress, SystemClock
from app.log import bound, get_logger
from app.models import Batch as BatchRow
from app.models import Run
from app.repositories import batches, files, ingestions, runs
from app.services import lease_service, metrics, wiring
from app.services.batch_ledger import BatchReport
from app.services.batch_service import BatchService
from app.services.context import IngestionInfo, RunContext
from app.services.schema_service import SchemaService
from app.values import BatchState, FileState, ListedPage, RunState, Trigger

log = get_logger(__name__)
_WAITING_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The batches to process, unfinished ones of earlier runs first; files and bytes over all of them."""

    batch_ids: tuple[UUID, ...]
    file_count: int
    byte_count: int


class RunService:
    """Steps of runs. One object serves many runs; all state of one is in its RunContext and the database."""

    def __init__(self, database: Database, settings: Settings, clock: Clock | None = None) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()

    # --- start -------------------------------------------------------------------------------

    @contextmanager
    def start(
        self,
        ingestion_id: UUID,
        trigger: Trigger = Trigger.MANUAL,
        *,
        external_key: str | None = None,
        progress: Progress | None = None,
        even_paused: bool = False,
    ) -> Iterator[RunContext]:
        """Take the lease and store a run record; both end with the block.

        `external_key` makes starting idempotent: a key whose run has ended raises Conflict. Raises NotFound,
        Conflict (paused), LeaseHeld. Runs that an earlier owner left RUNNING become FAILED.
        """
        progress = progress or SilentProgress()
        ingestion = self._ingestion(ingestion_id)
        if ingestion.paused and not even_paused:
            raise Conflict(
                f"{ingestion.name} is paused.", hint=f"Resume it: autoloader ingestions resume {ingestion.name}"
            )
        run_id = self._run_id(external_key)
        with (
            lease_service.hold(self.database, self.settings, ingestion_id, run_id, progress) as lease,
            bound(run_id=str(run_id), ingestion_id=str(ingestion_id)),
        ):
            ingestion = self._ingestion(ingestion_id)  # the owner before us may have learned schema and table
            self._record_start(lease, ingestion, run_id, trigger, external_key)
            try:
                with (
                    wiring.opened_sandbox(self.settings) as sandbox,
                    wiring.opened_engine(self.database, self.settings, ingestion, sandbox) as engine,
                ):
                    yield RunContext(
                        database=self.database,
                        settings=self.settings,
                        ingestion=ingestion,
                        run_id=run_id,
                        lease=lease,
                        engine=engine,
                        sandbox=sandbox,
                        progress=progress,
                        clock=self.clock,
                    )
            except BaseException as error:
                self._record_failure(lease, run_id, error)
                raise

    def _ingestion(self, ingestion_id: UUID) -> IngestionInfo:
        with self.database.session_scope() as session:
            row = ingestions.by_id(session, ingestion_id)
            if row is None or row.deleted_at is not None:
                raise NotFound(f"There is no ingestion {ingestion_id}.", hint="See: autoloader ingestions list")
            return IngestionInfo.of(row)

    def _run_id(self, external_key: str | None) -> UUID:
        if external_key is None:
            return uuid4()
        with self.database.session_scope() as session:
            run = runs.by_key(session, external_key)
            if run is None:
                return uuid4()
            if run.state != RunState.RUNNING:
                raise Conflict(f"Run {run.id} of key {external_key} has ended: {run.state}.")
            return run.id

    def _record_start(
        self,
        lease: lease_service.HeldLease,
        ingestion: IngestionInfo,
        run_id: UUID,
        trigger: Trigger,
        external_key: str | None,
    ) -> None:
        now = self.clock.now()
        with lease.transaction() as session:
            for left in runs.running(session, ingestion.id):
                if left.id != run_id:
                    left.state, left.finished_at, left.error_code = RunState.FAILED.value, now, "abandoned"
                    left.error = "The process that ran it died; the next run finished its batches."
            if runs.by_id(session, run_id) is None:
                run = Run(
                    id=run_id,
                    tenant_id=ingestion.tenant_id,
                    ingestion_id=ingestion.id,
                    trigger=trigger.value,
                    state=RunState.RUNNING.value,
                    external_key=external_key,
                    lease_epoch=lease.epoch,
                    started_at=now,
                    metrics={},
                )
                runs.add(session, run)

    # --- discover ----------------------------------------------------------------------------

    def discover(self, ctx: RunContext) -> metrics.Discovered:
        """List the source and record what is new, page by page (design, steps 1 and 2)."""
        found = metrics.Discovered()
        ctx.progress.step("discover")
        with (
            metrics.timed(ctx.seconds, "discover"),
            wiring.opened_source(self.database, self.settings, ctx.ingestion) as store,
        ):
            rules = wiring.rules_of(self.settings, ctx.ingestion.shape.source)
            pages = discovery.discover(store, rules, now=self.clock.now(), created_at=ctx.ingestion.created_at)
            for page in pages:
                failpoints.hit("listed")
                self._record(ctx, page, found)
                failpoints.hit("recorded")
                ctx.progress.advance("discover", page.seen, page.bytes)
                ctx.lease.check()
        with ctx.lease.transaction() as session:
            metrics.store(session, ctx.run_id, "discovered", found.as_json())
        return found

    def _record(self, ctx: RunContext, page: ListedPage, found: metrics.Discovered) -> None:
        found.add_page(page)
        on_change = ctx.ingestion.shape.policies.on_change
        with self.database.session_scope() as session:  # most pages bring nothing: then nothing is written
            verdicts = ledger.compare(session, ctx.ingestion.id, page, on_change, found.recorded)
        if verdicts:
            with ctx.lease.transaction() as session:
                ledger.store(session, ctx.ingestion.id, ctx.run_id, verdicts, self.clock.now())

    # --- plan --------------------------------------------------------------------------------

    def plan(self, ctx: RunContext) -> Plan:
        """Cut the waiting files into stored batches (design, step 3), behind those that are unfinished.

        Raises IngestionBlocked while a batch is UNKNOWN, and Conflict for files that changed under
        `on_change: fail`.
        """
        ctx.progress.step("plan")
        with metrics.timed(ctx.seconds, "plan"):
            self._refuse_blocked(ctx)
            with ctx.lease.transaction() as session:
                old = [
                    (row.id, row.file_count, row.byte_count) for row in batches.unfinished(session, ctx.ingestion.id)
                ]
                waiting = bool(files.waiting(session, ctx.ingestion.id, 0, 1))
            if waiting and ctx.ingestion.table_uuid is None and ctx.ingestion.schema is None:
                ctx.ingestion = SchemaService(self.database, self.settings).learn(ctx)
                ctx.engine.schema = ctx.ingestion.schema
            old += self._cut(ctx)
            if old:
                self._tell_of_table(ctx)
        failpoints.hit("planned")
        return Plan(tuple(i for i, _, _ in old), sum(n for _, n, _ in old), sum(b for _, _, b in old))

    def _tell_of_table(self, ctx: RunContext) -> None:
        """What a person should know of the table before it is loaded. Told where something is loaded: once in a run."""
        if warning := ctx.engine.retention_warning():
            log.warning("the table's own retention is short", warning=warning)
            ctx.progress.note(warning)
        # Later runs meet a table that the ingestion has loaded: then it was told.
        if ctx.ingestion.table_uuid is None and (ignored := ctx.engine.ignored_settings()):
            ctx.progress.note(ignored)

    def _refuse_blocked(self, ctx: RunContext) -> None:
        name = ctx.ingestion.name
        with ctx.lease.transaction() as session:
            unknown = batches.unknown(session, ctx.ingestion.id)
            changed = files.count_with_reason(session, ctx.ingestion.id, FileState.QUARANTINED, ledger.ON_CHANGE_FAIL)
        if unknown:
            raise IngestionBlocked(
                f"{name} is blocked: nobody can tell whether batch {unknown[0].id} is in the table. {unknown[0].error}",
                hint=f"See the evidence and decide: autoloader ingestions resolve {name}",
            )
        if changed:
            raise Conflict(
                f"{changed} files of {name} changed after they were loaded, and it says on_change: fail.",
                hint=f"See them: autoloader files list {name} --state QUARANTINED;"
                " then `files retry` loads the new version too, `files skip` leaves it out.",
            )

    def _cut(self, ctx: RunContext) -> list[tuple[UUID, int, int]]:
        policies = ctx.ingestion.shape.policies
        made = []
        cuts = planning.cut(
            self._waiting(ctx),
            policies.batch_max_files or self.settings.batch_max_files,
            policies.batch_max_bytes or self.settings.batch_max_bytes,
        )
        for cut in cuts:
            batch_id = uuid4()
            with ctx.lease.transaction() as session:
                batch = BatchRow(
                    id=batch_id,
                    ingestion_id=ctx.ingestion.id,
                    run_id=ctx.run_id,
                    state=BatchState.PLANNED.value,
                    file_count=cut.files,
                    byte_count=cut.size,
                    created_at=self.clock.now(),
                )
                batches.add(session, batch)
                batch.file_count = files.assign(session, ctx.ingestion.id, batch_id, cut.first, cut.last)
            made.append((batch_id, cut.files, cut.size))
        return made

    def _waiting(self, ctx: RunContext) -> Iterator[tuple[int, int]]:
        after = 0
        while True:
            with self.database.session_scope() as session:
                chunk = files.waiting(session, ctx.ingestion.id, after, _WAITING_CHUNK)
            if not chunk:
                return
            yield from chunk
            after = chunk[-1][0]

    # --- process -----------------------------------------------------------------------------

    def process(self, ctx: RunContext, batch_id: UUID) -> BatchReport:
        """Claim, write, publish and settle one batch, or finish one that was begun (design, steps 4 to 6)."""
        with metrics.timed(ctx.seconds, "load"):
            return BatchService(ctx).process(batch_id)

    # --- finish ------------------------------------------------------------------------------

    def finish(self, ctx: RunContext, *, stopped_early: bool = False) -> metrics.RunSummary:
        """End the run with its metrics: SUCCESS, or PARTIAL when a file was not loaded or work still waits."""
        ctx.progress.step("finish")
        self._expire(ctx)
        with ctx.lease.transaction() as session:
            summary = metrics.summarize(session, ctx, stopped_early=stopped_early)
            run = runs.by_id(session, ctx.run_id)
            if run is None:
                raise NotFound(f"Run {ctx.run_id} vanished.")
            run.state, run.finished_at, run.metrics = summary.state.value, self.clock.now(), summary.metrics
        return summary

    def _expire(self, ctx: RunContext) -> None:
        """Expire old snapshots as far as point 11 allows. Upkeep: what fails here is told, and tried again."""
        with ctx.lease.transaction() as session:
            sharing = [row.id for row in ingestions.into_table(session, ctx.ingestion.table_name)]
            # None is the base of a batch that began on an empty table: it needs the whole history.
            claimed = [row for row in batches.into_table(session, sharing) if row.table_uuid is not None]
            bases = frozenset(row.base_snapshot_id for row in claimed)
        before = self.clock.now() - timedelta(seconds=self.settings.snapshot_retention_seconds)
        try:
            ctx.engine.expire(bases, before)
        except AutoloaderError as error:
            log.warning("old snapshots were not expired", error=str(error))

    def _record_failure(self, lease: lease_service.HeldLease, run_id: UUID, error: BaseException) -> None:
        """End the run as FAILED or CANCELLED. A run that lost its lease may write nothing: its successor did."""
        if isinstance(error, LeaseLost):
            return
        cancelled = isinstance(error, Interrupted | KeyboardInterrupt)
        known = error if isinstance(error, AutoloaderError | Interrupted) else None
        try:
            with lease.transaction() as session:
                run = runs.by_id(session, run_id)
                if run is None or run.state != RunState.RUNNING:
                    return
                run.state = (RunState.CANCELLED if cancelled else RunState.FAILED).value
                run.finished_at = self.clock.now()
                run.error_code = known.code if known else type(error).__name__
                run.error = str(error) or type(error).__name__
                run.metrics = metrics.of_run(session, run)
        except AutoloaderError as second:
            log.warning("the run's end could not be stored; the next run will", error=str(second))
