"""What no machine can decide, for one tenant's ingestions: what blocks them, the evidence, the decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.models import DEFAULT_TENANT
from app.repositories import batches
from app.services.batch_ledger import BatchReport
from app.services.ingestion_query_service import IngestionQueryService
from app.services.resolve_service import Evidence, ResolveService


@dataclass(frozen=True, slots=True)
class BlockedBatch:
    """A batch of which nobody can tell whether it is in the table. `found` is why it became so."""

    batch_id: UUID
    file_count: int
    byte_count: int
    claims: int
    claimed_table_uuid: UUID | None
    base_snapshot_id: int | None
    found: str
    created_at: datetime


class DecisionService:
    def __init__(self, database: Database, settings: Settings, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.queries = IngestionQueryService(database, tenant_id)
        self.resolving = ResolveService(database, settings)

    def blocked(self, ingestion_id: UUID) -> list[BlockedBatch]:
        """The batches that block it, as the ledger has them; the table is not looked at."""
        self.queries.name(ingestion_id)
        with self.database.read_scope() as session:
            return [
                BlockedBatch(
                    batch_id=row.id,
                    file_count=row.file_count,
                    byte_count=row.byte_count,
                    claims=row.claims,
                    claimed_table_uuid=row.table_uuid,
                    base_snapshot_id=row.base_snapshot_id,
                    found=row.error or "",
                    created_at=row.created_at,
                )
                for row in batches.unknown(session, ingestion_id)
            ]

    def evidence(self, ingestion_id: UUID) -> list[Evidence]:
        """See `ResolveService`."""
        self.queries.name(ingestion_id)
        return self.resolving.evidence(str(ingestion_id))

    def table_changed(self, ingestion_id: UUID) -> str | None:
        """See `ResolveService`."""
        self.queries.name(ingestion_id)
        return self.resolving.table_changed(str(ingestion_id))

    def decide(self, ingestion_id: UUID, batch_id: UUID, *, landed: bool) -> BatchReport:
        """See `ResolveService`."""
        self.queries.name(ingestion_id)
        return self.resolving.decide(str(ingestion_id), batch_id, landed=landed)

    def accept_table(self, ingestion_id: UUID) -> UUID | None:
        """See `ResolveService`."""
        self.queries.name(ingestion_id)
        return self.resolving.accept_table(str(ingestion_id))
