"""Connections: options in the open, secrets encrypted, both only together inside a process that needs them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from app.catalog.alone import cluster_alone, no_such_cluster
from app.catalog.names import DEFAULT_CATALOG
from app.config import Settings
from app.database import Database, Session
from app.errors import Conflict, InvalidInput, NotFound, SecretUnreadable
from app.ingest.ports import Clock, SystemClock
from app.log import register_secret
from app.models import DEFAULT_TENANT, Connection
from app.repositories import clusters, connections, ingestions
from app.services.context import part_of
from app.storage import read_options

if TYPE_CHECKING:
    from app.vault import Vault

STORES = ("s3", "az", "gs")
KINDS = (*STORES, "catalog")
_SECRET = re.compile(
    r"secret|password|passwd|passphrase|pwd|token|credential|sas|private|authorization|signature|service_account_json"
    r"|(?:account|access|master|storage|customer|encryption|api)[_.-]?key(?![_.-]?id)|connection[_.-]?string|^key$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"://[^@\s]*:[^@]+@"  # user:password@; the password may hold a slash
    r"|(?:^|[?&;\s])(?:[\w-]*(?:password|passwd|pwd|secret|token|credential)|account_?key|shared_?access_?\w+|sig)="
    r"|^(?:bearer|basic)\s|PRIVATE KEY-----",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A connection as people may see it: of the secret only the names of its parts, or why it cannot be read."""

    name: str
    kind: str
    options: dict[str, str]
    secret_names: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    unreadable: str = ""


class ConnectionService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    @cached_property
    def vault(self) -> Vault:
        """Cryptography is imported, and a key asked for, where there is a secret."""
        from app.vault import Vault

        return Vault.from_settings(self.settings)

    def add(
        self,
        name: str,
        kind: str,
        options: Mapping[str, str],
        *,
        secret_names: Collection[str] = (),
        replace: bool = False,
    ) -> ConnectionView:
        """As `put`, but options that the kind does not have, or that lack their other half, and a cluster that there is
        not are told now and not by the first run. Raises InvalidInput.
        """
        require_name(name, kind)
        _check_options(name, kind, options)
        self._require_cluster(name, kind, options)
        return self.put(name, kind, options, secret_names=secret_names, replace=replace)

    def put(
        self,
        name: str,
        kind: str,
        options: Mapping[str, str],
        *,
        secret_names: Collection[str] = (),
        replace: bool = False,
    ) -> ConnectionView:
        """Store a connection. What looks like a secret is encrypted, and what `secret_names` names.

        Raises Conflict when the name is taken.
        """
        require_name(name, kind)
        open_part, secret_part = split_secrets(options, secret_names)
        for value in secret_part.values():
            register_secret(value)
        now = self.clock.now()
        with self.database.session_scope() as session:
            row = connections.by_name(session, self.tenant_id, name)
            if row is not None and not replace:
                raise Conflict(f"There is a connection {name!r} already.", hint="Use --replace to change it.")
            if row is None:
                row = Connection(id=uuid4(), tenant_id=self.tenant_id, name=name, created_at=now)
            row.kind, row.options, row.updated_at = kind, open_part, now
            row.secret = self._encrypt(name, secret_part)
            connections.add(session, row)
            return _view(row, tuple(sorted(secret_part)))

    def listed(self) -> list[ConnectionView]:
        """All connections; one whose secret cannot be read hides none of the others."""
        with self.database.session_scope() as session:
            return [self._shown(row) for row in connections.listed(session, self.tenant_id)]

    def options(self, name: str, kinds: tuple[str, ...] = KINDS) -> dict[str, str]:
        """Options and secrets together, for the process that opens the store. Raises NotFound, InvalidInput."""
        with self.database.session_scope() as session:
            row = require(session, self.tenant_id, name, kinds)
            secrets = self._secrets(row)
            for value in secrets.values():
                register_secret(value)
            return {**{key: str(value) for key, value in row.options.items()}, **secrets}

    def identity(self, name: str) -> str:
        """Stands for this very content of the connection, and tells nothing of it. Raises NotFound."""
        with self.database.session_scope() as session:
            row = require(session, self.tenant_id, name, KINDS)
            return f"{row.id} {row.updated_at.isoformat()}"

    def kind(self, name: str) -> str | None:
        """The kind of the connection of that name; None when there is none."""
        with self.database.session_scope() as session:
            row = connections.by_name(session, self.tenant_id, name)
            return row.kind if row else None

    def remove(self, name: str) -> None:
        """Remove it with its secret. Raises Conflict while an ingestion uses it."""
        with self.database.session_scope() as session:
            row = connections.by_name(session, self.tenant_id, name)
            if row is None:
                raise NotFound(f"There is no connection {name!r}.", hint="See: autoloader connections list")
            users = [
                i.name
                for i in ingestions.listed(session, self.tenant_id)
                if part_of(i, "source").get("connection") == name
                or part_of(i, "arrival").get("queue_connection") == name
                or (i.table_name.split(".")[0] == name and name != DEFAULT_CATALOG)
            ]
            if users:
                raise Conflict(
                    f"Connection {name!r} is used by {', '.join(users)}.",
                    hint="Change or delete these ingestions first.",
                )
            connections.remove(session, row)

    def _require_cluster(self, name: str, kind: str, options: Mapping[str, str]) -> None:
        cluster = cluster_alone(options) if kind == "catalog" else None
        if cluster is None:
            return
        with self.database.read_scope() as session:
            if clusters.by_name(session, self.tenant_id, cluster) is None:
                known = [one.name for one in clusters.listed(session, self.tenant_id)]
                raise no_such_cluster(name, cluster, known)

    def _shown(self, row: Connection) -> ConnectionView:
        try:
            return _view(row, tuple(sorted(self._secrets(row))))
        except SecretUnreadable as error:
            return _view(row, (), unreadable=str(error))

    def _encrypt(self, name: str, secrets: Mapping[str, str]) -> str | None:
        if not secrets:
            return None
        return self.vault.encrypt(json.dumps(dict(secrets)), owner=self._owner(name))

    def _secrets(self, row: Connection) -> dict[str, str]:
        if row.secret is None:
            return {}
        found: dict[str, str] = json.loads(self.vault.decrypt(row.secret, owner=self._owner(row.name)))
        return found

    def _owner(self, name: str) -> str:
        return f"connection:{self.tenant_id}:{name}"


