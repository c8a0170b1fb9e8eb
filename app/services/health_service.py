"""Each thing the Autoloader depends on: reachable, or why not, and what to do."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from app.catalog.alone import cluster_alone
from app.catalog.names import DEFAULT_CATALOG
from app.config import GIB, Settings
from app.database import Database
from app.errors import AutoloaderError, CatalogUnavailable, InvalidInput
from app.ingest.discovery import split_source
from app.models import DEFAULT_TENANT
from app.services import wiring
from app.services.cluster_service import ClusterService, ClusterView
from app.services.connection_service import ConnectionService, ConnectionView
from app.services.ingestion_service import IngestionService
from app.storage import ProbeStep, check
from app.vault import Vault

__all__ = ["BROKEN", "OK", "WARNING", "Check", "HealthService", "ProbeStep"]

OK, WARNING, BROKEN = "ok", "warning", "broken"
_LIBRARIES = ("duckdb", "pyarrow", "pyiceberg", "obstore", "sqlalchemy")
_LITTLE_SPACE = 2 * GIB
_CLUSTER_SECONDS = 20.0  # for all that is asked of one session on a cluster
_OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. `state` is ok, warning or broken; `hint` says what to do when it is not ok."""

    name: str
    state: str
    detail: str
    hint: str = ""


