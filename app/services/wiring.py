"""Builds what a run needs from what is stored: the catalog, the parser, the engine.

The Iceberg library is imported with the first catalog that is opened: most runs of a schedule find nothing new, and
its import would be half of their work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from app.catalog.alone import cluster_alone, not_from_here
from app.catalog.names import DEFAULT_CATALOG, parse_table_name
from app.config import Settings
from app.database import Database
from app.ingest.discovery import split_source
from app.ingest.engines.embedded_input import parse_limits
from app.ingest.engines.sandbox import Sandbox
from app.ingest.engines.spark_session import KeptSession
from app.ingest.ports import Engine
from app.services import sources
from app.services.connection_service import STORES, ConnectionService
from app.services.context import IngestionInfo
from app.services.engine_choice import endpoint_named, on_engine
from app.services.engine_rule import AUTO, EMBEDDED
from app.spark import Endpoint, FileAccess, file_access
from app.spool import Spool
from app.storage import parse_address

if TYPE_CHECKING:
    from app.catalog.read import Reader
    from app.catalog.table import Catalog, Table
    from app.ingest.engines.cluster_table import ClusterTable
    from app.ingest.engines.engine_table import EngineTable


def catalog_of(database: Database, settings: Settings, table_name: str, tenant_id: str) -> Catalog:
    """The catalog of a full table name: a connection of that name, or the local one. Raises NotFound."""
    from app.catalog.open import local_options, open_catalog

    name = table_name.split(".", 1)[0]
    service = ConnectionService(database, settings, tenant_id=tenant_id)
    if name == DEFAULT_CATALOG:  # also where an older version let a connection take its name
        return open_catalog(name, local_options(settings.home))
    return open_catalog(name, service.options(name, ("catalog",)))


def cluster_alone_of(database: Database, settings: Settings, table_name: str, tenant_id: str) -> str | None:
    """The cluster that alone reaches the catalog of a full table name; None for a catalog that is opened from here.

    Raises NotFound.
    """
    name = table_name.split(".", 1)[0]
    if name == DEFAULT_CATALOG:
        return None
    return cluster_alone(ConnectionService(database, settings, tenant_id=tenant_id).options(name, ("catalog",)))


@contextmanager
def opened_table(
    database: Database, settings: Settings, table_name: str, tenant_id: str
) -> Iterator[Table | ClusterTable]:
    """A table by its full name, by whichever way its catalog is reached. Raises NotFound, and what reaching it does."""
    name = parse_table_name(table_name)
    cluster = cluster_alone_of(database, settings, table_name, tenant_id)
    if cluster is None:
        with catalog_of(database, settings, table_name, tenant_id) as catalog:
            yield catalog.table(name)
        return
    from app.ingest.engines.cluster_table import ClusterTable

    endpoint = replace(endpoint_named(database, settings, tenant_id, cluster), catalog=name.catalog)
    with closing(KeptSession(endpoint, FileAccess(), "look", settings.spark_silence_seconds)) as kept:
        yield ClusterTable(name, kept.get)


@contextmanager
def opened_reader(database: Database, settings: Settings, table_name: str, tenant_id: str) -> Iterator[Reader]:
    """Who looks into a table, by its full name. Raises as `opened_table`."""
    from app.catalog.read import TableReader
    from app.ingest.engines.cluster_read import ClusterReader
    from app.ingest.engines.cluster_table import ClusterTable

    with opened_table(database, settings, table_name, tenant_id) as table:
        yield ClusterReader(table) if isinstance(table, ClusterTable) else TableReader(table)


def table_engine(ingestion: IngestionInfo) -> str:
    """The name of the engine that looks at the ingestion's table where no batch says which."""
    return EMBEDDED if ingestion.shape.engine == AUTO else ingestion.shape.engine


@dataclass(frozen=True, slots=True)
class ForRun:
    """What an engine is opened for: a run, and whether that has lost its right to go on."""

    id: UUID
    unwanted: Callable[[], bool]


