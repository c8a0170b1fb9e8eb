"""Connections of a server: secrets go there, and never come back."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from app.errors import NotFound
from app.remote.http import LONG, Server
from app.services.connection_service import ConnectionView, require_name

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried."""

    name: str
    ok: bool
    detail: str


class RemoteConnections:
    """As `ConnectionService`. Raises as it does, and as `Server` does."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def add(
        self,
        name: str,
        kind: str,
        options: Mapping[str, str],
        *,
        secret_names: Collection[str] = (),
        replace: bool = False,
    ) -> ConnectionView:
        """Store it; with `replace` also where there is one. Raises Conflict, InvalidInput."""
        require_name(name, kind)
        content = {
            "kind": kind,
            "options": {key: value for key, value in options.items() if key not in secret_names},
            "secrets": {key: value for key, value in options.items() if key in secret_names},
        }
        if replace:
            try:
                answer = self.server.put(f"/v1/connections/{name}", content, params={"check": True})
                return self.server.read(ConnectionView, answer)
            except NotFound:
                pass  # then it is made
        answer = self.server.post("/v1/connections", {"name": name, **content}, params={"check": True}, once=True)
        return self.server.read(ConnectionView, answer)

    def listed(self) -> list[ConnectionView]:
        return self.server.read(list[ConnectionView], self.server.get("/v1/connections").get("items"))

    def remove(self, name: str) -> None:
        """Raises Conflict while an ingestion uses it."""
        self.server.delete(f"/v1/connections/{self._known(name)}")

    def test(self, name: str, url: str | None) -> list[Step]:
        """Open, list and read, from the server's side."""
        path = f"/v1/connections/{self._known(name)}/test"
        answer = self.server.post(path, {"url": url}, safe=True, seconds=LONG)
        return self.server.read(list[Step], answer.get("steps"))

    def _known(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise NotFound(f"There is no connection {name!r}.", hint="See: autoloader connections list")
        return name