class HealthService:
    """Looks at one thing after the other; what one of them raises is its own result and stops none of the others."""

    def __init__(self, database: Database, settings: Settings, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.settings = settings
        self.tenant_id = tenant_id
        self.connections = ConnectionService(database, settings, tenant_id=tenant_id)
        self.clusters = ClusterService(database, settings, tenant_id=tenant_id)
        self.ingestions = IngestionService(database, settings, tenant_id=tenant_id)

    def checks(self) -> Iterator[Check]:
        """Every check, as it is made."""
        yield _versions()
        yield _tried("home", self._home)
        yield _tried("disk", self._disk)
        database = _tried("database", self._database)
        yield database
        yield _tried("secret key", self._secret_key)
        yield _tried(f"catalog {DEFAULT_CATALOG}", self._local_catalog)
        if database.state != OK:
            return
        yield from self._connections()
        yield from self._clusters()
        yield from self._blocked()

    def test(self, name: str, url: str | None) -> list[ProbeStep]:
        """Open, list and read with a connection at `url`, or where its first ingestion reads; catalogs are opened.

        Raises NotFound, and InvalidInput when nobody says which address, or somebody says one of a catalog.
        """
        kind = self.connections.kind(name)
        options = self.connections.options(name)
        if kind == "catalog":
            if url:
                raise InvalidInput(
                    f"Connection {name!r} is a catalog: it is tried where its options say, not at {url}.",
                    hint=f"Leave the address out: autoloader connections test {name}",
                )
            return [_as_step(_tried("open", lambda: self._catalog(name)))]
        address = url or next(iter(self.ingestions.sources().get(name, ())), None)
        if address is None:
            raise InvalidInput(
                f"Connection {name!r} is not used by an ingestion yet: say which address to try.",
                hint=f"For example: autoloader connections test {name} {kind}://bucket/prefix",
            )
        return check(split_source(address)[0], options)

    # --- one by one --------------------------------------------------------------------------

    def _home(self) -> Check:
        home = self.settings.home
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=home) as probe:
                probe.write(b"x")
        except OSError as error:
            return Check(
                "home",
                BROKEN,
                f"{home} cannot be written: {error.strerror}.",
                "Set AUTOLOADER_HOME to a folder that can be written.",
            )
        return Check("home", OK, str(home))

    def _disk(self) -> Check:
        free = shutil.disk_usage(self.settings.home).free
        detail = f"{free / GIB:.1f} GiB free for spool and warehouse"
        if free < _LITTLE_SPACE:
            return Check("disk", WARNING, detail, "Free some space, or move AUTOLOADER_HOME.")
        return Check("disk", OK, detail)

    def _database(self) -> Check:
        self.database.require_current()
        return Check("database", OK, self.database.shown)

    def _secret_key(self) -> Check:
        given = bool(self.settings.autoloader_secret_key.get_secret_value())
        key_file = self.settings.home / "secret.key"
        if not given and not key_file.exists():
            return Check("secret key", OK, "none yet; it is made with the first secret")
        vault = Vault.from_settings(self.settings)
        vault.decrypt(vault.encrypt("probe", owner="doctor"), owner="doctor")
        return Check("secret key", OK, "AUTOLOADER_SECRET_KEY" if given else str(key_file))

    def _local_catalog(self) -> Check:
        name = f"{DEFAULT_CATALOG}.doctor.doctor"
        with wiring.catalog_of(self.database, self.settings, name, self.tenant_id) as catalog:
            catalog.table(name).exists()
        return Check(f"catalog {DEFAULT_CATALOG}", OK, str(self.settings.home / "warehouse"))

    def _catalog(self, name: str) -> Check:
        table = f"{name}.doctor.doctor"
        cluster = cluster_alone(self.connections.options(name))
        try:
            with wiring.opened_table(self.database, self.settings, table, self.tenant_id) as opened:
                opened.exists()
        except CatalogUnavailable as error:
            if cluster is None:  # elsewhere the hint leads to this very look
                error.hint = self._where_it_is(name)
            raise
        if cluster is None:
            return Check(f"catalog {name}", OK, "the catalog answers; its warehouse's files were not tried")
        return Check(
            f"catalog {name}",
            OK,
            f"the cluster {cluster} opens its catalog {name}; whether it can write there, and which stores it reads,"
            f" was not tried: autoloader clusters test {cluster}",
        )

    def _where_it_is(self, name: str) -> str:
        """What to look at where a catalog does not answer."""
        known = next((one for one in self.connections.listed() if one.name == name), None)
        address = known.options.get("uri", "") if known else ""
        if known and "uri" in known.secret_names:
            address = "which is kept as a secret"
        if not address:
            return "See that its service can be reached from this machine, with the options of the connection."
        return f"See that a server runs at the address it was given, {address}, and can be reached from this machine."

    def _connections(self) -> Iterator[Check]:
        try:
            known = self.connections.listed()
        except AutoloaderError as error:
            yield Check("connections", BROKEN, error.message, error.hint)
            return
        used = self.ingestions.sources()
        for connection in known:
            if connection.kind == "catalog":
                yield _tried(f"catalog {connection.name}", partial(self._catalog, connection.name))
            else:
                yield from self._stores(connection, used.get(connection.name, ()))

    def _stores(self, connection: ConnectionView, addresses: Sequence[str]) -> Iterator[Check]:
        title = f"connection {connection.name}"
        if connection.unreadable:
            anew = f"Store it anew: autoloader connections add {connection.name} {connection.kind}"
            yield Check(title, BROKEN, connection.unreadable, anew)
            return
        if not addresses:
            yield Check(
                title,
                WARNING,
                "no ingestion uses it, so it was not tried",
                f"Try it: autoloader connections test {connection.name} {connection.kind}://bucket/prefix",
            )
        for address in addresses:
            yield _tried(title, partial(self._store, connection.name, address))

    def _store(self, name: str, url: str) -> Check:
        steps = check(split_source(url)[0], self.connections.options(name))
        failed = next((step for step in steps if not step.ok), None)
        if failed is not None:
            hint = f"See each step: autoloader connections test {name} {url}"
            return Check(f"connection {name}", BROKEN, f"{url}: {failed.name}: {failed.detail}", hint)
        return Check(f"connection {name}", OK, f"{url}: {steps[-1].detail}")

    def _clusters(self) -> Iterator[Check]:
        """Each is looked at, and nothing is made on it."""
        for cluster in self.clusters.listed():
            yield _tried(f"cluster {cluster.name}", partial(self._cluster, cluster))

    def _cluster(self, cluster: ClusterView) -> Check:
        title = f"cluster {cluster.name}"
        if cluster.unreadable:
            return Check(
                title,
                BROKEN,
                cluster.unreadable,
                f"Store it anew, with its options: autoloader clusters add {cluster.name} {cluster.url} --replace",
            )
        steps = self.clusters.test(cluster.id, write=False, seconds=_CLUSTER_SECONDS)
        failed = next((step for step in steps if not step.ok), None)
        if failed is not None:
            hint = f"See each step: autoloader clusters test {cluster.name}"
            return Check(title, BROKEN, f"{cluster.url}: {failed.name}: {failed.detail}", hint)
        answered = next((step.detail for step in steps if step.name == "connect"), "")
        return Check(title, OK, f"{cluster.url}: {answered}")

    def _blocked(self) -> Iterator[Check]:
        for name, evidence in self.ingestions.blocked().items():
            hint = f"See the evidence and decide: autoloader ingestions resolve {name}"
            yield Check(f"ingestion {name}", BROKEN, f"blocked: {evidence}", hint)


def _versions() -> Check:
    found = [f"{name} {_version(name)}" for name in ("iomete-autoloader", *_LIBRARIES)]
    detail = f"Python {platform.python_version()}; {', '.join(found)}"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return Check("versions", BROKEN, detail, "Use Python 3.11 or newer.")
    missing = [name for name in _LIBRARIES if _version(name) == "missing"]
    if missing:
        return Check("versions", BROKEN, detail, f"Install: {', '.join(missing)}.")
    return Check("versions", OK, detail)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _tried(name: str, act: Callable[[], Check]) -> Check:
    try:
        return act()
    except AutoloaderError as error:
        return Check(name, BROKEN, error.message, error.hint)
    except OSError as error:
        return Check(name, BROKEN, str(error), "Look at the rights of AUTOLOADER_HOME.")


def _as_step(made: Check) -> ProbeStep:
    return ProbeStep("open", ok=made.state == OK, detail=f"{made.detail} {made.hint}".rstrip())
