"""Ingestions: create, adopt, change, pause, resume, delete."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, InvalidInput, NotFound, StaleRevision
from app.ingest.discovery import split_source
from app.ingest.ports import Clock, SystemClock
from app.models import DEFAULT_TENANT, Ingestion
from app.repositories import batches, files, ingestions, runs
from app.schemas.ingestion import IngestionShape
from app.services.context import IngestionInfo
from app.storage import parse_address

LOCAL_CATALOG = "local"


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
        table (both would load the same files) and `policies.allow_overlap` is not set.
        """
        table_name, base = full_table_name(shape.destination.table), source_base(shape.source.url)
        _require_engine(shape)
        now = self.clock.now()
        with self.database.session_scope() as session:
            ingestions.lock_table(session, table_name)
            self._refuse_name(session, shape.name)
            adopted = self._refuse_overlap(session, shape, table_name, base, None)
            row = adopted or Ingestion(
                id=uuid4(), tenant_id=self.tenant_id, created_at=now, schema_evidence=[], revision=0
            )
            row.deleted_at = None
            row.revision += 1
            _fill(row, shape, table_name, base, now)
            ingestions.add(session, row)
            return IngestionInfo.of(row)

    def change(self, name: str, shape: IngestionShape, *, revision: int | None = None) -> IngestionInfo:
        """Replace the configuration, the name too. Source and table stay: the ledger belongs to them.

        `revision` is what the change was made from, where that matters. Raises NotFound, Conflict, StaleRevision.
        """
        table_name, base = full_table_name(shape.destination.table), source_base(shape.source.url)
        _require_engine(shape)
        with self.database.session_scope() as session:
            ingestions.lock_table(session, table_name)
            row = self._row_to_change(session, name, revision)
            if shape.name != row.name:
                self._refuse_name(session, shape.name)
            if (row.table_name, row.source_url) != (table_name, base):
                raise Conflict(
                    f"{name} loads {row.source_url} into {row.table_name}; neither can be changed,"
                    " for its ledger says what of that source is in that table.",
                    hint="Make another ingestion for the other source or table.",
                )
            self._refuse_overlap(session, shape, table_name, base, row.id)
            _fill(row, shape, table_name, base, self.clock.now())
            row.revision += 1
            ingestions.add(session, row)
            return IngestionInfo.of(row)

    def find(self, name_or_id: str) -> IngestionInfo:
        """The ingestion by its name or id. Raises NotFound."""
        with self.database.session_scope() as session:
            return IngestionInfo.of(self._row(session, name_or_id))

    def into(self, source_url: str, table: str) -> IngestionInfo | None:
        """The ingestion that loads exactly this source into this table."""
        table_name = full_table_name(table)
        with self.database.session_scope() as session:
            for row in ingestions.listed(session, self.tenant_id):
                if row.table_name == table_name and row.config["source"]["url"] == source_url:
                    return IngestionInfo.of(row)
        return None

    def names(self) -> list[str]:
        with self.database.session_scope() as session:
            return [row.name for row in ingestions.listed(session, self.tenant_id)]

    def listed(self) -> list[IngestionView]:
        with self.database.session_scope() as session:
            return [self._view(session, row) for row in ingestions.listed(session, self.tenant_id)]

    def show(self, name: str) -> IngestionView:
        with self.database.session_scope() as session:
            return self._view(session, self._row(session, name))

    def pause(self, name: str, *, paused: bool, revision: int | None = None) -> IngestionInfo:
        """A paused ingestion refuses to run; a run that is active goes on to its end."""
        with self.database.session_scope() as session:
            row = self._row_to_change(session, name, revision)
            if row.paused != paused:
                row.paused = paused
                row.config = {**row.config, "paused": paused}
                row.revision += 1
                row.updated_at = self.clock.now()
            return IngestionInfo.of(row)

    def delete(self, name: str, *, revision: int | None = None) -> None:
        """Forget the configuration; table and ledger stay, so that re-creating it loads nothing twice."""
        with self.database.session_scope() as session:
            row = self._row_to_change(session, name, revision)
            row.deleted_at = row.updated_at = self.clock.now()

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

    def _row_to_change(self, session: Session, name: str, revision: int | None) -> Ingestion:
        """Nobody else changes it until the transaction ends."""
        row = self._row(session, name)
        ingestions.lock(session, row)
        if row.deleted_at is not None:  # by somebody who was faster
            raise NotFound(f"There is no ingestion {name!r}.", hint="See: autoloader ingestions list")
        if revision is not None and revision != row.revision:
            raise StaleRevision(
                f"{row.name} was changed meanwhile: it is at revision {row.revision}, not {revision}.",
                hint="Read it again, then change what you see.",
            )
        return row

    def _refuse_name(self, session: Session, name: str) -> None:
        if ingestions.by_name(session, self.tenant_id, name):
            raise Conflict(
                f"There is an ingestion {name!r} already.",
                hint="Choose another name, or change it with: autoloader apply",
            )

    def _refuse_overlap(
        self, session: Session, shape: IngestionShape, table_name: str, base: str, own: UUID | None
    ) -> Ingestion | None:
        """Promise P1. Answers the deleted ingestion whose ledger is to be adopted, if there is one."""
        adopted = None
        for other in ingestions.into_table(session, table_name):
            if other.id == own or not _overlap(base, other.source_url):
                continue
            same = other.source_url == base and other.tenant_id == self.tenant_id
            if other.deleted_at is not None and same:
                adopted = other
                continue
            if shape.policies.allow_overlap:
                continue
            what = "deleted, but its rows are in the table" if other.deleted_at else "active"
            raise Conflict(
                f"Ingestion {other.name!r} ({what}) loads {other.source_url} into {table_name} too:"
                " files below both would be loaded twice.",
                hint="Use that ingestion, another table, or --allow-overlap if their files surely differ.",
            )
        return adopted

    def _view(self, session: Session, row: Ingestion) -> IngestionView:
        last = next(iter(runs.listed(session, row.tenant_id, row.id, 1)), None)
        blocked = next(iter(batches.unknown(session, row.id)), None)
        return IngestionView(
            id=row.id,
            name=row.name,
            source_url=row.config["source"]["url"],
            table_name=row.table_name,
            paused=row.paused,
            blocked=blocked.error if blocked else None,
            schema_text=row.schema_text,
            schema_evidence=list(row.schema_evidence or ()),
            config=row.config,
            files=files.counts(session, row.id),
            last_run_id=last.id if last else None,
            last_run_state=last.state if last else None,
            last_run_at=last.started_at if last else None,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


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


def _overlap(one: str, other: str) -> bool:
    """Whether one address is the other, or lies below it; folders also by where their links lead."""
    return _below(one, other) or _below(_followed(one), _followed(other))


def _below(one: str, other: str) -> bool:
    return one == other or one.startswith(other.rstrip("/") + "/") or other.startswith(one.rstrip("/") + "/")


def _followed(address: str) -> str:
    return os.path.realpath(address) if address.startswith("/") else address


def _require_engine(shape: IngestionShape) -> None:
    if shape.engine != "embedded":
        raise InvalidInput(f"There is no cluster {shape.engine!r}.", hint="Use engine: embedded.")


def _fill(row: Ingestion, shape: IngestionShape, table_name: str, base: str, now: datetime) -> None:
    row.name = shape.name
    row.source_url = base
    row.table_name = table_name
    row.config = shape.model_dump(mode="json")
    row.paused = shape.paused
    row.updated_at = now
    if shape.columns.columns is not None:
        row.schema_text = shape.columns.columns
