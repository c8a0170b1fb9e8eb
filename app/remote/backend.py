"""A server, as the commands see it: what they do on this machine's ledger, done by its REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from app.errors import Conflict, InvalidInput
from app.remote import declaring, following, looking
from app.remote.clusters import RemoteClusters
from app.remote.connections import RemoteConnections, Step
from app.remote.decisions import RemoteDecisions
from app.remote.declaring import RemotePlan, RemotePrepared
from app.remote.files import RemoteFiles
from app.remote.following import Following, Watching
from app.remote.http import Server
from app.remote.ingestions import RemoteIngestions
from app.remote.runs import RemoteRuns
from app.services.estimate_service import Estimate
from app.services.explain_service import Explanation
from app.services.file_view import FileView
from app.services.health_service import Check
from app.services.metrics import RunSummary
from app.services.preview_service import Preview
from app.services.run_control_service import Cancelled
from app.services.run_view_service import RunView


class Remote:
    """Opens no connection before the first call. Raises InvalidInput for an address that is none."""

    def __init__(self, url: str, key: str) -> None:
        self.server = Server(url, key)
        self.ingestions = RemoteIngestions(self.server)
        self.runs = RemoteRuns(self.server)
        self.files = RemoteFiles(self.server)
        self.connections = RemoteConnections(self.server)
        self.clusters = RemoteClusters(self.server)
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

    # --- declaring and running ---------------------------------------------------------------

    def plan(self, text: str, name: str, folder: Path | None) -> RemotePlan:
        return declaring.plan(self.server, text, name, folder)

    def prepare(self, source: str, table: str, given: Mapping[str, Any]) -> RemotePrepared:
        return declaring.prepare(self.server, source, table, given)

    def ask(self, ingestion_id: UUID, name: str) -> UUID:
        """Ask for a run, and wait for nothing; answers the id of the wish. Raises Conflict for a paused ingestion."""
        return self.server.read(UUID, self._asked(ingestion_id, name)["id"])

    def run(self, ingestion_id: UUID, name: str, progress: Watching, seconds: float | None = None) -> RunSummary:
        """Ask for a run, and follow it to its end. Raises what it failed with."""
        if seconds is not None:
            raise InvalidInput(
                "--seconds bounds a run of this machine; a server's runs have the bound that its worker gives them.",
                hint="Leave it out; the worker's bound is PREFECT_FLOW_RUN_TIMEOUT_SECONDS.",
            )
        return Following(self.server, self._asked(ingestion_id, name), name, progress).to_its_end()

    def retry(self, run: RunView, progress: Watching, *, quarantined: bool) -> RunSummary:
        """Another run after one that did not load all, followed to its end. Raises Conflict, and as `run` does."""
        with following.perhaps_asked(run.ingestion):
            wish = following.asked_again(self.server, run.id, quarantined=quarantined)
        return Following(self.server, wish, run.ingestion, progress).to_its_end()

    def cancel(self, run_id: UUID, *, at_once: bool) -> Cancelled:
        return self.runs.cancel(run_id, at_once=at_once)

    def _asked(self, ingestion_id: UUID, name: str) -> dict[str, Any]:
        try:
            with following.perhaps_asked(name):
                return following.asked(self.server, ingestion_id)
        except Conflict as error:
            error.hint = error.hint.replace(str(ingestion_id), name)  # as people know it
            raise

    # --- looking -----------------------------------------------------------------------------

    def lacks(self, table_name: str) -> bool:
        """Whether there is certainly no such table: nobody here can tell."""
        del table_name
        return False

    def preview(self, source: str, given: Mapping[str, Any]) -> Preview:
        return looking.preview(self.server, source, given)

    def estimate(self, ingestion_id: UUID, seconds: float) -> Estimate:
        return looking.estimate(self.server, ingestion_id, seconds)

    def checks(self) -> Iterator[Check]:
        return looking.checks(self.server)
