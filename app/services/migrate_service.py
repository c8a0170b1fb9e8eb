"""Existing ingestions become deployments in Prefect, and the way back.

What is decided of an ingestion rests on both sides as they are, never on a list of what was done: killed at any moment,
the same again goes on. That a deployment is the migration's own is stored before it is made (ADR 0010).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from app import failpoints
from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError, InvalidInput, NotFound
from app.ingest.ports import Clock, SystemClock
from app.models import Ingestion
from app.repositories import ingestions, prefect_sync
from app.services import deployment_spec
from app.services.deployment_spec import DeploymentSpec
from app.services.prefect_deployments import FoundDeployment, require_schedules
from app.services.prefect_service import PrefectService
from app.services.sync_service import SyncOutcome, SyncService
from app.values import SyncState

_PATIENCE = 3  # ingestions in a row that find no Prefect before the rest is not tried
_CHUNK = 200  # ids in one statement
_LOOK = 20  # deployments looked at right before they are decided about


class Action(StrEnum):
    """What becomes, or became, of one ingestion's deployment."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"
    LEFT = "left"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One ingestion: what is done, and why. `fields` of the deployment are those that differ."""

    ingestion_id: UUID
    name: str
    action: Action
    why: str
    fields: tuple[str, ...] = ()


class MigrateService:
    def __init__(
        self, database: Database, settings: Settings, prefect: PrefectService, clock: Clock | None = None
    ) -> None:
        self.database = database
        self.settings = settings
        self.prefect = prefect
        self.clock = clock or SystemClock()
        self.sync = SyncService(database, settings, prefect)

    # --- into Prefect ------------------------------------------------------------------------

    def plan(self, only: Collection[str] = ()) -> list[Step]:
        """What a migration would do, by name; `only` are names or ids. Writes to neither side.

        Raises NotFound for a name that is not there, PrefectUnavailable, PrefectRefused, DatabaseUnavailable.
        """
        rows = self._chosen(only)
        found = self.prefect.found([row.id for row in rows])
        return [self._judged(row, found.get(row.id)) for row in rows]

    def migrate(self, plan: Sequence[Step]) -> Iterator[Step]:
        """Do it, one after the other, and answer what became of each. Ingestions that fail stop nobody.

        Each is looked at again before: what happened since the plan was made counts. Raises no error of ours.
        """
        yield from self._each(plan, self._migrated)

    def _migrated(self, planned: Step, found: FoundDeployment | None) -> _Done:
        row = self._row(planned.ingestion_id)
        step = self._judged(row, found)
        if step.action is Action.LEFT:
            if found is not None and deployment_spec.is_wanted(row):
                self.sync.confirm([(row, found)])
            return _Done(step)
        if step.action is not Action.FAILED:
            with self.database.session_scope() as session:
                if step.action is Action.CREATED:
                    prefect_sync.migrating(session, row.id, self.clock.now())
                prefect_sync.switch_on(session, row.id)
            failpoints.hit("migrating")
        outcome = self.sync.push(row.id)  # what failed is stored with its reason too
        failpoints.hit("migrated")
        if step.action is Action.CREATED and outcome.state is SyncState.ERROR:  # it was refused, so there is none
            with self.database.session_scope() as session:
                prefect_sync.not_migrated(session, row.id)
        return _done(step, outcome)

    def _judged(self, row: Ingestion, found: FoundDeployment | None) -> Step:
        """What is to be done with it, as both sides are."""
        if row.deleted_at is not None:
            why = (
                "it is deleted" if found is None else "it is deleted; `autoloader prefect sync` removes its deployment"
            )
            return Step(row.id, row.name, Action.LEFT, why)
        try:
            want = self.sync.wanted(row)
            require_schedules(want)
        except InvalidInput as error:
            return Step(row.id, row.name, Action.FAILED, str(error))
        if found is None:
            return Step(row.id, row.name, Action.CREATED, _new(row, want))
        if row.prefect_sync == SyncState.OFF.value:
            return Step(row.id, row.name, Action.CHANGED, "its rollback was not finished; Prefect follows it again")
        differing = deployment_spec.differences(want, found.spec)
        if differing:
            return Step(row.id, row.name, Action.CHANGED, f"differs in {', '.join(differing)}", differing)
        return Step(row.id, row.name, Action.LEFT, "its deployment is as it should be")

    # --- and back ----------------------------------------------------------------------------

    def plan_rollback(self, only: Collection[str] = ()) -> list[Step]:
        """What a rollback would do, by name, with the ingestions that the migration made deployments for, or the ones
        named by `only`. Writes to neither side. Raises as `plan` does.
        """
        rows = self._chosen(only, migrated=not only)
        found = self.prefect.found([row.id for row in rows])
        return [_judged_back(row, found.get(row.id)) for row in rows]

    def roll_back(self, plan: Sequence[Step]) -> Iterator[Step]:
        """Remove the deployments that the migration made, one after the other, and answer what became of each.

        First of all it is stored that Prefect is to have none of them: from then on no reconciler, no change and no
        event brings one back. Ingestions, tables and ledger stay. Raises DatabaseUnavailable before anything is done.
        """
        ids = [step.ingestion_id for step in plan if step.action is Action.REMOVED]
        for at in range(0, len(ids), _CHUNK):
            with self.database.session_scope() as session:
                prefect_sync.switch_off(session, ids[at : at + _CHUNK])
        yield from self._each(plan, self._rolled_back)

    def _rolled_back(self, planned: Step, found: FoundDeployment | None) -> _Done:
        row = self._row(planned.ingestion_id)
        step = _judged_back(row, found)
        if step.action is Action.LEFT:
            return _Done(step)
        failpoints.hit("migrating")
        outcome = self.sync.push(row.id)
        failpoints.hit("migrated")
        return _done(step, outcome)

    # --- both --------------------------------------------------------------------------------

    def _each(self, plan: Sequence[Step], act: Callable[[Step, FoundDeployment | None], _Done]) -> Iterator[Step]:
        """`act` on each, until one of both sides is away: then the rest is told of, and not tried."""
        in_a_row = 0
        for at in range(0, len(plan), _LOOK):
            chunk = plan[at : at + _LOOK]
            try:
                found = self.prefect.found([one.ingestion_id for one in chunk]) if in_a_row < _PATIENCE else {}
            except AutoloaderError as error:
                in_a_row = _PATIENCE
                yield _failed(chunk[0], str(error))
                chunk = chunk[1:]
            for planned in chunk:
                if in_a_row >= _PATIENCE:
                    yield _failed(planned, "Not tried, for the same reason.")
                    continue
                done = _acted(act, planned, found.get(planned.ingestion_id))
                in_a_row = in_a_row + 1 if done.away else 0
                yield done.step

    def _chosen(self, only: Collection[str], *, migrated: bool = False) -> list[Ingestion]:
        with self.database.read_scope() as session:
            rows = list(prefect_sync.every(session, migrated=migrated))
        if not only:
            return rows
        known = {row.name for row in rows} | {str(row.id) for row in rows}
        if missing := sorted(set(only) - known):
            raise NotFound(
                f"There is no ingestion {', '.join(map(repr, missing))}.", hint="See: autoloader ingestions list"
            )
        return [row for row in rows if row.name in only or str(row.id) in only]

    def _row(self, ingestion_id: UUID) -> Ingestion:
        with self.database.read_scope() as session:
            row = ingestions.by_id(session, ingestion_id)
        if row is None:
            raise NotFound(f"There is no ingestion {ingestion_id} any more.", hint="See: autoloader ingestions list")
        return row


@dataclass(frozen=True, slots=True)
class _Done:
    """`away`: one of both sides did not answer; the same again may help."""

    step: Step
    away: bool = False


def _acted(act: Callable[[Step, FoundDeployment | None], _Done], planned: Step, found: FoundDeployment | None) -> _Done:
    try:
        return act(planned, found)
    except AutoloaderError as error:
        return _Done(_failed(planned, str(error)), away=error.retryable)


def _failed(step: Step, why: str) -> Step:
    return replace(step, action=Action.FAILED, why=why, fields=())


def _done(step: Step, outcome: SyncOutcome) -> _Done:
    if outcome.state is SyncState.IN_SYNC or step.action is Action.FAILED:
        return _Done(step)
    return _Done(_failed(step, outcome.reason or ""), away=outcome.state is SyncState.PENDING)


def _new(row: Ingestion, want: DeploymentSpec) -> str:
    if row.prefect_sync == SyncState.OFF.value:
        return "it was rolled back; Prefect follows it again"
    if row.paused:
        return "it is paused, and so is its deployment"
    return "Prefect has no deployment of it" + ("" if want.schedules else "; it has no schedule")


def _judged_back(row: Ingestion, found: FoundDeployment | None) -> Step:
    if row.prefect_migrated_at is None:
        why = "the migration made no deployment of it" if found is not None else "it has no deployment"
        return Step(row.id, row.name, Action.LEFT, why)
    why = "the migration made it" if found is not None else "it was never made, or is gone already"
    return Step(row.id, row.name, Action.REMOVED, why)
