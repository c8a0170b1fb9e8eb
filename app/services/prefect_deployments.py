"""Deployments in Prefect: one for each ingestion, found by flow and name, so that every call may be made twice."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from app.errors import InvalidInput, PrefectRefused
from app.services.deployment_spec import FLOW_NAME, DeploymentSpec, ScheduleSpec
from app.services.prefect_pool import PAGE, PoolCalls

if TYPE_CHECKING:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import DeploymentSchedule
    from prefect.client.schemas.responses import DeploymentResponse, GlobalConcurrencyLimitResponse

_NOT_FOUND = 404
_MISSING = {_NOT_FOUND, 409}  # the pool; the flow, when Prefect's database was made anew


@dataclass(frozen=True, slots=True)
class DeploymentRef:
    """Ids that Prefect gave."""

    id: UUID
    flow_id: UUID


@dataclass(frozen=True, slots=True)
class Slots:
    """The concurrency limit of a deployment. `changed_at` moves with every slot that is taken or given back."""

    name: str
    active: int
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class FoundDeployment:
    """A deployment as Prefect has it."""

    ref: DeploymentRef
    spec: DeploymentSpec
    slots: Slots | None


class DeploymentCalls(PoolCalls):
    """Part of PrefectService."""

    _known_flow: UUID | None = None  # until Prefect says that it has none of that id

    def flow_id(self) -> UUID:
        """The id of our flow, which is made when it is missing."""
        with self.requests() as client:
            return client.create_flow_from_name(FLOW_NAME)

    def upsert(self, spec: DeploymentSpec) -> DeploymentRef:
        """Make the deployment, or make it as it should be; runs that its schedule had planned are planned anew.

        Work pool and queues are made when they are missing. Raises PrefectUnavailable, PrefectRefused, and InvalidInput
        for a schedule that Prefect cannot read.
        """
        known = self._known_flow
        if known is not None:
            try:
                return self._upsert(spec, known)
            except PrefectRefused as refusal:
                if refusal.answer not in _MISSING:
                    raise
        self._known_flow = known = self.flow_id()
        try:
            return self._upsert(spec, known)
        except PrefectRefused as refusal:
            if refusal.answer != _NOT_FOUND:
                raise
        self.ensure_pool()
        return self._upsert(spec, known)

    def _upsert(self, spec: DeploymentSpec, flow_id: UUID) -> DeploymentRef:
        with self.writes() as client:
            from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions

            deployment_id = client.create_deployment(
                flow_id=flow_id,
                name=spec.name,
                description=spec.description,
                entrypoint=spec.entrypoint,
                pull_steps=[],
                tags=list(spec.tags),
                parameters=dict(spec.parameters),
                enforce_parameter_schema=False,
                schedules=[_schedule(one) for one in spec.schedules],
                paused=spec.paused,
                work_pool_name=spec.work_pool,
                work_queue_name=spec.work_queue,
                concurrency_limit=spec.concurrency_limit,
                concurrency_options=ConcurrencyOptions(
                    collision_strategy=ConcurrencyLimitStrategy(spec.collision or "ENQUEUE")
                ),
            )
        return DeploymentRef(deployment_id, flow_id)

    def find(self, ingestion_id: UUID) -> FoundDeployment | None:
        """The ingestion's deployment, wherever a person may have put it; None when there is none."""
        with self.requests() as client:
            from prefect.exceptions import ObjectNotFound

            try:
                return _found(client.read_deployment_by_name(f"{FLOW_NAME}/{ingestion_id}"))
            except ObjectNotFound:
                return None

    def found(self, ingestion_ids: Collection[UUID]) -> dict[UUID, FoundDeployment]:
        """Those of these ingestions that have a deployment, wherever a person may have put it; reads only."""
        found: dict[UUID, FoundDeployment] = {}
        for some in _cut([str(one) for one in ingestion_ids], PAGE):
            with self.requests() as client:
                from prefect.client.schemas.filters import (
                    DeploymentFilter,
                    DeploymentFilterName,
                    FlowFilter,
                    FlowFilterName,
                )
                from prefect.client.schemas.sorting import DeploymentSort

                answer = client.read_deployments(
                    flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW_NAME])),
                    deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=some)),
                    sort=DeploymentSort.NAME_ASC,
                    limit=PAGE,
                )
                found |= {UUID(one.name): _found(one) for one in answer}
        return found

    def delete(self, ingestion_id: UUID) -> bool:
        """Remove the ingestion's deployment with the runs it had planned; false when there was none."""
        found = self.find(ingestion_id)
        return found is not None and self.delete_by_id(found.ref.id)

    def delete_by_id(self, deployment_id: UUID) -> bool:
        """Remove the deployment with the runs it had planned; false when there was none."""
        with self.writes() as client:
            from prefect.exceptions import ObjectNotFound

            try:
                client.delete_deployment(deployment_id)
            except ObjectNotFound:
                return False
        return True

    def pause(self, ingestion_id: UUID) -> None:
        """The schedule plans no more runs, and those it had planned are gone. Raises PrefectRefused: no deployment."""
        ref = self._required(ingestion_id)
        with self.requests() as client:
            client.pause_deployment(ref.id)

    def resume(self, ingestion_id: UUID) -> None:
        """The schedule plans runs again. Raises PrefectRefused when there is no deployment."""
        ref = self._required(ingestion_id)
        with self.requests() as client:
            client.resume_deployment(ref.id)

    def _required(self, ingestion_id: UUID) -> DeploymentRef:
        found = self.find(ingestion_id)
        if found is None:
            raise PrefectRefused(
                f"Prefect has no deployment of ingestion {ingestion_id}.",
                hint="Bring it in step: autoloader prefect sync",
                answer=_NOT_FOUND,
            )
        return found.ref

    def deployments(self) -> Iterator[list[FoundDeployment]]:
        """Pages of all deployments in our work pool, by name. One that moves meanwhile may be missed or seen twice."""
        offset = 0
        while True:
            page = self._page(offset)
            yield page
            offset += len(page)
            if len(page) < PAGE:
                return

    def _page(self, offset: int) -> list[FoundDeployment]:
        with self.requests() as client:
            from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
            from prefect.client.schemas.sorting import DeploymentSort

            ours = WorkPoolFilter(name=WorkPoolFilterName(any_=[self.settings.prefect_work_pool]))
            found = client.read_deployments(
                work_pool_filter=ours, sort=DeploymentSort.NAME_ASC, limit=PAGE, offset=offset
            )
            return [_found(one) for one in found]

    def slots(self, name: str) -> Slots | None:
        """A concurrency limit as it is now; None when it is gone."""
        with self.requests() as client:
            from prefect.exceptions import ObjectNotFound

            try:
                return _slots(client.read_global_concurrency_limit_by_name(name))
            except ObjectNotFound:
                return None

    def free_slots(self, name: str) -> None:
        """Give back slots that nobody holds. A limit that is gone meanwhile is as good."""
        with self.requests() as client:
            from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
            from prefect.exceptions import ObjectNotFound

            try:
                client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(active_slots=0))
            except ObjectNotFound:
                return