def require(session: Session, tenant_id: str, name: str, kinds: tuple[str, ...]) -> Connection:
    """The connection of that name. Raises NotFound, and InvalidInput for one of another kind."""
    row = connections.by_name(session, tenant_id, name)
    if row is None:
        raise NotFound(f"There is no connection {name!r}.", hint=_how_to_add(name, kinds))
    if row.kind not in kinds:
        raise InvalidInput(
            f"Connection {name!r} is of kind {row.kind}; {' or '.join(kinds)} is needed here.",
            hint="Name another connection.",
        )
    return row


def split_secrets(options: Mapping[str, str], named: Collection[str] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """(what may be shown, what must be encrypted): by name, by value (an address can hold a password), or `named`."""
    secret = {k: v for k, v in options.items() if k in named or _SECRET.search(k) or _SECRET_VALUE.search(v)}
    return {k: v for k, v in options.items() if k not in secret}, secret


def require_name(name: str, kind: str) -> None:
    """Raise InvalidInput for a name or a kind that no connection can have."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is not a name for a connection.", hint="Use letters, digits, _ and -.")
    if kind not in KINDS:
        raise InvalidInput(f"{kind!r} is not a kind of connection.", hint=f"Kinds: {', '.join(KINDS)}.")
    if name == DEFAULT_CATALOG:
        raise InvalidInput(
            f"{name!r} is the catalog of this machine; no connection can have its name.",
            hint="Choose another name for the connection.",
        )
    if kind == "catalog" and "-" in name:
        raise InvalidInput(
            f"A catalog cannot be named {name!r}: it is part of table names.", hint="Use letters, digits and _."
        )


def _how_to_add(name: str, kinds: tuple[str, ...]) -> str:
    if kinds == ("catalog",):
        return (
            f"Make it: autoloader connections add {name} catalog -o type=… -o uri=… -o warehouse=…; of a catalog that a"
            " cluster alone reaches: -o type=cluster -o cluster=NAME"
        )
    return f"Make it: autoloader connections add {name} {'|'.join(kinds)} -o …"


def _check_options(name: str, kind: str, options: Mapping[str, str]) -> None:
    empty = [key for key, value in options.items() if not value.strip()]
    if empty:
        raise InvalidInput(f"The option {empty[0]} has no value.", hint=f"Write {empty[0]}=VALUE, or leave it out.")
    if kind == "catalog":
        from app.catalog.open import check_options  # brings the catalogs' library

        check_options(name, options)
    else:
        read_options(kind, options)


def _view(row: Connection, secret_names: tuple[str, ...], *, unreadable: str = "") -> ConnectionView:
    shown = {key: str(value) for key, value in row.options.items()}
    return ConnectionView(row.name, row.kind, shown, secret_names, row.created_at, row.updated_at, unreadable)
