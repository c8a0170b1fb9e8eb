"""Ingestions: create, adopt, change, pause, resume, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, InvalidInput, NotFound, StaleRevision
from app.ingest.discovery import split_source
from app.ingest.ports import Clock, SilentProgress, SystemClock
from app.models import DEFAULT_TENANT, Ingestion
from app.repositories import batches, files, ingestions, runs
from app.repositories.runs import LastRun
from app.schemas.ingestion import IngestionShape
from app.schemas.table_name import DEFAULT_CATALOG
from app.services import connection_service, lease_service, overlap
from app.services.connection_service import STORES
from app.services.context import IngestionInfo, config_of, part_of, url_of
from app.services.engine_choice import require_engine
from app.services.overlap import Wanted
from app.services.shape_checks import require_name
from app.storage import parse_address
from app.values import SyncState

LOCAL_CATALOG = DEFAULT_CATALOG


@dataclass(frozen=True, slots=True)
class IngestionView:
    """An ingestion as people see it, with how its files stand."""

    id: UUID
    name: str
    source_url: str
    table_name: str
    paused: bool
    blocked: str | None  # the evidence, when a batch is UNKNOWN
    schema_text: str | None
    schema_evidence: list[dict[str, Any]]
    config: dict[str, Any]
    files: dict[str, int]
    last_run_id: UUID | None
    last_run_state: str | None
    last_run_at: datetime | None
    created_at: datetime
    updated_at: datetime


class IngestionService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    def create(self, shape: IngestionShape) -> IngestionInfo:
        """Store a new ingestion, or adopt the ledger of a deleted one with the same source and table.

        Raises Conflict when the name is taken, or when another ingestion's source overlaps into the same
        table (both would load the same files) and `policies.allow_overlap` is not set, or is shown to be wrong.
        """
        with self.database.session_scope() as session:
            return self.created(session, shape)

    def change(self, name: str, shape: IngestionShape, *, revision: int | None = None) -> IngestionInfo:
        """Replace the configuration, the name too. Source and table stay: the ledger belongs to them.

        What is said of a new table alone stays as it is once the table is there. `revision` is what the change was
        made from, where that matters. Raises NotFound, Conflict, StaleRevision.
        """
        with self.database.session_scope() as session:
            return self.changed(session, name, shape, revision)

    def created(self, session: Session, shape: IngestionShape) -> IngestionInfo:
        """`create` inside a transaction."""
        wanted = self._wanted(session, shape)
        ingestions.lock_table(session, wanted.table_name)
        self._refuse_name(session, shape.name)
        row = overlap.adopted(session, wanted) or Ingestion(
            id=uuid4(), tenant_id=self.tenant_id, schema_evidence=[], revision=0
        )
        row.created_at, row.deleted_at = wanted.now, None  # `start: now` means this creation
        row.paused = shape.paused
        _fill(row, wanted)
        _changed(row, wanted.now)
        ingestions.add(session, row)
        return IngestionInfo.of(row)

    def changed(self, session: Session, name: str, shape: IngestionShape, revision: int | None = None) -> IngestionInfo:
        """`change` inside a transaction."""
        wanted = self._wanted(session, shape)
        ingestions.lock_table(session, wanted.table_name)
        row = self._locked_row(session, name, revision)
        if shape.name != row.name:
            self._refuse_name(session, shape.name)
        if (row.table_name, row.source_url) != (wanted.table_name, wanted.base):
            raise Conflict(
                f"{name} loads {row.source_url} into {row.table_name}; neither can be changed,"
                " for its ledger says what of that source is in that table.",
                hint="Make another ingestion for the other source or table.",
            )
        _require_table_as_it_is(row, shape)
        _require_clear_start(row, shape, wanted.now)
        overlap.refuse_change(session, replace(wanted, created_at=row.created_at), row)
        _fill(row, wanted)
        _changed(row, wanted.now)
        ingestions.add(session, row)
        return IngestionInfo.of(row)

    def find(self, name_or_id: str) -> IngestionInfo:
        """The ingestion by its name or id. Raises NotFound."""
        with self.database.read_scope() as session:
            return IngestionInfo.of(self._row(session, name_or_id))

    def into(self, source_url: str, table: str) -> IngestionInfo | None:
        """The ingestion that loads exactly this source into this table."""
        table_name = full_table_name(table)
        with self.database.read_scope() as session:
            for row in ingestions.into_table(session, table_name):
                ours = row.deleted_at is None and row.tenant_id == self.tenant_id
                if ours and url_of(row) == source_url:
                    return IngestionInfo.of(row)
        return None

    def names(self) -> list[str]:
        with self.database.read_scope() as session:
            return ingestions.names(session, self.tenant_id)

    def sources(self) -> dict[str, list[str]]:
        """Map connection → the addresses that ingestions read with it, each once."""
        found: dict[str, list[str]] = {}
        with self.database.read_scope() as session:
            for row in ingestions.listed(session, self.tenant_id):
                connection = part_of(row, "source").get("connection")
                if connection and url_of(row) not in found.setdefault(connection, []):
                    found[connection].append(url_of(row))
        return found

    def blocked(self) -> dict[str, str]:
        """Map ingestion → the evidence, of those that wait for a person."""
        with self.database.read_scope() as session:
            rows = ingestions.listed(session, self.tenant_id)
            evidence = batches.evidence_of(session, [row.id for row in rows])
            return {row.name: evidence[row.id] for row in rows if row.id in evidence}

    def listed(self) -> list[IngestionView]:
        with self.database.read_scope() as session:
            return self._views(session, ingestions.listed(session, self.tenant_id))

    def show(self, name: str) -> IngestionView:
        with self.database.read_scope() as session:
            return self._views(session, [self._row(session, name)])[0]

    def pause(self, name: str, *, paused: bool, revision: int | None = None) -> IngestionInfo:
        """A paused ingestion refuses to run; a run that is active goes on to its end."""
        with self.database.session_scope() as session:
            row = self._locked_row(session, name, revision)
            if row.paused != paused:  # said twice, it is one change
                row.paused = paused
                row.rerun_wanted |= not paused and bool(_arrival(row))  # events that came meanwhile were dropped
                _changed(row, self.clock.now())
            return IngestionInfo.of(row)

    def delete(self, name: str, *, revision: int | None = None, though_running: bool = False) -> None:
        """Forget the configuration; table and ledger stay, so that re-creating it loads nothing twice.

        A run that is active goes on to its end with `though_running`. Raises NotFound, StaleRevision, and, without it,
        LeaseHeld while a run is active.
        """
        with self.database.read_scope() as session:
            found = self._row(session, name)
        if though_running:
            with self.database.session_scope() as session:
                self._deleted(session, found.id, revision)
            return
        with (
            lease_service.hold(self.database, self.settings, found.id, uuid4(), SilentProgress()) as lease,
            lease.transaction() as session,
        ):
            self._deleted(session, found.id, revision)

    # --- inside a transaction ----------------------------------------------------------------

    def _row(self, session: Session, name_or_id: str) -> Ingestion:
        row = ingestions.by_name(session, self.tenant_id, name_or_id)
        if row is None:
            try:
                row = ingestions.by_id(session, UUID(name_or_id))
            except ValueError:
                row = None
        if row is None or row.deleted_at is not None or row.tenant_id != self.tenant_id:
            raise NotFound(f"There is no ingestion {name_or_id!r}.", hint="See: autoloader ingestions list")
        return row

    def _deleted(self, session: Session, ingestion_id: UUID, revision: int | None) -> None:
        row = self._locked_row(session, str(ingestion_id), revision)
        row.deleted_at = self.clock.now()
        _changed(row, row.deleted_at)

    def _locked_row(self, session: Session, name_or_id: str, revision: int | None) -> Ingestion:
        """The row, for a change: until the transaction ends nobody else changes or deletes it."""
        row = self._row(session, name_or_id)
        ingestions.lock(session, row)
        if row.deleted_at is not None:  # while we waited
            raise NotFound(f"There is no ingestion {name_or_id!r}.", hint="See: autoloader ingestions list")
        if revision is not None and revision != row.revision:
            raise StaleRevision(
                f"{row.name} was changed meanwhile: it is at revision {row.revision}, not {revision}.",
                hint="Read it again, then change what you see.",
            )
        return row

    def _refuse_name(self, session: Session, name: str) -> None:
        require_name(name)
        if ingestions.by_name(session, self.tenant_id, name):
            raise Conflict(
                f"There is an ingestion {name!r} already.",
                hint="Choose another name, or change it with: autoloader apply",
            )

    def _wanted(self, session: Session, shape: IngestionShape) -> Wanted:
        """What the shape asks for. Raises InvalidInput, and NotFound for a connection that is not there."""
        now = self.clock.now()
        table_name, base = full_table_name(shape.destination.table), source_base(shape.source.url)
        require_engine(session, self.tenant_id, shape, table_name)
        if shape.source.connection is not None:
            connection_service.require(session, self.tenant_id, shape.source.connection, STORES)
        if shape.arrival is not None and shape.arrival.queue_connection is not None:
            connection_service.require(session, self.tenant_id, shape.arrival.queue_connection, ("s3",))
        catalog = table_name.partition(".")[0]
        if catalog != LOCAL_CATALOG:
            connection_service.require(session, self.tenant_id, catalog, ("catalog",))
        return Wanted(self.tenant_id, shape, base, table_name, now, now)

    def _views(self, session: Session, rows: Sequence[Ingestion]) -> list[IngestionView]:
        """Three queries, however many ingestions there are."""
        ids = [row.id for row in rows]
        last_runs = {run.ingestion_id: run for run in runs.newest_of(session, ids)}
        blocked, counted = batches.evidence_of(session, ids), files.counts_of(session, ids)
        return [_view(row, blocked.get(row.id), counted.get(row.id, {}), last_runs.get(row.id)) for row in rows]


def full_table_name(table: str) -> str:
    """`catalog.namespace.table`; the local catalog where none is named."""
    return table if table.count(".") == 2 else f"{LOCAL_CATALOG}.{table}"  # noqa: PLR2004 - a name has three parts


def source_base(url: str) -> str:
    """The canonical address of a source, without a glob: what overlap is judged by. Raises InvalidInput."""
    address = parse_address(split_source(url)[0])
    if ":" in address.bucket:  # s3://KEY:SECRET@bucket where the secret has a slash in it
        raise InvalidInput(
            "An address must not hold a key or a password.",
            hint="Put keys into a connection: autoloader connections add.",
        )
    return address.base


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """`wanted`, or the first of `wanted-2`, `wanted-3`, … that is free."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _require_clear_start(row: Ingestion, shape: IngestionShape, now: datetime) -> None:
    """Raise Conflict for `start: now` of an ingestion that began otherwise: its now would be its creation, long ago."""
    if shape.source.start == "now" and part_of(row, "source").get("start", "now") != "now":
        raise Conflict(
            f"{row.name} is there already, and `now` is the moment at which an ingestion is made"
            f" ({row.created_at:%Y-%m-%dT%H:%M:%SZ}): it would not mean this moment.",
            hint=f"To leave out what came before this moment, name it: --start {now:%Y-%m-%dT%H:%M:%SZ}",
        )


