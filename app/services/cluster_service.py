"""Clusters: Spark Connect endpoints. Secrets are encrypted, and leave only to the process that connects."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address
from uuid import UUID, uuid4

from app.catalog.alone import cluster_alone
from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, InvalidInput, NotFound, SecretUnreadable
from app.ingest.ports import Clock, SystemClock
from app.log import register_secret
from app.models import DEFAULT_TENANT, Cluster
from app.repositories import clusters, connections
from app.services.connection_service import split_secrets
from app.spark import ClusterStep, Endpoint, endpoint_of, parse_url, probe
from app.spark.probe import SECONDS
from app.vault import Vault

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_CATALOG = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_NAMESPACE = _CATALOG
_TOKEN = "token"  # noqa: S105 - the name of a secret
_RESERVED = frozenset({"embedded", "auto"})
_CONNECT_SECONDS = 5.0
_LISTENS = "Does the server run, and are host and port those that it listens on?"


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as people may see it: of its secrets only the names, or why they cannot be read."""

    id: UUID
    name: str
    url: str
    catalog: str | None
    options: dict[str, str]
    has_token: bool
    secret_names: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    unreadable: str = ""


class ClusterService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.vault = Vault.from_settings(settings)
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    def create(
        self,
        name: str,
        url: str,
        *,
        catalog: str | None,
        options: Mapping[str, str],
        token: str | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> ClusterView:
        """Store a cluster; `secrets` are options that nobody is shown. Raises InvalidInput, and Conflict when the name
        is taken.
        """
        hidden = _checked(name, url, catalog, options, token, secrets or {})
        now = self.clock.now()
        with self.database.session_scope() as session:
            if clusters.by_name(session, self.tenant_id, name):
                raise Conflict(
                    f"There is a cluster {name!r} already.",
                    hint="Choose another name, or change that one, with all its options and secrets again: --replace.",
                )
            row = Cluster(id=uuid4(), tenant_id=self.tenant_id, name=name, url=url, created_at=now, updated_at=now)
            row.catalog, row.options, row.secret = catalog, dict(options), self._encrypt(row.id, hidden)
            clusters.add(session, row)
            return _view(row, hidden)

    def replace(
        self,
        cluster_id: UUID,
        url: str,
        *,
        catalog: str | None,
        options: Mapping[str, str],
        token: str | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> ClusterView:
        """All of it anew but its name: what is left out is gone, the token too. Raises InvalidInput, NotFound."""
        with self.database.session_scope() as session:
            row = self._row(session, cluster_id)
            hidden = _checked(row.name, url, catalog, options, token, secrets or {})
            row.url, row.catalog, row.options = url, catalog, dict(options)
            row.secret, row.updated_at = self._encrypt(row.id, hidden), self.clock.now()
            session.flush()
            return _view(row, hidden)

    def listed(self) -> list[ClusterView]:
        """All clusters, by name; one whose secret cannot be read hides none of the others."""
        with self.database.read_scope() as session:
            return [self._shown(row) for row in clusters.listed(session, self.tenant_id)]

    def read(self, cluster_id: UUID) -> ClusterView:
        """Raises NotFound."""
        with self.database.read_scope() as session:
            return self._shown(self._row(session, cluster_id))

    def named(self, name: str) -> ClusterView:
        """Raises NotFound."""
        with self.database.read_scope() as session:
            row = clusters.by_name(session, self.tenant_id, name)
            if row is None:
                raise NotFound(f"There is no cluster {name!r}.", hint="See: autoloader clusters list")
            return self._shown(row)

    def remove(self, cluster_id: UUID) -> None:
        """Remove it with its secrets. Raises NotFound, and Conflict while an ingestion runs on it."""
        with self.database.session_scope() as session:
            row = self._row(session, cluster_id)
            users = clusters.users(session, self.tenant_id, row.name)
            if not users:
                _refuse_catalogs(session, self.tenant_id, row.name)
            if users:
                raise Conflict(
                    f"Cluster {row.name!r} is used by {', '.join(users)}.",
                    hint="Change or delete these ingestions first.",
                )
            clusters.remove(session, row)

    def test(
        self, cluster_id: UUID, *, write: bool = True, namespace: str | None = None, seconds: float = SECONDS
    ) -> list[ClusterStep]:
        """What can be tried of a cluster, up to the first step that the others rest on and that fails. With `write` a
        table is made and removed, in `namespace` or in one of its own. What is asked of one session may take so many
        seconds. Raises NotFound, SecretUnreadable, InvalidInput.
        """
        if namespace is not None and not _NAMESPACE.fullmatch(namespace):
            raise InvalidInput(f"{namespace!r} is not a namespace.", hint="Use letters, digits and _.")
        found = self.endpoint(cluster_id)
        steps = [_reached(found.host, found.port)]
        if steps[0].ok:
            steps += probe(found, write=write, namespace=namespace, seconds=seconds)
        return steps

    def endpoint(self, cluster_id: UUID) -> Endpoint:
        """Where it is, and all that is sent along, for the process that connects. Raises NotFound, SecretUnreadable."""
        with self.database.read_scope() as session:
            row = self._row(session, cluster_id)
            name, url, catalog, hidden = row.name, row.url, row.catalog, self._secrets(row)
            options = {key: str(value) for key, value in row.options.items()}
        for value in hidden.values():
            register_secret(value)
        kept = _kept(catalog, options, hidden)
        token = hidden.pop(_TOKEN, None)
        return replace(endpoint_of(url, {**options, **hidden}, token, catalog), name=name, kept=kept)

    def get_spark_connect_credentials(self, cluster_id: UUID) -> tuple[str, str | None]:
        """The URL and the token. Raises NotFound, SecretUnreadable."""
        with self.database.read_scope() as session:
            row = self._row(session, cluster_id)
            url, token = row.url, self._secrets(row).get(_TOKEN)
        if token is not None:
            register_secret(token)
        return url, token

    def _encrypt(self, cluster_id: UUID, hidden: Mapping[str, str]) -> str | None:
        for value in hidden.values():
            register_secret(value)
        return self.vault.encrypt(json.dumps(dict(hidden)), owner=self._owner(cluster_id)) if hidden else None

    def _secrets(self, row: Cluster) -> dict[str, str]:
        if row.secret is None:
            return {}
        found: dict[str, str] = json.loads(self.vault.decrypt(row.secret, owner=self._owner(row.id)))
        return found

    def _shown(self, row: Cluster) -> ClusterView:
        try:
            return _view(row, self._secrets(row))
        except SecretUnreadable as error:
            return _view(row, (), unreadable=str(error))

    def _row(self, session: Session, cluster_id: UUID) -> Cluster:
        row = clusters.by_id(session, cluster_id)
        if row is None or row.tenant_id != self.tenant_id:
            raise NotFound(f"There is no cluster {cluster_id}.", hint="GET /v1/clusters lists them.")
        return row

    def _owner(self, cluster_id: UUID) -> str:
        return f"cluster:{self.tenant_id}:{cluster_id}"


def _checked(
    name: str,
    url: str,
    catalog: str | None,
    options: Mapping[str, str],
    token: str | None,
    secrets: Mapping[str, str],
) -> dict[str, str]:
    """What must be encrypted. Raises InvalidInput for what cannot be a cluster."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise InvalidInput(
            f"{name!r} is not a name for a cluster.",
            hint=f"Use letters, digits, _ and -, and not {' or '.join(sorted(_RESERVED))}.",
            fields=[(("name",), "is not a name for a cluster")],
        )
    if catalog is not None and not _CATALOG.fullmatch(catalog):
        raise InvalidInput(
            f"{catalog!r} is not the name of a catalog.",
            hint="Use letters, digits and _: it is part of table names.",
            fields=[(("catalog",), "is not the name of a catalog")],
        )
    parse_url(url)
    shown = next(iter(split_secrets(options)[1]), None)
    if shown is not None:
        raise InvalidInput(
            f"The option {shown} looks like a secret; options are shown.",
            hint="Give it as a secret, or as the token: these are encrypted.",
            fields=[(("options", shown), "looks like a secret")],
        )
    hidden = dict(secrets)
    if _TOKEN in hidden and token is None:
        token = hidden.pop(_TOKEN)
    endpoint_of(url, {**options, **hidden}, token, catalog)
    return hidden if token is None else {**hidden, _TOKEN: token}


def _kept(catalog: str | None, options: Mapping[str, str], secret_names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What `clusters add` was told, for a command that tells it again. What a header says may well be a secret, though
    it was given as none.
    """
    named = [("--catalog", catalog)] if catalog else []
    headers = {key for key in options if key.startswith("header.")}
    given = [("-o", f"{key}={value}") for key, value in sorted(options.items()) if key not in headers]
    return (*named, *given, *(("--secret", name) for name in sorted({*secret_names, *headers})))


def _refuse_catalogs(session: Session, tenant_id: str, cluster: str) -> None:
    """Raises Conflict while it is the one that reaches a catalog."""
    names = [one.name for one in connections.listed(session, tenant_id) if cluster_alone(one.options) == cluster]
    if names:
        raise Conflict(
            f"Cluster {cluster!r} is the only one that reaches the catalog {', '.join(names)}.",
            hint=f"Remove it first: autoloader connections remove {names[0]}",
        )


def _reached(host: str, port: int) -> ClusterStep:
    """Whether something listens. Says nothing of what it answers, so that it cannot be used to read other servers."""
    begun = time.monotonic()
    try:
        address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
        if _link_local(address):
            return ClusterStep(
                "reach", ok=False, detail="Link-local addresses are not tried: clouds keep secrets there."
            )
        # To the very address that was looked at: a second look-up of the name may answer another one.
        with socket.create_connection((address, port), timeout=_CONNECT_SECONDS):
            pass
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return ClusterStep("reach", ok=False, detail=f"{host}:{port} cannot be reached: {why}. {_LISTENS}")
    took = (time.monotonic() - begun) * 1000
    return ClusterStep("reach", ok=True, detail=f"{host}:{port} takes connections ({took:.0f} ms).")


def _link_local(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    return (getattr(found, "ipv4_mapped", None) or found).is_link_local


def _view(row: Cluster, hidden: Iterable[str], *, unreadable: str = "") -> ClusterView:
    options = {key: str(value) for key, value in row.options.items()}
    names = tuple(sorted(hidden))
    has_token = row.secret is not None if unreadable else _TOKEN in names
    return ClusterView(
        row.id, row.name, row.url, row.catalog, options, has_token, names, row.created_at, row.updated_at, unreadable
    )
