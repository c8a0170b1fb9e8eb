"""What no machine can decide, on a server."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.remote.http import LONG, Server
from app.remote.ingestions import RemoteIngestions
from app.services.resolve_service import Evidence, Undecided


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of the batch; `children` are batches that its files wait in."""

    state: str
    children: tuple[UUID, ...]


class RemoteDecisions:
    """As `ResolveService`. Raises as it does, and as `Server` does. A decision is sent once: it is never repeated by
    itself.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ingestions = RemoteIngestions(server)

    def undecided(self, name: str) -> Undecided:
        """What there is to decide; of the table nothing from a server that does not tell."""
        answer = self.server.post(f"{self._path(name)}/evidence", safe=True, seconds=LONG)
        changed = answer.get("table_changed")
        batches = self.server.read(list[Evidence], answer.get("items"))
        return Undecided(batches, None if changed is None else str(changed))

    def decide(self, name: str, batch_id: UUID, *, landed: bool) -> Decided:
        """End an UNKNOWN batch as the person says."""
        wanted = {"batch_id": str(batch_id), "landed": landed}
        return self.server.read(Decided, self.server.post(f"{self._path(name)}/resolve", wanted, seconds=LONG))

    def accept_table(self, name: str) -> UUID | None:
        """Go on with the table as it is now; answers its UUID."""
        answer = self.server.post(f"{self._path(name)}/resolve", {"accept_table": True}, seconds=LONG)
        return self.server.read(UUID | None, answer["table_uuid"])  # type: ignore[arg-type] # a union is a form, no class

    def _path(self, name: str) -> str:
        return f"/v1/ingestions/{self.ingestions.find(name).id}"