def _require_table_as_it_is(row: Ingestion, shape: IngestionShape) -> None:
    """Raise Conflict for a change of what only a new table takes from the configuration, once there is the table."""
    if row.table_uuid is None:
        return
    old, new = row.config, shape.model_dump(mode="json")
    if "destination" not in old:  # it is no configuration any more: nobody can say what it was
        return
    told = [field for field in ("partition_by", "properties") if old["destination"][field] != new["destination"][field]]
    # To say what was inferred, or to say nothing, changes nothing.
    if new["columns"]["columns"] not in {old["columns"]["columns"], row.schema_text, None}:
        told.append("columns")
    if told:
        raise Conflict(
            f"The table {row.table_name} is there already: {' and '.join(told)} of {row.name} cannot be changed any"
            " more, because only a new table is made by them.",
            hint=f"Leave that as it is, or load into another table. See it: autoloader table show {row.table_name}",
        )


def _changed(row: Ingestion, now: datetime) -> None:
    """One change more, which Prefect has not seen; committed with the change itself.

    What is switched off stays so, however it is changed: it came there by a rollback, not by this person.
    """
    row.revision += 1
    row.updated_at = now
    if row.prefect_sync != SyncState.OFF.value or row.deleted_at is not None:
        row.prefect_sync = SyncState.PENDING.value
    row.prefect_sync_error = None
    row.next_poll_at = now if _arrival(row).get("poll_seconds") and row.deleted_at is None else None


