"""Changes to ingestions and wishes for runs: the database first, then whoever follows it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, InvalidInput, LeaseHeld, NotFound, StaleRevision
from app.models import DEFAULT_TENANT
from app.repositories import files, ingestions, runs, triggers
from app.schemas.ingestion import IngestionShape
from app.services import connection_service, engine_said, shape_checks, shape_service
from app.services.connection_service import STORES
from app.services.file_bulk_service import FileBulkService
from app.services.follower import Follower
from app.services.ingestion_query_service import IngestionDetail, IngestionQueryService
from app.services.ingestion_service import LOCAL_CATALOG, IngestionService, full_table_name
from app.services.run_control_service import RunControlService
from app.values import SyncState, Trigger

_ATTEMPTS = 5
_BEGINS_WITHIN = timedelta(seconds=3)  # a run, after its trigger was delivered, where a worker is free


@dataclass(frozen=True, slots=True)
class TriggerView:
    """A wish for a run, and what became of it. `run_id` is known once the run has begun; until then the flow run's
    state in Prefect, where that answers.
    """

    id: UUID
    ingestion_id: UUID
    kind: str
    created_at: datetime
    due_at: datetime
    delivered_at: datetime | None
    flow_run_id: str | None
    flow_state: str | None
    flow_message: str | None
    run_id: UUID | None
    attempts: int
    error: str | None

    @property
    def state(self) -> str:
        """`delivered` or `waiting`."""
        return "waiting" if self.delivered_at is None else "delivered"


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion did, and what it left."""

    id: UUID
    name: str
    table: str
    files: dict[str, int]
    run_id: UUID | None  # that was active
    running: str  # none, cancelled, goes-on


