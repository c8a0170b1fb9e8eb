"""Where a Spark Connect server is, and what is sent along: read from a cluster's address, options and secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.errors import InvalidInput

USER = "autoloader"
_MOST_SESSIONS = 4
_URL = re.compile(r"sc://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(?P<port>[0-9]{1,5})/?")
_HEADER = "header."
_CONF = "conf."
_HEADER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_OWN_HEADERS = frozenset({"content-type", "te", "user-agent", "host"})  # gRPC's
_CONF_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_KNOWN = ("tls", "ca_file", "user", "max_sessions", "source_access", f"{_HEADER}NAME", f"{_CONF}NAME")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Spark Connect endpoint. Its text shows no secret. `name` is its cluster's, for what people are told.

    `headers` go with every call, `conf` is set in every session; `user` is who Spark takes us for, and part of a
    session's identity. At most `max_sessions` are open to it from one process. `catalog` is the one our tables are in.
    `own_credentials`: it reads sources with credentials of its own, and is not given those of a connection. `kept` are
    the options of the command that stores it, with their values; of secrets there is the name alone.
    """

    host: str
    port: int
    tls: bool = False
    ca_file: str = ""
    user: str = USER
    max_sessions: int = _MOST_SESSIONS
    catalog: str = ""
    own_credentials: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    conf: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    name: str = field(default="", compare=False)
    kept: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    @property
    def address(self) -> str:
        """`host:port`, as a socket's address is written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"sc://{self.address}"

    @property
    def has_token(self) -> bool:
        return any(name == "authorization" for name, _ in self.headers)


def parse_url(url: str) -> tuple[str, int]:
    """Host and port of `sc://host:port`. Raises InvalidInput; a token must not stand in the address."""
    found = _URL.fullmatch(url)
    port = int(found["port"]) if found else 0
    if not found or not 0 < port < 65536:  # noqa: PLR2004 - ports
        raise InvalidInput(
            "This is not the address of a Spark Connect endpoint.",
            hint="Write sc://host:port, with its port: sc://spark.example.com:15002; the token has a field of its own.",
            fields=[(("url",), "must be sc://host:port")],
        )
    return found["host"].strip("[]"), port


def endpoint_of(url: str, options: Mapping[str, str], token: str | None = None, catalog: str | None = None) -> Endpoint:
    """The endpoint that a cluster's address and options describe; secrets are options like the others here.

    Options: `tls` (true or false; by default what a token asks for, as Spark's own client does), `ca_file`, `user`,
    `max_sessions`, `source_access` (connection or cluster), `header.NAME`, `conf.NAME`. Raises InvalidInput for
    one that is unknown or cannot be.
    """
    host, port = parse_url(url)
    headers: dict[str, str] = {}
    conf: dict[str, str] = {}
    plain: dict[str, str] = {}
    for name, value in options.items():
        if name.startswith(_HEADER):
            headers[_header_name(name)] = _header_value(name, value)
        elif name.startswith(_CONF) and _CONF_NAME.fullmatch(name.removeprefix(_CONF)):
            conf[name.removeprefix(_CONF)] = value
        elif name in _KNOWN:
            plain[name] = value.strip()
        else:
            raise _refused(name, "is no option of a cluster", f"Options: {', '.join(_KNOWN)}.")
    if token is not None:
        headers["authorization"] = f"Bearer {_header_value('token', token)}"
    return Endpoint(
        host=host,
        port=port,
        tls=_truth(plain["tls"]) if "tls" in plain else "authorization" in headers,
        ca_file=plain.get("ca_file", ""),
        user=_user(plain.get("user", USER)),
        max_sessions=_count(plain.get("max_sessions", str(_MOST_SESSIONS))),
        catalog=catalog or "",
        own_credentials=_own(plain.get("source_access", "connection")),
        headers=tuple(sorted(headers.items())),
        conf=tuple(sorted(conf.items())),
    )


def _header_name(option: str) -> str:
    name = option.removeprefix(_HEADER).lower()
    if not _HEADER_NAME.fullmatch(name) or name in _OWN_HEADERS or name.startswith("grpc-") or name.endswith("-bin"):
        raise _refused(option, "is no header that can be sent", "Use letters, digits, ., _ and -.")
    return name


def _header_value(option: str, value: str) -> str:
    """Never repeated in the error: it may be a secret."""
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise _refused(option, "has a value that no call can carry", "Give it printable ASCII, without spaces around.")
    return value


def _truth(value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise _refused("tls", "is neither true nor false", "Write tls=true or tls=false.")
    return value.lower() == "true"


def _own(value: str) -> bool:
    if value not in {"connection", "cluster"}:
        raise _refused(
            "source_access",
            "is neither connection nor cluster",
            "Write source_access=cluster where the cluster has credentials of its own for the sources.",
        )
    return value == "cluster"


def _user(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", value):
        raise _refused("user", "is no name of a user", "Use letters, digits, ., _, @ and -.")
    return value


def _count(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", value) or int(value) == 0:
        raise _refused("max_sessions", "is not between 1 and 999", "Write for example max_sessions=4.")
    return int(value)


def _refused(option: str, why: str, hint: str) -> InvalidInput:
    return InvalidInput(f"The option {option} {why}.", hint=hint, fields=[(("options", option), why)])