@contextmanager
def opened_engine(
    database: Database,
    settings: Settings,
    ingestion: IngestionInfo,
    sandbox: Sandbox,
    name: str | None = None,
    run: ForRun | None = None,
) -> Iterator[Engine]:
    """An engine of one run by its name (without one, its table's), closed with the block.

    Raises InvalidInput for a cluster that there is not.
    """
    name = name or table_engine(ingestion)
    if name == EMBEDDED:
        with _embedded(database, settings, ingestion, sandbox) as embedded:
            yield embedded
    else:
        with _spark(database, settings, ingestion, name, run) as spark:
            yield spark


@contextmanager
def _spark(
    database: Database, settings: Settings, ingestion: IngestionInfo, name: str, run: ForRun | None
) -> Iterator[Engine]:
    from app.ingest.engines.cluster_table import ClusterTable
    from app.ingest.engines.spark import Cluster, SparkEngine

    where = parse_table_name(ingestion.table_name)
    endpoint = replace(endpoint_named(database, settings, ingestion.tenant_id, name), catalog=where.catalog)
    alone = cluster_alone_of(database, settings, ingestion.table_name, ingestion.tenant_id)
    if alone not in {None, name}:
        raise not_from_here(where.catalog, str(alone))
    store = sources.store_of(database, settings, ingestion.shape.source, ingestion.tenant_id)
    files = _files_of(database, settings, ingestion, endpoint)
    kept = KeptSession(endpoint, files, ingestion.shape.name, settings.spark_silence_seconds)
    cluster = Cluster(kept, store, run.id, run.unwanted) if run else Cluster(kept, store)
    with ExitStack() as held:
        table: EngineTable = ClusterTable(where, kept.get)
        if alone is None:
            catalog = catalog_of(database, settings, ingestion.table_name, ingestion.tenant_id)
            table = held.enter_context(catalog).table(where)
        shape = on_engine(ingestion.shape, name)
        yield held.enter_context(closing(SparkEngine(table, shape, ingestion.schema, cluster, settings)))


def _files_of(database: Database, settings: Settings, ingestion: IngestionInfo, endpoint: Endpoint) -> FileAccess:
    """How the cluster reads the source: as the connection says, or by what the cluster has itself."""
    source = ingestion.shape.source
    address = parse_address(split_source(source.url)[0])
    options: dict[str, str] = {}
    identity = ""
    if source.connection is not None and not endpoint.own_credentials:
        service = ConnectionService(database, settings, tenant_id=ingestion.tenant_id)
        options, identity = service.options(source.connection, STORES), service.identity(source.connection)
    return file_access(address.kind, address.bucket, options, account=address.account, identity=identity)


@contextmanager
def _embedded(database: Database, settings: Settings, ingestion: IngestionInfo, sandbox: Sandbox) -> Iterator[Engine]:
    """Files are staged beside the spool, in AUTOLOADER_HOME."""
    from app.ingest.engines.embedded import EmbeddedEngine, Inputs

    catalog = catalog_of(database, settings, ingestion.table_name, ingestion.tenant_id)
    home = settings.home / "spool"
    with catalog, Spool(home, settings.spool_max_bytes, settings.fetch_concurrency) as spool:
        inputs = Inputs(
            store=sources.store_of(database, settings, ingestion.shape.source, ingestion.tenant_id),
            spool=spool,
            sandbox=sandbox,
            staging=spool.folder / "staged",
        )
        yield EmbeddedEngine(catalog.table(ingestion.table_name), ingestion.shape, ingestion.schema, inputs, settings)


@contextmanager
def opened_sandbox(settings: Settings) -> Iterator[Sandbox]:
    """A parsing child with the limits of the settings; it starts with the first request."""
    with Sandbox(parse_limits(settings), timeout_seconds=settings.parser_timeout_seconds) as sandbox:
        yield sandbox
