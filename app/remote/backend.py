"""A server, as the commands see it: what they do on this machine's ledger, done by its REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from app.remote import looking
from app.remote.connections import RemoteConnections, Step
from app.remote.decisions import RemoteDecisions
from app.remote.files import RemoteFiles
from app.remote.http import Server
from app.remote.ingestions import RemoteIngestions
from app.remote.runs import RemoteRuns
from app.services.explain_service import Explanation
from app.services.file_service import FileView
from app.services.health_service import Check
from app.services.preview_service import Preview


class Remote:
    """Opens no connection before the first call. Raises InvalidInput for an address that is none."""

    def __init__(self, url: str, key: str) -> None:
        self.server = Server(url, key)
        self.ingestions = RemoteIngestions(self.server)
        self.runs = RemoteRuns(self.server)
        self.files = RemoteFiles(self.server)
        self.connections = RemoteConnections(self.server)
        self.decisions = RemoteDecisions(self.server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    def where(self, file: str, ingestion: str | None) -> tuple[list[FileView], list[Explanation]]:
        return self.files.where(file, ingestion)

    def export(self, names: Sequence[str]) -> list[dict[str, Any]]:
        return self.ingestions.export(names)

    def test(self, name: str, url: str | None) -> list[Step]:
        return self.connections.test(name, url)

    def preview(self, source: str, given: Mapping[str, Any]) -> Preview:
        return looking.preview(self.server, source, given)

    def checks(self) -> Iterator[Check]:
        return looking.checks(self.server)
