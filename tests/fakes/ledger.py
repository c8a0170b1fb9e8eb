"""Rows of the ledger, made the short way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.database import Database, session_scope
from app.models import DEFAULT_TENANT, Batch, Ingestion, Run
from app.repositories import batches, files, ingestions, runs
from app.repositories.files import NewFile
from app.schemas.ingestion import IngestionShape
from app.values import BatchState, FileState, FoundFile, RunState

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def shape(name: str = "orders", url: str = "/data/orders", table: str = "local.demo.orders") -> IngestionShape:
    return IngestionShape.model_validate(
        {"name": name, "source": {"url": url}, "format": {"type": "jsonl"}, "destination": {"table": table}}
    )


def add_ingestion(engine: Engine, config: IngestionShape | None = None) -> Ingestion:
    """An ingestion as `config` has it, without any of the service's checks."""
    given = config or shape()
    made = Ingestion(
        id=uuid4(),
        tenant_id=DEFAULT_TENANT,
        name=given.name,
        source_url=given.source.url,
        table_name=given.destination.table,
        config=given.model_dump(mode="json"),
        schema_text="n bigint",
        schema_evidence=[],
        created_at=NOON,
        updated_at=NOON,
    )
    with session_scope(engine) as session:
        ingestions.add(session, made)
    return made


def add_run(engine: Engine, ingestion_id: UUID) -> UUID:
    run_id = uuid4()
    with session_scope(engine) as session:
        runs.add(
            session,
            Run(
                id=run_id,
                ingestion_id=ingestion_id,
                trigger="manual",
                state=RunState.RUNNING.value,
                started_at=NOON,
                metrics={},
            ),
        )
    return run_id


def found(path: str, version: str = "v1", size: int = 10) -> FoundFile:
    return FoundFile(path, version, size, NOON)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One ingestion with a run, and what one does to its ledger."""

    database: Database
    ingestion_id: UUID
    run_id: UUID

    @classmethod
    def new(cls, database: Database, name: str = "orders") -> Pipeline:
        ingestion_id = add_ingestion(database.engine, shape(name, url=f"/data/{name}")).id
        return cls(database, ingestion_id, add_run(database.engine, ingestion_id))

    def record(self, *listed: FoundFile) -> list[int]:
        """Store versions as DISCOVERED; their ids, in the order given."""
        with self.database.session_scope() as session:
            new = [NewFile(one, FileState.DISCOVERED) for one in listed]
            files.insert_new(session, self.ingestion_id, self.run_id, new, NOON)
            known = files.known_paths(session, self.ingestion_id, [one.path for one in listed])
        ids = {(one.path, one.version): one.id for one in known}
        return [ids[one.path, one.version] for one in listed]

    def plan(self, session: Session, first: int, last: int) -> Batch:
        """A stored batch of the waiting files from id `first` to `last`."""
        batch = Batch(
            id=uuid4(),
            ingestion_id=self.ingestion_id,
            run_id=self.run_id,
            state=BatchState.PLANNED.value,
            file_count=0,
            byte_count=0,
            created_at=NOON,
        )
        batches.add(session, batch)
        batch.file_count = files.assign(session, self.ingestion_id, batch.id, first, last)
        return batch

    def states(self) -> dict[str, str]:
        """Map path and version → state."""
        return {f"{row['path']}@{row['version']}": str(row["state"]) for row in self.rows()}

    def rows(self) -> list[dict[str, object]]:
        """The ledger's rows, as stored, in order of id."""
        with self.database.session_scope() as session:
            found_rows = session.execute(text("SELECT * FROM processed_files ORDER BY id")).mappings()
            return [dict(row) for row in found_rows]

    def counts(self) -> dict[str, int]:
        """Map state → files."""
        with self.database.read_scope() as session:
            return files.counts_of(session, [self.ingestion_id]).get(self.ingestion_id, {})

    def events(self, file_id: int) -> list[str]:
        """The states of the file's history."""
        with self.database.session_scope() as session:
            query = text("SELECT state FROM file_events WHERE file_id = :id ORDER BY id")
            return [str(row[0]) for row in session.execute(query, {"id": file_id})]


def many(count: int, prefix: str = "/data/orders/") -> Iterable[FoundFile]:
    return (found(f"{prefix}{number:06d}.jsonl") for number in range(count))
