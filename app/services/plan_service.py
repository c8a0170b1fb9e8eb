"""The plan of a run: batches that are unfinished, and new ones, cut from the files that wait and stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, IngestionBlocked
from app.ingest import ledger, planning
from app.ingest.ports import Clock
from app.log import get_logger
from app.models import Batch as BatchRow
from app.repositories import batches, files
from app.services import metrics
from app.services.context import RunContext
from app.services.schema_service import SchemaService
from app.services.suspects import last_those_alone
from app.services.table_checks import seen_dropped
from app.values import Batch, BatchState, FileState

log = get_logger(__name__)
_WAITING_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The batches to process, unfinished ones of earlier runs first; files and bytes over all of them."""

    batch_ids: tuple[UUID, ...]
    file_count: int
    byte_count: int


class PlanService:
    """For the runs of one process."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock

    def plan(self, ctx: RunContext) -> Plan:
        """As `RunService.plan`."""
        self._refuse_blocked(ctx)
        with ctx.lease.transaction() as session:
            old, alone = last_those_alone(batches.unfinished(session, ctx.ingestion.id))
            waiting = bool(files.waiting(session, ctx.ingestion.id, 0, 1))
        if waiting and ctx.ingestion.table_uuid is None and ctx.ingestion.schema is None:
            ctx.ingestion = SchemaService(self.database, self.settings).learn(ctx)
            ctx.engine.schema = ctx.ingestion.schema
        planned = [*map(_planned, old), *self._cut(ctx), *map(_planned, alone)]
        if planned:
            self._tell_of_table(ctx)
        elif gone := seen_dropped(self.settings, ctx.ingestion):  # no batch will find it out
            self._keep_note(ctx, str(gone))
        return Plan(tuple(i for i, _, _ in planned), sum(n for _, n, _ in planned), sum(b for _, _, b in planned))

    def _keep_note(self, ctx: RunContext, note: str) -> None:
        """Tell it, and keep it with the run."""
        ctx.progress.note(note)
        with ctx.lease.transaction() as session:
            metrics.add_note(session, ctx.run_id, note)

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
                f"{'1 file' if changed == 1 else f'{changed:,} files'} of {name} changed after loading,"
                " and it says on_change: fail.",
                hint=f"See them: autoloader files list {name} --state QUARANTINED;"
                " then `files retry` loads the new version too, `files skip` leaves it out.",
            )

    def _cut(self, ctx: RunContext) -> list[tuple[UUID, int, int]]:
        policies = ctx.ingestion.shape.policies
        made: list[tuple[UUID, int, int]] = []
        cuts = planning.cut(
            self._waiting(ctx),
            policies.batch_max_files or self.settings.batch_max_files,
            policies.batch_max_bytes or self.settings.batch_max_bytes,
        )
        for cut in cuts:
            with ctx.lease.transaction() as session:
                stored = self._store_batch(session, ctx, cut)
            if stored is not None:
                made.append(stored)
        return made

    def _store_batch(self, session: Session, ctx: RunContext, cut: planning.Cut) -> tuple[UUID, int, int] | None:
        """A batch of those files of the cut that still wait: it was made from what was read before. None: no one."""
        count, size = files.waiting_between(session, ctx.ingestion.id, cut.first, cut.last)
        if not count:
            return None
        batch = BatchRow(
            id=uuid4(),
            ingestion_id=ctx.ingestion.id,
            run_id=ctx.run_id,
            state=BatchState.PLANNED.value,
            file_count=count,
            byte_count=size,
            created_at=self.clock.now(),
        )
        batches.add(session, batch)
        files.assign(session, ctx.ingestion.id, batch.id, cut.first, cut.last)
        return batch.id, count, size

    def _waiting(self, ctx: RunContext) -> Iterator[tuple[int, int]]:
        after = 0
        while True:
            with self.database.session_scope() as session:
                chunk = files.waiting(session, ctx.ingestion.id, after, _WAITING_CHUNK)
            if not chunk:
                return
            yield from chunk
            after = chunk[-1][0]


def _planned(batch: Batch) -> tuple[UUID, int, int]:
    return batch.id, batch.file_count, batch.byte_count