def _arrival(row: Ingestion) -> Mapping[str, Any]:
    return part_of(row, "arrival")


def _fill(row: Ingestion, wanted: Wanted) -> None:
    """Bring the row to what is wanted; whether it is paused stays unless the shape speaks of it."""
    shape, before = wanted.shape, row.config or {}
    row.name = shape.name
    row.source_url = wanted.base
    row.table_name = wanted.table_name
    row.config = shape.model_dump(mode="json", exclude={"paused"})
    if "paused" in shape.model_fields_set:
        row.paused = shape.paused
    if shape.columns.columns is not None:
        row.schema_text = shape.columns.columns
    elif row.table_uuid is None and before.get("columns", {}).get("columns") is not None:
        row.schema_text = None  # they were given and are not any more: the first run infers them


def _view(row: Ingestion, blocked: str | None, counted: dict[str, int], last: LastRun | None) -> IngestionView:
    return IngestionView(
        id=row.id,
        name=row.name,
        source_url=url_of(row),
        table_name=row.table_name,
        paused=row.paused,
        blocked=blocked,
        schema_text=row.schema_text,
        schema_evidence=list(row.schema_evidence or ()),
        config=config_of(row),
        files=counted,
        last_run_id=last.run_id if last else None,
        last_run_state=last.state if last else None,
        last_run_at=last.started_at if last else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
