"""Which engines an ingestion runs on, and whether it can: the embedded one, a cluster by its name, or both."""

from __future__ import annotations

from importlib.util import find_spec

from app.catalog.alone import cluster_alone
from app.catalog.names import DEFAULT_CATALOG, parse_table_name
from app.config import Settings
from app.database import Database, Session
from app.datatypes import parse_schema
from app.errors import InvalidInput, SparkRefused
from app.models import Cluster
from app.repositories import clusters, connections
from app.schemas.ingestion import IngestionShape
from app.services.cluster_service import ClusterService
from app.services.engine_rule import AUTO, EMBEDDED
from app.spark import Endpoint
from app.spark.hints import INSTALL


def require_engine(session: Session, tenant_id: str, shape: IngestionShape, table_name: str) -> None:
    """Raises InvalidInput unless there are the engines, and they can do what the shape asks."""
    _require_reach(session, tenant_id, shape, table_name)
    if shape.engine == EMBEDDED:
        return
    cluster = shape.cluster if shape.engine == AUTO else shape.engine
    if cluster is None:
        raise InvalidInput(
            f"With engine: {AUTO} a cluster takes the large batches, and {shape.name} names none.",
            hint="Name one, as `cluster` (of load: --cluster NAME); see: autoloader clusters list",
            fields=[(("cluster",), "is needed with engine: auto")],
        )
    known = clusters.by_name(session, tenant_id, cluster)
    if known is None:
        raise InvalidInput(
            f"There is no cluster {cluster!r}.",
            hint=f"See: autoloader clusters list; or add it: autoloader clusters add {cluster} sc://host:port",
        )
    if table_name.partition(".")[0] == DEFAULT_CATALOG:
        raise InvalidInput(
            f"The catalog {DEFAULT_CATALOG} is in a file of this machine: the cluster {cluster} cannot use it.",
            hint=_how_to_reach(session, tenant_id, table_name, known),
        )
    from app.ingest.engines.spark_limits import require_schema, require_shape

    require_shape(on_engine(shape, cluster))
    if shape.columns.columns:
        require_schema(table_name, parse_schema(shape.columns.columns))


def _require_reach(session: Session, tenant_id: str, shape: IngestionShape, table_name: str) -> None:
    """Raises InvalidInput for a table whose catalog another cluster alone reaches, or with columns it cannot make."""
    name = table_name.partition(".")[0]
    row = connections.by_name(session, tenant_id, name)
    alone = cluster_alone(row.options) if row is not None and row.kind == "catalog" else None
    if alone is None:
        return
    if clusters.by_name(session, tenant_id, alone) is None:
        raise InvalidInput(
            f"The catalog {name} is reached by the cluster {alone} alone, and there is no such cluster.",
            hint=f"Add it: autoloader clusters add {alone} sc://host:port --catalog {name}; or name another: autoloader"
            f" connections add {name} catalog -o type=cluster -o cluster=NAME --replace",
        )
    if shape.engine != alone:
        raise InvalidInput(
            f"The catalog {name} is reached by the cluster {alone} alone: {shape.name} cannot load into it with"
            f" engine: {shape.engine}.",
            hint=f"Set engine: {alone} (of load: --engine {alone})",
            fields=[(("engine",), f"must be {alone} for this catalog")],
        )
    if shape.columns.columns:
        from app.ingest.engines.cluster_sql import require_types

        require_types(parse_table_name(table_name), parse_schema(shape.columns.columns))


def _how_to_reach(session: Session, tenant_id: str, table_name: str, cluster: Cluster) -> str:
    """What to type for a table that lies in this machine's own catalog, and is to be loaded by the cluster."""
    table = table_name.removeprefix(f"{DEFAULT_CATALOG}.")
    catalog = cluster.catalog or "NAME"
    then = f"Load into a catalog that it reaches, by its name before the table's: {catalog}.{table}"
    if connections.by_name(session, tenant_id, catalog):
        return then
    return (
        f"{then}. Add that one before: autoloader connections add {catalog} catalog -o type=cluster -o"
        f" cluster={cluster.name} (autoloader docs cluster-catalogs), or of PostgreSQL or REST, which both engines"
        " reach (autoloader docs clusters)"
    )


def on_engine(shape: IngestionShape, engine: str) -> IngestionShape:
    """The shape as if it had said this engine."""
    return shape if shape.engine == engine else shape.model_copy(update={"engine": engine})


def endpoint_named(database: Database, settings: Settings, tenant_id: str, name: str) -> Endpoint:
    """Where the cluster is, and what is sent along. Raises NotFound, SecretUnreadable, and SparkRefused without the
    library that speaks to it.
    """
    service = ClusterService(database, settings, tenant_id=tenant_id)
    found = service.named(name)
    if find_spec("pyspark") is None:
        raise SparkRefused(f"The cluster {name} needs a library that is not installed (pyspark).", hint=INSTALL)
    return service.endpoint(found.id)
