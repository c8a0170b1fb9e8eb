"""Flow runs in Prefect: started, cancelled, listed, and ended by force where nobody else will."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from app.services.deployment_spec import FLOW_NAME, parameters
from app.services.prefect_client import PrefectConnection
from app.services.prefect_pool import PAGE
from app.values import Trigger

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

ACTIVE = ("PENDING", "RUNNING", "CANCELLING")
_COLLISIONS = {  # what the server says of a run that gets no slot, or finds another one in the slot that it had
    "Deployment concurrency limit reached.",
    "Deployment concurrency slot lost during provisioning - no slots available to continue execution",
}
_MOST_PAGES = 50  # of one question; what is behind them is left for the next pass


@dataclass(frozen=True, slots=True)
class FlowRunView:
    """A flow run. `since` is when it came into its state; `state` is Prefect's type of it, `state_name` its name."""

    id: UUID
    name: str
    ingestion_id: UUID | None  # by its parameters
    deployment_id: UUID | None
    trigger: str | None
    state: str
    state_name: str
    message: str | None
    since: datetime
    expected_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def lost_to_collision(self) -> bool:
        """Whether it was cancelled because another run of its deployment was active."""
        return self.state == "CANCELLED" and self.message in _COLLISIONS


class FlowRunCalls(PrefectConnection):
    """Part of PrefectService."""

    def trigger(
        self, deployment_id: UUID, ingestion_id: UUID, trigger: Trigger, idempotency_key: str | None = None
    ) -> UUID:
        """Start a run; the same key again is the same run.

        Raises PrefectUnavailable, PrefectRefused (404: no such deployment).
        """
        with self.requests() as client:
            run = client.create_flow_run_from_deployment(
                deployment_id, parameters=parameters(ingestion_id, trigger), idempotency_key=idempotency_key
            )
            return run.id

    def cancel(self, flow_run_id: UUID) -> str:
        """Ask for the run's end; answers the state it has then. One that has ended stays as it is.

        Raises PrefectRefused (404: no such run).
        """
        with self.requests() as client:
            from prefect.states import Cancelling

            asked: State[Any] = Cancelling()
            state = client.set_flow_run_state(flow_run_id, asked).state
            return _view(client.read_flow_run(flow_run_id)).state if state is None else state.type.value

    def flow_run(self, flow_run_id: UUID) -> FlowRunView | None:
        """One run by its id; None when Prefect does not have it (any more)."""
        with self.requests() as client:
            from prefect.exceptions import ObjectNotFound

            try:
                return _view(client.read_flow_run(flow_run_id))
            except ObjectNotFound:
                return None

    def history(self, ingestion_id: UUID, limit: int = 20) -> list[FlowRunView]:
        """The newest runs that were due, whether they ran, failed or were cancelled; what is planned is left out."""
        from prefect.client.schemas.sorting import FlowRunSort

        states = _in_states("RUNNING", "PENDING", "COMPLETED", "FAILED", "CRASHED", "CANCELLING", "CANCELLED", "PAUSED")
        return self._of_deployment(ingestion_id, states, FlowRunSort.EXPECTED_START_TIME_DESC, limit)

    def planned(self, ingestion_id: UUID, limit: int = 5) -> list[FlowRunView]:
        """The next runs that Prefect has planned or that wait for a worker, the soonest first."""
        from prefect.client.schemas.sorting import FlowRunSort

        states = _in_states("SCHEDULED")
        return self._of_deployment(ingestion_id, states, FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC, limit)

    def _of_deployment(self, ingestion_id: UUID, states: dict[str, Any], sort: Any, limit: int) -> list[FlowRunView]:
        with self.requests() as client:
            from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowRunFilter

            found = client.read_flow_runs(
                flow_filter=_our_flow(),
                deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[str(ingestion_id)])),
                flow_run_filter=FlowRunFilter.model_validate(states),
                sort=sort,
                limit=min(limit, PAGE),
            )
            return [_view(run) for run in found]

    def active(self) -> Iterator[list[FlowRunView]]:
        """Pages of the runs of our flow that are PENDING, RUNNING or CANCELLING, started by a deployment or by hand."""
        return self._pages(_in_states(*ACTIVE))

    def cancelled_since(self, moment: datetime) -> Iterator[list[FlowRunView]]:
        """Pages of the runs of our flow that were cancelled at or after `moment`, the newest first."""
        return self._pages({**_in_states("CANCELLED"), "end_time": {"after_": moment}}, newest_ended=True)

    def failed_since(self, moment: datetime) -> Iterator[list[FlowRunView]]:
        """Pages of the runs of our flow that crashed or failed at or after `moment`, the newest first."""
        return self._pages({**_in_states("CRASHED", "FAILED"), "end_time": {"after_": moment}}, newest_ended=True)

    def active_in(self, deployment_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these deployments (at most a page) have a run that is active now."""
        with self.requests() as client:
            from prefect.client.schemas.filters import FlowRunFilter
            from prefect.client.schemas.sorting import FlowRunSort

            wanted = {**_in_states(*ACTIVE), "deployment_id": {"any_": list(deployment_ids)}}
            found = client.read_flow_runs(
                flow_run_filter=FlowRunFilter.model_validate(wanted), sort=FlowRunSort.ID_DESC, limit=PAGE
            )
            return {run.deployment_id for run in found if run.deployment_id is not None}

    def _pages(self, wanted: dict[str, Any], *, newest_ended: bool = False) -> Iterator[list[FlowRunView]]:
        for number in range(_MOST_PAGES):
            with self.requests() as client:
                from prefect.client.schemas.filters import FlowRunFilter
                from prefect.client.schemas.sorting import FlowRunSort

                found = client.read_flow_runs(
                    flow_filter=_our_flow(),
                    flow_run_filter=FlowRunFilter.model_validate(wanted),
                    sort=FlowRunSort.END_TIME_DESC if newest_ended else FlowRunSort.ID_DESC,
                    limit=PAGE,
                    offset=number * PAGE,
                )
                page = [_view(run) for run in found]
            yield page
            if len(page) < PAGE:
                return

    def end_by_force(self, flow_run_id: UUID, state: str, message: str) -> None:
        """Put a run whose process is gone into COMPLETED, CRASHED or CANCELLED; its concurrency slot is given back."""
        with self.requests() as client:
            from prefect.client.schemas.objects import State, StateType
            from prefect.exceptions import ObjectNotFound

            ended: State[Any] = State(type=StateType(state), message=message)
            try:
                client.set_flow_run_state(flow_run_id, ended, force=True)
            except ObjectNotFound:
                return  # deleted meanwhile


def _our_flow() -> Any:
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    return FlowFilter(name=FlowFilterName(any_=[FLOW_NAME]))


def _in_states(*types: str) -> dict[str, Any]:
    return {"state": {"type": {"any_": list(types)}}}


def _view(run: FlowRun) -> FlowRunView:
    state = run.state
    return FlowRunView(
        id=run.id,
        name=run.name,
        ingestion_id=_uuid(run.parameters.get("ingestion_id")),
        deployment_id=run.deployment_id,
        trigger=run.parameters.get("trigger"),
        state=state.type.value if state is not None else "SCHEDULED",
        state_name=state.name or "" if state is not None else "",
        message=state.message if state is not None else None,
        since=state.timestamp if state is not None else run.created or datetime.now(UTC),
        expected_at=run.expected_start_time,
        started_at=run.start_time,
        ended_at=run.end_time,
    )


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None
