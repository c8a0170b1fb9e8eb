"""The steps of a run: start, discover, plan, process, finish or fail. Flow and orchestrator call the same ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

from app import failpoints
from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError, Conflict, LeaseLost, NotFound
from app.ingest import discovery, ledger
from app.ingest.ports import Clock, Progress, SilentProgress, SystemClock
from app.log import bound, get_logger
from app.repositories import ingestions, runs
from app.services import (
    all_rejected,
    blank_rows,
    lease_service,
    metrics,
    rerun_service,
    run_records,
    sources,
    upkeep_service,
    wiring,
)
from app.services.batch_ledger import BatchReport
from app.services.batch_service import BatchService
from app.services.context import STOPS, IngestionInfo, RunContext, Stops
from app.services.engine_choice import require_engine
from app.services.plan_service import Plan, PlanService
from app.values import ListedPage, Trigger

log = get_logger(__name__)


class RunService:
    """Steps of runs. One object serves many runs; all state of one is in its RunContext and the database."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock | None = None,
        stops: Stops = STOPS,
    ) -> None:
        """`stops` are the exceptions that somebody stops a run with: it then ends CANCELLED."""
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.stops = stops

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

        `external_key` makes starting idempotent: one key is one run, and raises Conflict once that has loaded all
        there was. Raises NotFound, Conflict (paused), LeaseHeld. Runs that an earlier owner left RUNNING become FAILED.
        """
        progress = progress or SilentProgress()
        ingestion = self._ingestion(ingestion_id)
        if ingestion.paused and not even_paused:
            raise Conflict(
                f"{ingestion.name} is paused.", hint=f"Resume it: autoloader ingestions resume {ingestion.name}"
            )
        with self.database.read_scope() as session:
            run_id = run_records.id_for(session, ingestion_id, external_key)
        with lease_service.hold(self.database, self.settings, ingestion_id, run_id, progress) as lease:
            ingestion = self._ingestion(ingestion_id)  # the owner before us may have learned schema and table
            run_id = self._record_start(lease, ingestion, run_id, trigger, external_key)
            try:
                with self._opened(ingestion, run_id, lease, progress) as ctx:
                    yield ctx
            except BaseException as error:
                if not isinstance(error, LeaseLost):  # its successor writes
                    self._end(lease, run_id, run_records.ending_of(error, self.stops))
                raise

    @contextmanager
    def _opened(
        self, ingestion: IngestionInfo, run_id: UUID, lease: lease_service.HeldLease, progress: Progress
    ) -> Iterator[RunContext]:
        """What the run works with, closed with the block. Raises InvalidInput for an engine that cannot be."""
        with (
            bound(run_id=str(run_id), ingestion_id=str(ingestion.id)),
            wiring.opened_sandbox(self.settings) as sandbox,
            ExitStack() as opened,
        ):
            with self.database.read_scope() as session:
                require_engine(session, ingestion.tenant_id, ingestion.shape, ingestion.table_name)
            mine = wiring.ForRun(run_id, lease.lost.is_set)
            engine = partial(wiring.opened_engine, self.database, self.settings, ingestion, sandbox, run=mine)
            yield RunContext(
                database=self.database,
                settings=self.settings,
                ingestion=ingestion,
                run_id=run_id,
                lease=lease,
                open_engine=lambda name: opened.enter_context(engine(name=name)),
                sandbox=sandbox,
                progress=progress,
                clock=self.clock,
                stops=self.stops,
            )

    def _ingestion(self, ingestion_id: UUID) -> IngestionInfo:
        with self.database.session_scope() as session:
            row = ingestions.by_id(session, ingestion_id)
            if row is None or row.deleted_at is not None:
                raise NotFound(f"There is no ingestion {ingestion_id}.", hint="See: autoloader ingestions list")
            return IngestionInfo.of(row)

    def _record_start(
        self,
        lease: lease_service.HeldLease,
        ingestion: IngestionInfo,
        run_id: UUID,
        trigger: Trigger,
        external_key: str | None,
    ) -> UUID:
        start = run_records.Start(run_id, ingestion, trigger, external_key, self.clock.now())
        with lease.transaction() as session:
            return run_records.begin(session, start, lease.epoch)

    def refuse(
        self, ingestion_id: UUID, trigger: Trigger, error: AutoloaderError, *, external_key: str | None = None
    ) -> None:
        """Store a run that could not begin, with the reason. Raises NotFound for the ingestion."""
        start = run_records.Start(uuid4(), self._ingestion(ingestion_id), trigger, external_key, self.clock.now())
        with self.database.session_scope() as session:
            run_records.refuse(session, start, run_records.ending_of(error, self.stops))

    def succeeded(self, external_key: str) -> metrics.RunSummary | None:
        """The result of the key's run, if it has loaded all there was: then it is not to be started again."""
        with self.database.session_scope() as session:
            return run_records.succeeded(session, external_key)

    # --- discover ----------------------------------------------------------------------------

    def discover(self, ctx: RunContext) -> metrics.Discovered:
        """List the source and record what is new, page by page (design, steps 1 and 2)."""
        with self.database.session_scope() as session:
            found = metrics.Discovered.after(metrics.stored(session, ctx.run_id, "discovered"))
        ctx.progress.step("discover")
        with (
            metrics.timed(ctx.seconds, "discover"),
            sources.opened_source(self.database, self.settings, ctx.ingestion) as store,
        ):
            rules = sources.rules_of(self.settings, ctx.ingestion.shape.source)
            made = ctx.ingestion.created_at
            pages = discovery.discover(store, rules, now=self.clock.now(), created_at=made, wait=self._wait)
            for page in pages:
                failpoints.hit("listed")
                self._record(ctx, page, found)
                failpoints.hit("recorded")
                ctx.progress.advance("discover", page.seen, page.bytes)
                ctx.lease.check()
        with ctx.lease.transaction() as session:
            metrics.store(session, ctx.run_id, "discovered", found.as_json())
        return found

    def _wait(self, moment: datetime) -> datetime:
        """Sleep until then; answers what the clock says."""
        time.sleep(max(0.0, (moment - self.clock.now()).total_seconds()))
        return self.clock.now()

    def _record(self, ctx: RunContext, page: ListedPage, found: metrics.Discovered) -> None:
        found.add_page(page)
        on_change = ctx.ingestion.shape.policies.on_change
        with self.database.session_scope() as session:  # most pages bring nothing: then nothing is written
            verdicts = ledger.compare(session, ctx.ingestion.id, page, on_change, found.recorded)
        if verdicts:
            with ctx.lease.transaction() as session:
                ledger.store(session, ctx.ingestion.id, ctx.run_id, verdicts, self.clock.now())
                metrics.store(session, ctx.run_id, "discovered", found.as_json())

    # --- plan --------------------------------------------------------------------------------

    def plan(self, ctx: RunContext) -> Plan:
        """Cut the waiting files into stored batches (design, step 3), behind those that are unfinished. Files that
        stood alone with a cluster and did not get through come last: whether they are to blame, the others tell.

        Raises IngestionBlocked while a batch is UNKNOWN, and Conflict for files that changed under
        `on_change: fail`.
        """
        ctx.progress.step("plan")
        with metrics.timed(ctx.seconds, "plan"):
            planned = PlanService(self.database, self.settings, self.clock).plan(ctx)
        failpoints.hit("planned")
        return planned

    # --- process -----------------------------------------------------------------------------

    def process(self, ctx: RunContext, batch_id: UUID) -> BatchReport:
        """Claim, write, publish and settle one batch, or finish one that was begun (design, steps 4 to 6)."""
        with metrics.timed(ctx.seconds, "load"):
            return BatchService(ctx).process(batch_id)

    # --- finish ------------------------------------------------------------------------------

    def finish(
        self, ctx: RunContext, *, stopped_early: bool = False, goes_on: bool = False, upkeep: bool = True
    ) -> metrics.RunSummary:
        """End the run with its metrics: SUCCESS, or PARTIAL when a file was not loaded or work still waits (for a
        cluster, then the run's error says so), or when not one record of its files could be loaded.

        `goes_on`: what waits after an early stop is for another run, asked for at once; not if this one landed nothing,
        as the next would not either. Without `upkeep` the table's history is left as it is.
        """
        ctx.progress.step("finish")
        if ctx.put_off.batches > 1:
            ctx.progress.note(ctx.put_off.sentence)
        if upkeep:
            upkeep_service.expire(ctx)
        if ctx.suspects.waiting():
            BatchService(ctx).require_none_waits()
        with ctx.lease.transaction() as session:
            summary = metrics.summarize(session, ctx, stopped_early=stopped_early or bool(ctx.put_off.batches))
            rejected = all_rejected.told(ctx.ingestion, summary.metrics, ctx.first_reject)
            run = runs.by_id(session, ctx.run_id)
            if run is None:
                raise NotFound(
                    f"Run {ctx.run_id} vanished from the ledger.", hint="Was the database put back? Run again."
                )
            run.state, run.finished_at, run.metrics = summary.state.value, self.clock.now(), summary.metrics
            if rejected is not None:
                run.error_code, run.error = rejected.code, str(rejected)
            if ctx.put_off.first is not None:
                run.error_code, run.error = ctx.put_off.first.code, ctx.put_off.sentence
            if goes_on and stopped_early and summary.metrics["batches"]:
                rerun_service.go_on(session, run.ingestion_id)
            rerun_service.settle(session, run, self.clock.now())
        for note in (blank_rows.note_of(summary.metrics), str(rejected or "")):
            if note:
                ctx.progress.note(note)
        return summary

    # --- fail --------------------------------------------------------------------------------

    def fail(self, ctx: RunContext, code: str, message: str) -> None:
        """End the run as FAILED, or CANCELLED by the code of Interrupted; the second call changes nothing."""
        self._end(ctx.lease, ctx.run_id, run_records.Ending(code, message))

    def _end(self, lease: lease_service.HeldLease, run_id: UUID, ending: run_records.Ending) -> None:
        try:
            with lease.transaction() as session:
                run_records.end(session, run_id, ending, self.clock.now())
        except AutoloaderError as second:
            log.warning("the run's end could not be stored; the next run will", error=str(second))
