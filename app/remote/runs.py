"""Runs of a server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.errors import InvalidInput, NotFound
from app.remote.http import Server
from app.remote.ingestions import RemoteIngestions
from app.services.run_control_service import Cancelled
from app.services.run_view_service import NotLoaded, RunView
from app.values import RunState, Trigger

_RECENT = 1000  # as many may begin alike before it is not worth telling
_PREFIX = re.compile(r"[0-9a-f-]{4,36}")


class RemoteRuns:
    """As `RunViewService`. Raises as it does, and as `Server` does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ingestions = RemoteIngestions(server)

    def listed(self, ingestion: str | None = None, limit: int = 20, states: Sequence[str] = ()) -> list[RunView]:
        """The newest first; only those in one of `states`, where any is given. Raises NotFound for the ingestion."""
        owner = self.ingestions.id_of(ingestion)
        asked = {"ingestion_id": str(owner) if owner else None, "state": list(states) or None}
        found = self.server.items("/v1/runs", asked, limit)
        return [self.view(item) for item in found]

    def newest(self) -> RunView | None:
        """The last run; a person's decision about a batch is none."""
        for item in self.server.items("/v1/runs", {}):
            if item.get("trigger") != Trigger.DECISION:
                return self.view(item)
        return None

    def show(self, run: str) -> RunView:
        """The run of that id, or of an id that begins so. Raises NotFound, InvalidInput when several do."""
        try:
            return self.read(self._id(run))
        except NotFound:
            raise NotFound(f"There is no run {run!r}.", hint="See: autoloader runs list") from None

    def read(self, run_id: UUID) -> RunView:
        """With its batches, and the files that were not loaded."""
        found = self.server.get(f"/v1/runs/{run_id}")
        return self.view({**found["run"], **{k: v for k, v in found.items() if k != "run"}})

    def not_loaded(self, run_id: UUID, most: int = 5) -> tuple[NotLoaded, ...]:
        return self.read(run_id).not_loaded[:most]

    def cancel(self, run_id: UUID, *, at_once: bool = False) -> Cancelled:
        """End a run. Raises Conflict for one that has ended."""
        answer = self.server.post(f"/v1/runs/{run_id}/cancel", params={"at_once": at_once})
        return self.server.read(Cancelled, answer)

    def view(self, item: dict[str, Any]) -> RunView:
        """What the API answers of a run, as the service answers it."""
        return self.server.read(RunView, {**item, "metrics": metrics_of(item)})

    def _id(self, run: str) -> UUID:
        text = run.strip().lower()
        try:
            return UUID(text)
        except ValueError:
            found = []
        if _PREFIX.fullmatch(text):
            found = list(self.server.items("/v1/runs", {"id_prefix": text}, _RECENT))
        if len(found) > 1:
            raise InvalidInput(f"{len(found)} runs begin with {text!r}.", hint="Give more of the id.")
        if not found:
            raise NotFound(f"There is no run {run!r}.", hint="See: autoloader runs list")
        return self.server.read(UUID, found[0]["id"])


def metrics_of(item: dict[str, Any]) -> dict[str, Any]:
    """The metrics as they are stored: of a run that goes on, only what is known already; ids as numbers."""
    found = dict(item.get("metrics") or {})
    found["snapshots"] = [int(one) for one in found.get("snapshots", ())]
    if not any((found.get("discovered") or {}).values()):
        found["discovered"] = {}
    if item.get("state") != RunState.RUNNING:
        return found
    return {name: found[name] for name in ("discovered", "seconds") if found.get(name)}
