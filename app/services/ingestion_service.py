"""Ingestions: create, adopt, change, pause, resume, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, InvalidInput, NotFound, StaleRevision
from app.ingest.discovery import split_source
from app.ingest.ports import Clock, SilentProgress, SystemClock
from app.models import DEFAULT_TENANT, Ingestion
from app.repositories import batches, files, ingestions
from app.schemas.ingestion import IngestionShape
from app.schemas.table_name import DEFAULT_CATALOG
from app.services import connection_service, ingestion_rows, lease_service, overlap
from app.services.connection_service import STORES
from app.services.context import IngestionInfo, part_of, url_of
from app.services.engine_choice import require_engine
from app.services.ingestion_view import IngestionView, view_of
from app.services.last_runs import last_runs
from app.services.overlap import Wanted
from app.services.shape_checks import require_name
from app.storage import parse_address
from app.values import FileState

LOCAL_CATALOG = DEFAULT_CATALOG


@dataclass(frozen=True, slots=True)
class Left:
    """A deleted ingestion, and how many files it had loaded."""

    name: str
    deleted_at: datetime
    loaded: int


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

    def left_by_deleted(self, shape: IngestionShape) -> Left | None:
        """What `create` would go on with: a deleted ingestion that has loaded files. Raises as `create` does."""
        with self.database.read_scope() as session:
            row = overlap.adopted(session, self._wanted(session, shape))
            loaded = files.counts_of(session, [row.id]).get(row.id, {}).get(FileState.SUCCESS, 0) if row else 0
            return Left(row.name, row.deleted_at, loaded) if row and row.deleted_at and loaded else None

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
        ingestion_rows.fill(row, wanted)
        ingestion_rows.note_change(row, wanted.now)
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
        ingestion_rows.require_table_as_it_is(row, shape)
        ingestion_rows.require_clear_start(row, shape, wanted.now)
        overlap.refuse_change(session, replace(wanted, created_at=row.created_at), row)
        ingestion_rows.fill(row, wanted)
        ingestion_rows.note_change(row, wanted.now)
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

    def others_into(self, info: IngestionInfo) -> list[str]:
        """The names and sources of other ingestions that load into its table, as `name (source)`."""
        with self.database.read_scope() as session:
            rows = ingestions.into_table(session, info.table_name)
            found = [row for row in rows if row.id != info.id and row.tenant_id == self.tenant_id]
            return [f"{row.name} ({url_of(row)})" for row in found if row.deleted_at is None]

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
                ingestion_rows.set_paused(row, paused=paused)
                ingestion_rows.note_change(row, self.clock.now())
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
        ingestion_rows.note_change(row, row.deleted_at)

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
        """As many queries, however many ingestions there are."""
        ids = [row.id for row in rows]
        last = last_runs(session, ids)
        blocked, counted = batches.evidence_of(session, ids), files.counts_of(session, ids)
        return [view_of(row, blocked.get(row.id), counted.get(row.id, {}), last.get(row.id)) for row in rows]


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
