"""The services of this machine, as the commands see them; each is made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.config import Settings
    from app.database import Database
    from app.services.connection_service import ConnectionService
    from app.services.explain_service import Explanation
    from app.services.file_service import FileService, FileView
    from app.services.health_service import Check, ProbeStep
    from app.services.ingestion_service import IngestionService
    from app.services.preview_service import Preview
    from app.services.resolve_service import ResolveService
    from app.services.run_view_service import RunViewService


class Embedded:
    """What `app.remote.backend.Remote` is for a server."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database

    @property
    def ingestions(self) -> IngestionService:
        from app.services.ingestion_service import IngestionService

        return IngestionService(self.database, self.settings)

    @property
    def runs(self) -> RunViewService:
        from app.services.run_view_service import RunViewService

        return RunViewService(self.database)

    @property
    def files(self) -> FileService:
        from app.services.file_service import FileService

        return FileService(self.database, self.settings)

    @property
    def connections(self) -> ConnectionService:
        from app.services.connection_service import ConnectionService

        return ConnectionService(self.database, self.settings)

    @property
    def decisions(self) -> ResolveService:
        from app.services.resolve_service import ResolveService

        return ResolveService(self.database, self.settings)

    def where(self, file: str, ingestion: str | None) -> tuple[list[FileView], list[Explanation]]:
        """The versions that the name means, with history; or else why the ledger has none."""
        from app.services.explain_service import ExplainService

        found = self.files.show(file, ingestion)
        return found, [] if found else ExplainService(self.database, self.settings).explain(file, ingestion)

    def export(self, names: Sequence[str]) -> list[dict[str, Any]]:
        from app.services.apply_service import ApplyService

        return ApplyService(self.database, self.settings).export(names)

    def test(self, name: str, url: str | None) -> list[ProbeStep]:
        from app.services.health_service import HealthService

        return HealthService(self.database, self.settings).test(name, url)

    def preview(self, source: str, given: Mapping[str, Any]) -> Preview:
        from app.services.preview_service import PreviewService

        return PreviewService(self.database, self.settings).preview(source, given)

    def checks(self) -> Iterator[Check]:
        from app.services.health_service import HealthService

        return HealthService(self.database, self.settings).checks()