# --- their shapes and ours -------------------------------------------------------------------


def require_schedules(spec: DeploymentSpec) -> None:
    """Raise InvalidInput for a schedule that Prefect cannot read; asks no server."""
    for one in spec.schedules:
        _schedule(one)


def _cut(names: list[str], size: int) -> Iterator[list[str]]:
    return (names[at : at + size] for at in range(0, len(names), size))


def _schedule(spec: ScheduleSpec) -> DeploymentScheduleCreate:
    from pydantic import ValidationError

    try:
        return _their_schedule(spec)
    except ValidationError as error:
        why = "; ".join(str(item["msg"]).removeprefix("Value error, ") for item in error.errors(include_url=False))
        raise InvalidInput(
            f"Prefect cannot read the schedule ({why}).",
            hint="Mend the ingestion's schedule: autoloader apply, or PATCH /v1/ingestions/{id}.",
        ) from error


def _their_schedule(spec: ScheduleSpec) -> DeploymentScheduleCreate:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

    made: Any
    if spec.kind == "cron":
        made = CronSchedule(cron=spec.value, timezone=spec.timezone)
    elif spec.kind == "rrule":
        made = RRuleSchedule(rrule=spec.value, timezone=spec.timezone)
    else:
        made = IntervalSchedule(
            interval=timedelta(seconds=float(spec.value)), anchor_date=spec.anchor, timezone=spec.timezone
        )
    return DeploymentScheduleCreate(schedule=made, active=spec.active, slug=spec.slug)


def _found(answer: DeploymentResponse) -> FoundDeployment:
    limit = answer.global_concurrency_limit
    options = answer.concurrency_options
    spec = DeploymentSpec(
        name=answer.name,
        description=answer.description or "",
        tags=tuple(answer.tags),
        entrypoint=answer.entrypoint,
        parameters=answer.parameters,
        schedules=tuple(_schedule_spec(one) for one in answer.schedules),
        paused=answer.paused,
        work_pool=answer.work_pool_name,
        work_queue=answer.work_queue_name,
        concurrency_limit=limit.limit if limit is not None else None,
        collision=options.collision_strategy.value if options is not None else None,
    )
    slots = _slots(limit) if limit is not None else None
    return FoundDeployment(DeploymentRef(answer.id, answer.flow_id), spec, slots)


def _slots(answer: GlobalConcurrencyLimitResponse) -> Slots:
    return Slots(answer.name, answer.active_slots, answer.updated)


def _schedule_spec(answer: DeploymentSchedule) -> ScheduleSpec:
    schedule: Any = answer.schedule
    kind = type(schedule).__name__.removesuffix("Schedule").lower()
    value, anchor = "", None
    if kind == "cron":
        value = schedule.cron if schedule.day_or else f"{schedule.cron} (day_or=false)"
    elif kind == "rrule":
        value = schedule.rrule
    elif kind == "interval":
        value, anchor = f"{schedule.interval.total_seconds():g}", schedule.anchor_date
    if answer.parameters:
        kind = f"{kind} with parameters"
    return ScheduleSpec(kind, value, schedule.timezone or "UTC", anchor, answer.active, answer.slug)
