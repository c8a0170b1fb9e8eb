"""The services of this machine, as the commands see them; each is made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from app.cli.progress import Watcher
    from app.config import Settings
    from app.database import Database
    from app.services.apply_service import ApplyService, Step
    from app.services.cluster_service import ClusterService
    from app.services.connection_service import ConnectionService
    from app.services.estimate_service import Estimate
    from app.services.explain_service import Explanation
    from app.services.file_service import FileService
    from app.services.file_view import FileView
    from app.services.health_service import Check, ProbeStep
    from app.services.ingestion_service import IngestionService
    from app.services.load_service import Prepared
    from app.services.metrics import RunSummary
    from app.services.preview_service import Preview
    from app.services.resolve_service import ResolveService
    from app.services.run_control_service import Cancelled, RunControlService
    from app.services.run_view_service import RunView, RunViewService


class Plan:
    """What documents would do. `steps` are shown; `carry_out` does them, all or none."""

    def __init__(self, service: ApplyService, steps: list[Step]) -> None:
        self._service = service
        self.steps = steps

    def carry_out(self) -> None:
        self._service.carry_out(self.steps)


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
    def clusters(self) -> ClusterService:
        from app.services.cluster_service import ClusterService

        return ClusterService(self.database, self.settings)

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

    # --- declaring and running ---------------------------------------------------------------

    def plan(self, text: str, name: str, folder: Path | None) -> Plan:
        from app.services.apply_service import ApplyService

        service = ApplyService(self.database, self.settings)
        return Plan(service, service.plan(text, name, folder))

    def prepare(self, source: str, table: str, given: Mapping[str, Any]) -> Prepared:
        from app.services.load_service import LoadService

        return LoadService(self.database, self.settings).prepare(source, table, given)

    def ask(self, ingestion_id: UUID, name: str) -> UUID:
        """Raises InvalidInput: what runs here has nobody to be left to."""
        del ingestion_id
        raise InvalidInput(
            "--no-wait leaves a run to a server, and there is none: the run is this command.",
            hint=f"Give a server: autoloader --server URL ingestions run {name} --no-wait",
        )

    def run(
        self, ingestion_id: UUID, name: str, progress: Watcher, seconds: float | None = None, *, again: bool = False
    ) -> RunSummary:
        from app.services.batch_orchestrator import BatchOrchestrator
        from app.values import Trigger

        del name
        trigger = Trigger.RETRY if again else Trigger.MANUAL
        orchestrator = BatchOrchestrator(self.database, self.settings)
        return orchestrator.run_ingestion(ingestion_id, trigger, progress=progress, seconds=seconds)

    def retry(self, run: RunView, progress: Watcher, *, quarantined: bool) -> RunSummary:
        """Another run after one that did not load all. Raises Conflict, and as `run` does."""
        from app.services.file_bulk_service import FileBulkService

        with self._control() as control:
            ingestion_id = control.require_ended(run.id)
        if quarantined:
            FileBulkService(self.database, self.settings).requeue_quarantined(ingestion_id, run.id)
        return self.run(ingestion_id, run.ingestion, progress, again=True)

    def cancel(self, run_id: UUID, *, at_once: bool) -> Cancelled:
        with self._control() as control:
            return control.cancel(run_id, at_once=at_once)

    @contextmanager
    def _control(self) -> Iterator[RunControlService]:
        from app.services.follower import Follower
        from app.services.prefect_service import PrefectService
        from app.services.run_control_service import RunControlService

        with PrefectService(self.settings) as prefect:
            yield RunControlService(self.database, self.settings, Follower(self.database, self.settings, prefect))

    # --- looking -----------------------------------------------------------------------------

    def lacks(self, table_name: str) -> bool:
        """Whether there is certainly no such table, as far as that is known without asking another machine."""
        from app.services.table_checks import surely_missing

        return surely_missing(self.settings, table_name)

    def preview(self, source: str, given: Mapping[str, Any]) -> Preview:
        from app.services.preview_service import PreviewService

        return PreviewService(self.database, self.settings).preview(source, given)

    def estimate(self, ingestion_id: UUID, seconds: float) -> Estimate:
        from app.services.estimate_service import EstimateService

        return EstimateService(self.database, self.settings).estimate(ingestion_id, seconds)

    def checks(self) -> Iterator[Check]:
        from app.services.health_service import HealthService

        return HealthService(self.database, self.settings).checks()
