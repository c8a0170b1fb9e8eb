"""Ingestions declared to a server: by YAML, or by a source and a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import InvalidInput
from app.remote.http import LONG, Server
from app.remote.ingestions import RemoteIngestions
from app.remote.looking import address_of
from app.services.apply_service import Action, FieldChange
from app.services.ingestion_view import IngestionView

_MOST_BYTES = 900 * 1024  # a call of the API takes 1 MiB, with the quotes and escapes of JSON


@dataclass(frozen=True, slots=True)
class RemoteStep:
    """What applying one document does."""

    name: str
    action: Action
    changes: tuple[FieldChange, ...]


class RemotePlan:
    """What documents would do, as the server sees it. `steps` are shown; `carry_out` does exactly them."""

    def __init__(self, server: Server, text: str, name: str) -> None:
        if len(text.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
            raise InvalidInput(f"{name} is too long for one call of the API.", hint="Apply it in several files.")
        self._server = server
        self._body = {"documents": text, "name": name}
        answer = server.post("/v1/apply", self._body, safe=True, seconds=LONG)
        self._confirmation = answer.get("confirmation")
        self.steps = server.read(list[RemoteStep], answer.get("steps"))

    def carry_out(self) -> None:
        """Raises NotConfirmed when something else would be done by now."""
        body = {**self._body, "dry_run": False, "confirmation": self._confirmation}
        self._server.post("/v1/apply", body, seconds=LONG)


@dataclass(frozen=True, slots=True)
class RemotePrepared:
    """The ingestion to run, as `load_service.Prepared` tells it."""

    ingestion: IngestionView
    created: bool
    notes: tuple[str, ...]


def plan(server: Server, text: str, name: str, folder: Path | None) -> RemotePlan:
    """Raises InvalidInput that tells every problem with its line. Paths below `folder` are not the server's."""
    del folder
    return RemotePlan(server, text, name)


def prepare(server: Server, source: str, table: str, given: Mapping[str, Any]) -> RemotePrepared:
    """The ingestion for this source and table: found, made or changed. Raises as `LoadService.prepare` does."""
    body = {"url": address_of(source, server), "table": table, "fields": given}
    answer = server.post("/v1/load", body, once=True, seconds=LONG)
    known = RemoteIngestions(server).view(answer.get("ingestion") or {})
    return RemotePrepared(known, bool(answer.get("created")), tuple(answer.get("notes") or ()))
