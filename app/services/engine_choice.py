"""Which engine an ingestion runs on, and whether it can: the embedded one, or a cluster by its name."""

from __future__ import annotations

from importlib.util import find_spec

from app.catalog.names import DEFAULT_CATALOG
from app.config import Settings
from app.database import Database, Session
from app.errors import InvalidInput, SparkRefused
from app.repositories import clusters
from app.schemas.ingestion import IngestionShape
from app.services.cluster_service import ClusterService
from app.spark import Endpoint
from app.spark.faults import INSTALL

EMBEDDED = "embedded"


def require_engine(session: Session, tenant_id: str, shape: IngestionShape, table_name: str) -> None:
    """Raises InvalidInput unless there is the engine, and it can do what the shape asks."""
    if shape.engine == EMBEDDED:
        return
    if clusters.by_name(session, tenant_id, shape.engine) is None:
        raise InvalidInput(f"There is no cluster {shape.engine!r}.", hint="Use engine: embedded.")
    if table_name.partition(".")[0] == DEFAULT_CATALOG:
        raise InvalidInput(
            f"The catalog {DEFAULT_CATALOG} is in a file of this machine: the cluster {shape.engine} cannot use it.",
            hint="Load into a catalog of PostgreSQL or REST that both reach: autoloader connections add",
        )
    from app.ingest.engines.spark_limits import require_shape

    require_shape(shape)


def endpoint_named(database: Database, settings: Settings, tenant_id: str, name: str) -> Endpoint:
    """Where the cluster is, and what is sent along. Raises NotFound, SecretUnreadable, and SparkRefused without the
    library that speaks to it.
    """
    service = ClusterService(database, settings, tenant_id=tenant_id)
    found = service.named(name)
    if find_spec("pyspark") is None:
        raise SparkRefused(f"The cluster {name} needs a library that is not installed (pyspark).", hint=INSTALL)
    return service.endpoint(found.id)
