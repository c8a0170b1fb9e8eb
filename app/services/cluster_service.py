"""Clusters: Spark Connect endpoints. The token is encrypted, and leaves only to the process that connects."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from ipaddress import ip_address
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, InvalidInput, NotFound
from app.ingest.ports import Clock, SystemClock
from app.log import register_secret
from app.models import DEFAULT_TENANT, Cluster
from app.repositories import clusters
from app.services.connection_service import split_secrets
from app.vault import Vault

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_URL = re.compile(r"sc://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(?P<port>[0-9]{1,5})/?")
_RESERVED = "embedded"
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as people may see it: of its secret only whether there is one."""

    id: UUID
    name: str
    url: str
    catalog: str | None
    options: dict[str, str]
    has_token: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ClusterStep:
    name: str
    ok: bool
    detail: str


class ClusterService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.vault = Vault.from_settings(settings)
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    def create(
        self, name: str, url: str, *, catalog: str | None, options: Mapping[str, str], token: str | None
    ) -> ClusterView:
        """Store a cluster. Raises InvalidInput, and Conflict when the name is taken."""
        _check(name, url, options)
        now = self.clock.now()
        if token is not None:
            register_secret(token)
        with self.database.session_scope() as session:
            if clusters.by_name(session, self.tenant_id, name):
                raise Conflict(f"There is a cluster {name!r} already.", hint="Choose another name, or delete that one.")
            row = Cluster(id=uuid4(), tenant_id=self.tenant_id, name=name, url=url, created_at=now, updated_at=now)
            row.catalog, row.options = catalog, dict(options)
            if token is not None:
                row.secret = self.vault.encrypt(json.dumps({"token": token}), owner=self._owner(row.id))
            clusters.add(session, row)
            return _view(row)

    def listed(self) -> list[ClusterView]:
        with self.database.read_scope() as session:
            return [_view(row) for row in clusters.listed(session, self.tenant_id)]

    def read(self, cluster_id: UUID) -> ClusterView:
        """Raises NotFound."""
        with self.database.read_scope() as session:
            return _view(self._row(session, cluster_id))

    def remove(self, cluster_id: UUID) -> None:
        """Remove it with its token. Raises NotFound, and Conflict while an ingestion runs on it."""
        with self.database.session_scope() as session:
            row = self._row(session, cluster_id)
            users = clusters.users(session, self.tenant_id, row.name)
            if users:
                raise Conflict(
                    f"Cluster {row.name!r} is used by {', '.join(users)}.",
                    hint="Change or delete these ingestions first.",
                )
            clusters.remove(session, row)

    def test(self, cluster_id: UUID) -> list[ClusterStep]:
        """What can be tried of a cluster, up to the first step that fails. Raises NotFound."""
        view = self.read(cluster_id)
        host, port = endpoint(view.url)
        steps = [_reached(host, port)]
        if steps[0].ok:
            steps.append(_spark())
        return steps

    def get_spark_connect_credentials(self, cluster_id: UUID) -> tuple[str, str | None]:
        """The URL and the token. Raises NotFound, SecretUnreadable."""
        with self.database.read_scope() as session:
            row = self._row(session, cluster_id)
            url, secret = row.url, row.secret
        if secret is None:
            return url, None
        token = str(json.loads(self.vault.decrypt(secret, owner=self._owner(cluster_id)))["token"])
        register_secret(token)
        return url, token

    def _row(self, session: Session, cluster_id: UUID) -> Cluster:
        row = clusters.by_id(session, cluster_id)
        if row is None or row.tenant_id != self.tenant_id:
            raise NotFound(f"There is no cluster {cluster_id}.", hint="GET /v1/clusters lists them.")
        return row

    def _owner(self, cluster_id: UUID) -> str:
        return f"cluster:{self.tenant_id}:{cluster_id}"


def endpoint(url: str) -> tuple[str, int]:
    """Host and port of `sc://host:port`. Raises InvalidInput; a token must not stand in the address."""
    found = _URL.fullmatch(url)
    port = int(found["port"]) if found else 0
    if not found or not 0 < port < 65536:  # noqa: PLR2004 - ports
        raise InvalidInput(
            "This is not the address of a Spark Connect endpoint.",
            hint="Write sc://host:port, for example sc://spark.example.com:15002; the token has a field of its own.",
            fields=[(("url",), "must be sc://host:port")],
        )
    return found["host"].strip("[]"), port


def _check(name: str, url: str, options: Mapping[str, str]) -> None:
    if not _NAME.fullmatch(name) or name == _RESERVED:
        raise InvalidInput(
            f"{name!r} is not a name for a cluster.",
            hint=f"Use letters, digits, _ and -, and not {_RESERVED}.",
            fields=[(("name",), "is not a name for a cluster")],
        )
    endpoint(url)
    secret = split_secrets(options)[1]
    if secret:
        raise InvalidInput(
            f"The option {next(iter(secret))} looks like a secret; options are shown.",
            hint="Give it as `token`, which is encrypted.",
            fields=[(("options", next(iter(secret))), "looks like a secret")],
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
        return ClusterStep("reach", ok=False, detail=f"{host}:{port} cannot be reached: {why}.")
    took = (time.monotonic() - begun) * 1000
    return ClusterStep("reach", ok=True, detail=f"{host}:{port} takes connections ({took:.0f} ms).")


def _link_local(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    return (getattr(found, "ipv4_mapped", None) or found).is_link_local


def _spark() -> ClusterStep:
    if find_spec("pyspark") is None:
        detail = (
            "The Spark engine is not installed yet: whether it is Spark Connect, and the token right, is not known."
        )
        return ClusterStep("session", ok=False, detail=detail)
    detail = "The Spark engine does not run in this version: whether the token is right is not known."
    return ClusterStep("session", ok=False, detail=detail)


def _view(row: Cluster) -> ClusterView:
    options = {key: str(value) for key, value in row.options.items()}
    return ClusterView(
        row.id, row.name, row.url, row.catalog, options, row.secret is not None, row.created_at, row.updated_at
    )
