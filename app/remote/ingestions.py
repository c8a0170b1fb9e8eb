"""Ingestions of a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.errors import NotFound
from app.remote.http import LONG, Server
from app.schemas.ingestion import IngestionShape
from app.services.apply_service import written_with_columns
from app.services.ingestion_view import IngestionView

_LONGEST = 200  # characters of a name
_SEEN = "See: autoloader ingestions list"


class RemoteIngestions:
    """As `IngestionService` for whoever looks and steers. Raises as it does, and as `Server` does."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def listed(self) -> list[IngestionView]:
        """By name."""
        return [self.view(item) for item in self.server.items("/v1/ingestions", {"details": True})]

    def show(self, name: str) -> IngestionView:
        """By name or id. Raises NotFound."""
        found = self._named(name)
        if found is not None:
            return self.view(found)
        try:
            ingestion_id = UUID(name)
        except ValueError:
            raise NotFound(f"There is no ingestion {name!r}.", hint=_SEEN) from None
        try:
            return self.view(self.server.get(f"/v1/ingestions/{ingestion_id}", seconds=LONG))
        except NotFound:
            raise NotFound(f"There is no ingestion {name!r}.", hint=_SEEN) from None

    find = show

    def id_of(self, name: str | None) -> UUID | None:
        """The id of the ingestion of that very name; None for None. Raises NotFound."""
        if name is None:
            return None
        found = self._named(name, details=False)
        if found is None:
            raise NotFound(f"There is no ingestion {name!r}.", hint=_SEEN)
        return self.server.read(UUID, found["id"])

    def names(self) -> list[str]:
        return [item["name"] for item in self.server.items("/v1/ingestions", {})]

    def blocked(self) -> dict[str, str]:
        """Map ingestion → the evidence, of those that wait for a person."""
        found = self.server.items("/v1/ingestions", {"state": "blocked"})
        return {item["name"]: item["blocked"] for item in found}

    def pause(self, name: str, *, paused: bool) -> IngestionView:
        known = self.show(name)
        path = f"/v1/ingestions/{known.id}/{'pause' if paused else 'resume'}"
        return self.view(self.server.post(path, safe=True))

    def delete(self, name: str) -> None:
        """Its table and its ledger stay. Raises LeaseHeld while a run is active."""
        self.server.delete(f"/v1/ingestions/{self.show(name).id}")

    def export(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """As `ApplyService.export`."""
        chosen = [self.show(name) for name in names] if names else self.listed()
        return [written_with_columns(IngestionShape.model_validate(one.config), one.schema_text) for one in chosen]

    def view(self, item: dict[str, Any]) -> IngestionView:
        """What the API answers of an ingestion, as the service answers it."""
        last = item.get("last_run") or {}
        config = dict(item.get("config") or {})
        paused = config.pop("paused", None)
        return self.server.read(
            IngestionView,
            {
                **item,
                "table_name": item.get("table"),
                "paused": paused,
                "schema_text": item.get("columns"),
                "schema_evidence": item.get("evidence"),
                "config": {**config, "paused": paused},
                "last_run_id": last.get("run_id"),
                "last_run_state": last.get("state"),
                "last_run_at": last.get("started_at"),
                "last_run_alive": last.get("alive", False),
            },
        )

    def _named(self, name: str, *, details: bool = True) -> dict[str, Any] | None:
        if not 0 < len(name) <= _LONGEST or "\x00" in name:
            return None
        return next(self.server.items("/v1/ingestions", {"name": name, "details": details}, limit=1), None)