class SteeringService:
    def __init__(
        self, database: Database, settings: Settings, follower: Follower, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.tenant_id = tenant_id
        self.follower = follower
        self.keep_seconds = settings.trigger_keep_seconds
        self.ingestions = IngestionService(database, settings, tenant_id=tenant_id)
        self.queries = IngestionQueryService(database, tenant_id)
        self.files = FileBulkService(database, settings, tenant_id=tenant_id)
        self.runs = RunControlService(database, settings, follower, tenant_id)

    # --- changes -----------------------------------------------------------------------------

    def create(self, shape: IngestionShape) -> IngestionDetail:
        """Store it, or adopt the ledger of a deleted one with the same source and table. Raises as create does."""
        made = self.ingestions.create(self._possible(shape))
        return self._followed(made.id)

    def replace(self, ingestion_id: UUID, shape: IngestionShape, revision: int | None) -> IngestionDetail:
        """The whole configuration anew. A shape that does not speak of `paused` leaves it as it is."""
        self.queries.name(ingestion_id)
        self.ingestions.change(str(ingestion_id), self._possible(shape), revision=revision)
        return self._followed(ingestion_id)

    def patch(self, ingestion_id: UUID, patch: Mapping[str, Any], revision: int | None) -> IngestionDetail:
        """JSON merge patch (RFC 7396): null takes a field away, so that it has its default.

        What others change at the same moment is not undone.
        """
        for attempt in range(_ATTEMPTS):
            known = self.queries.read(ingestion_id)
            said = engine_said.of_change(known.config, patch)
            shape = self._possible(_shape(merge_patch(known.config, said)))
            try:
                self.ingestions.change(str(ingestion_id), shape, revision=revision or known.revision)
                break
            except StaleRevision:
                if revision is not None or attempt == _ATTEMPTS - 1:
                    raise
        return self._followed(ingestion_id)

    def pause(self, ingestion_id: UUID, *, paused: bool) -> IngestionDetail:
        self.queries.name(ingestion_id)
        self.ingestions.pause(str(ingestion_id), paused=paused)
        return self._followed(ingestion_id)

    def delete(self, ingestion_id: UUID, running: str, revision: int | None) -> Deleted:
        """Forget the configuration; table and ledger stay. `running` says what becomes of an active run:

        `refuse` raises LeaseHeld, `cancel` ends it, `finish` lets it go on to its end.
        """
        known = self.queries.read(ingestion_id)
        active = self.runs.active(ingestion_id)
        if active is not None and running == "refuse":
            raise LeaseHeld(
                f"Run {active} of {known.name} is active.",
                hint="Wait for it, or delete with running=cancel or running=finish.",
            )
        self.ingestions.delete(str(ingestion_id), revision=revision, though_running=running != "refuse")
        if active is not None and running == "cancel":
            with suppress(Conflict, NotFound):  # it has ended meanwhile
                self.runs.cancel(active)
        self.follower.push(ingestion_id)
        with self.database.read_scope() as session:
            counts = files.counts_of(session, [ingestion_id]).get(ingestion_id, {})
        ends = {"cancel": "cancelled", "finish": "goes-on"}
        fate = ends.get(running, "none") if active is not None else "none"
        return Deleted(known.id, known.name, known.table, counts, active, fate)

    def _possible(self, shape: IngestionShape) -> IngestionShape:
        """The shape as it is stored. Raises InvalidInput, with the fields that cannot be."""
        shape = _canonical(shape)
        catalog = full_table_name(shape.destination.table).partition(".")[0]
        with self.database.read_scope() as session:
            if shape.source.connection is not None:
                self._require(session, ("source", "connection"), shape.source.connection, STORES)
            if shape.arrival is not None and shape.arrival.queue_connection is not None:
                self._require(session, ("arrival", "queue_connection"), shape.arrival.queue_connection, ("s3",))
            if catalog != LOCAL_CATALOG:
                self._require(session, ("destination", "table"), catalog, ("catalog",))
        return shape

    def _require(self, session: Session, place: tuple[str, ...], name: str, kinds: tuple[str, ...]) -> None:
        try:
            connection_service.require(session, self.tenant_id, name, kinds)
        except (NotFound, InvalidInput) as error:  # of the caller's shape, not of the address that was called
            raise InvalidInput(error.message, hint=error.hint, fields=[(place, error.message)]) from error

    def _followed(self, ingestion_id: UUID) -> IngestionDetail:
        self.follower.push(ingestion_id)
        return self.queries.read(ingestion_id)

    # --- wishes for runs ---------------------------------------------------------------------

    def run(self, ingestion_id: UUID, kind: Trigger = Trigger.MANUAL, **payload: str) -> TriggerView:
        """Store the wish for a run, and try to deliver it.

        Raises NotFound, and Conflict for an ingestion that is paused, or that Prefect does not run.
        """
        self._require_runnable(ingestion_id)
        trigger_id = self.follower.request(ingestion_id, kind, payload)
        self.follower.deliver(trigger_id)
        return self.trigger(trigger_id)

    def retry(self, run_id: UUID, *, quarantined: bool = False) -> TriggerView:
        """Store the wish for another run after one that did not load all; `quarantined`: also of what it gave up.

        Raises as `run` does, NotFound, Conflict for a run that goes on or loaded all, and LeaseHeld; no file is moved
        then.
        """
        ingestion_id = self.runs.require_ended(run_id)
        self._require_runnable(ingestion_id)
        if quarantined:
            self.files.requeue_quarantined(ingestion_id, run_id)
        return self.run(ingestion_id, Trigger.RETRY, run_id=str(run_id))

    def _require_runnable(self, ingestion_id: UUID) -> None:
        known = self.queries.read(ingestion_id)
        if known.prefect.sync == SyncState.OFF.value:
            raise Conflict(
                f"Prefect does not run {known.name}: its migration was rolled back.",
                hint=f"autoloader --embedded ingestions run {known.name} (where the server is), or prefect migrate",
            )
        if known.config["paused"]:
            raise Conflict(f"{known.name} is paused.", hint=f"Resume it: POST /v1/ingestions/{ingestion_id}/resume")

    def trigger(self, trigger_id: UUID) -> TriggerView:
        """What became of a wish. Raises NotFound."""
        with self.database.read_scope() as session:
            row = triggers.by_id(session, trigger_id)
            owner = ingestions.by_id(session, row.ingestion_id) if row is not None else None
            if row is None or owner is None or owner.tenant_id != self.tenant_id:
                raise NotFound(
                    f"There is no trigger {trigger_id}.",
                    hint="POST /v1/ingestions/{id}/run answers its id. One that is done with is forgotten after"
                    f" {self.keep_seconds:g} seconds (TRIGGER_KEEP_SECONDS); GET /v1/runs still has its run.",
                )
            run_id = row.run_id
            if run_id is None and row.flow_run_id is not None:  # it began as the wish was marked as delivered
                run = runs.by_key(session, row.flow_run_id)
                run_id = run.id if run is not None else None
        state = message = None
        if row.flow_run_id is not None and run_id is None and _is_late(row.delivered_at):
            state, message = self.follower.state(row.flow_run_id)
        return TriggerView(
            id=row.id,
            ingestion_id=row.ingestion_id,
            kind=row.kind,
            created_at=row.created_at,
            due_at=row.due_at,
            delivered_at=row.delivered_at,
            flow_run_id=row.flow_run_id,
            flow_state=state,
            flow_message=message,
            run_id=run_id,
            attempts=row.attempts,
            error=row.error,
        )


def _is_late(delivered_at: datetime | None) -> bool:
    """Whether the run should have begun by now: sooner, nobody needs to ask Prefect."""
    return delivered_at is not None and datetime.now(UTC) - delivered_at > _BEGINS_WITHIN


def merge_patch(target: object, patch: object) -> Any:
    """RFC 7396, as it is written there."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def _shape(data: object) -> IngestionShape:
    try:
        return IngestionShape.model_validate(data)
    except ValidationError as error:
        fields = [(item["loc"], shape_service.problem_of(item)) for item in error.errors(include_url=False)]
        raise InvalidInput(
            "What the patch makes of the ingestion cannot be: " + "; ".join(shape_service.sentences(error)) + ".",
            hint="Mend the fields named in `errors`.",
            fields=fields,
        ) from error


def _canonical(shape: IngestionShape) -> IngestionShape:
    """The same for whichever process reads it. A path that depends on where the API was started is refused."""
    shape = engine_said.of_document(shape)
    url = shape.source.url
    place = ("source", "url")
    shape_service.require_everywhere(url)
    try:
        canonical = shape_service.canonical_url(url)
    except InvalidInput as error:
        raise InvalidInput(error.message, hint=error.hint, fields=[(place, error.message)]) from error
    wrong = shape_checks.problems(shape)
    if wrong:
        raise InvalidInput(wrong[0].text, hint=wrong[0].hint, fields=[(one.place, one.text) for one in wrong])
    return shape.model_copy(update={"source": shape.source.model_copy(update={"url": canonical})})
