"""What handlers are given: the services of this process, for the tenant that calls.

`follower` is the one place where the API meets Prefect.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from app.api.state import State
from app.models import DEFAULT_TENANT
from app.services.cluster_service import ClusterService
from app.services.connection_service import ConnectionService
from app.services.decision_service import DecisionService
from app.services.declaration_service import DeclarationService
from app.services.estimate_service import EstimateService
from app.services.file_bulk_service import FileBulkService
from app.services.file_query_service import FileQueryService
from app.services.follower import Follower
from app.services.health_service import HealthService
from app.services.idempotency_service import IdempotencyService
from app.services.ingestion_query_service import IngestionQueryService
from app.services.notify_service import NotifyService
from app.services.preview_service import PreviewService
from app.services.refresh_service import RefreshService
from app.services.reject_service import RejectService
from app.services.run_control_service import RunControlService
from app.services.run_query_service import RunQueryService
from app.services.steering_service import SteeringService


def state_of(request: Request) -> State:
    return cast("State", request.app.state.autoloader)


def tenant_of(request: Request) -> str:
    """The tenant that calls. Keys of tenants come with roles; until then there is one."""
    del request
    return DEFAULT_TENANT


def follower(at: State) -> Follower:
    """Who brings Prefect in step, and delivers wishes for runs to it."""
    return Follower(at.database, at.settings, at.prefect)


class Services:
    """Each is made when it is asked for; making one reads and writes nothing."""

    def __init__(self, at: State, tenant_id: str) -> None:
        self.at = at
        self.tenant_id = tenant_id

    @property
    def steering(self) -> SteeringService:
        return SteeringService(self.at.database, self.at.settings, follower(self.at), self.tenant_id)

    @property
    def run_control(self) -> RunControlService:
        return RunControlService(self.at.database, self.at.settings, follower(self.at), self.tenant_id)

    @property
    def refreshes(self) -> RefreshService:
        return RefreshService(self.at.database, self.at.settings, follower(self.at), self.tenant_id)

    @property
    def notices(self) -> NotifyService:
        return NotifyService(self.at.database, self.at.settings, follower(self.at), self.tenant_id)

    @property
    def ingestions(self) -> IngestionQueryService:
        return IngestionQueryService(self.at.database, self.tenant_id)

    @property
    def runs(self) -> RunQueryService:
        return RunQueryService(self.at.database, self.tenant_id)

    @property
    def files(self) -> FileQueryService:
        return FileQueryService(self.at.database, self.at.settings, self.tenant_id)

    @property
    def file_moves(self) -> FileBulkService:
        return FileBulkService(self.at.database, self.at.settings, tenant_id=self.tenant_id)

    @property
    def rejects(self) -> RejectService:
        return RejectService(self.at.database, self.at.settings, self.tenant_id)

    @property
    def previews(self) -> PreviewService:
        return PreviewService(self.at.database, self.at.settings, tenant_id=self.tenant_id)

    @property
    def estimates(self) -> EstimateService:
        return EstimateService(self.at.database, self.at.settings, tenant_id=self.tenant_id)

    @property
    def declarations(self) -> DeclarationService:
        return DeclarationService(self.at.database, self.at.settings, follower(self.at), self.tenant_id)

    @property
    def decisions(self) -> DecisionService:
        return DecisionService(self.at.database, self.at.settings, self.tenant_id)

    @property
    def connections(self) -> ConnectionService:
        return ConnectionService(self.at.database, self.at.settings, tenant_id=self.tenant_id)

    @property
    def health(self) -> HealthService:
        return HealthService(self.at.database, self.at.settings, self.tenant_id)

    @property
    def clusters(self) -> ClusterService:
        return ClusterService(self.at.database, self.at.settings, tenant_id=self.tenant_id)

    @property
    def idempotency(self) -> IdempotencyService:
        return IdempotencyService(self.at.database, self.at.settings, tenant_id=self.tenant_id)


async def services_of(request: Request) -> Services:
    """Not in a thread: it waits for nothing."""
    return Services(state_of(request), tenant_of(request))


Given = Annotated[Services, Depends(services_of)]
