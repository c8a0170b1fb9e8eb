"""The tables, no behaviour. `alembic upgrade head` is the only way they come to be."""

from app.models.base import DEFAULT_TENANT, Base
from app.models.batch import Batch
from app.models.cluster import Cluster
from app.models.connection import Connection
from app.models.idempotency_key import IdempotencyKey
from app.models.ingestion import Ingestion
from app.models.lease import Lease
from app.models.ledger import Ledger
from app.models.processed_file import FileEvent, FileIdSource, ProcessedFile
from app.models.run import Run
from app.models.trigger import Trigger

__all__ = [
    "DEFAULT_TENANT",
    "Base",
    "Batch",
    "Cluster",
    "Connection",
    "FileEvent",
    "FileIdSource",
    "IdempotencyKey",
    "Ingestion",
    "Lease",
    "Ledger",
    "ProcessedFile",
    "Run",
    "Trigger",
]
