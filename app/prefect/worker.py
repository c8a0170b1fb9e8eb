"""The warm worker: a Prefect worker type whose runs are forks of a process that has imported everything already.

`autoloader worker` starts it; `prefect worker start --type autoloader` does too. What Prefect has no public way for
(a process's supervision and its cancellation) is taken from its runner, whose version is pinned.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.runner._control_channel import ControlSignalStatus
from prefect.runner._flow_run_executor import FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.states import AwaitingRetry
from prefect.utilities.engine import propose_state
from prefect.workers.base import BaseJobConfiguration, BaseWorker, BaseWorkerResult

from app.config import get_settings
from app.errors import PreloadFailed
from app.prefect.forkserver import Child, Forkserver, SessionScope
from app.prefect.limits import Limits, killed_at
from app.prefect.pools import POOL_TYPE
from app.prefect.zygote import ENTRYPOINT
from app.services.run_records import KILLED

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.client.schemas.responses import WorkerFlowRunResponse

_GRACE_SECONDS = 60.0  # past the flow's own timeout, which ends it in order
_DRAIN_SECONDS = 10.0  # a run that was told to stop has so long; then it is killed
_REPORT_SECONDS = 3.0  # for what is still to be told to the server


class RunConfiguration(BaseJobConfiguration):
    """Of one run: the environment that its process gets, beside the worker's own."""

    def environment(self) -> dict[str, str]:
        deployment = self._related_objects.get("deployment")
        own = {"PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false"}
        if deployment is not None and deployment.entrypoint == ENTRYPOINT:
            own["PREFECT__FLOW_ENTRYPOINT"] = ENTRYPOINT  # spares the fork a look at its deployment
        return {**os.environ, **{name: value for name, value in self.env.items() if value is not None}, **own}


class RunResult(BaseWorkerResult):
    """How the process ended."""


class AutoloaderWorker(BaseWorker[RunConfiguration, Any, RunResult]):
    """A process of its own for each run, killed at its time or memory limit; cancelling a run ends it in order.

    A Prefect server that is away does not end the worker or its runs: it goes on when the server is back.
    """

    type = POOL_TYPE
    job_configuration = RunConfiguration
    _description = "Runs ingestions of the IOMETE Autoloader, each in a process that is forked ready to go."
    _display_name = "IOMETE Autoloader"

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        settings = get_settings()
        seconds = settings.prefect_flow_run_timeout_seconds + _GRACE_SECONDS
        self._limits = Limits(seconds, settings.worker_memory_bytes)
        self._forkserver = Forkserver()
        self._active: dict[UUID, _Active] = {}
        self._away = False
        self._asking = anyio.Lock()
        self._more_waiting = False
        self.draining = False

    async def __aenter__(self) -> Self:
        await self._forkserver.__aenter__()
        try:
            return await super().__aenter__()
        except BaseException as error:
            await self._forkserver.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await super().__aexit__(*exc_info)
        finally:
            with anyio.CancelScope(shield=True):
                await self._forkserver.__aexit__(*exc_info)

    # --- one run

    async def run(
        self,
        flow_run: FlowRun,
        configuration: RunConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> RunResult:
        """Run it in a process of its own and wait for its end."""
        async with FlowRunExecutorContext() as context:
            active = self._active[flow_run.id] = _Active(flow_run, context, task_status)
            environment = configuration.environment()
            starter = _Starter(self, active, environment)
            executor = context.create_executor(flow_run, starter, propose_submitting=False, hook_runner=_NoHooks())
            try:
                execution = await executor.submit()
                await self._bury_what_died(active, environment)
                if self.draining:
                    await self._hand_on(flow_run)
            finally:
                del self._active[flow_run.id]
                active.over.set()
        if execution is None or execution.status_code is None:
            raise RuntimeError("The run's process did not start.")
        return RunResult(status_code=execution.status_code, identifier=str(execution.handle.pid))

    async def start_process(self, active: _Active, environment: dict[str, str]) -> Child:
        """Fork, with the channel over which the run learns that it is to stop."""
        if self.draining:
            raise RuntimeError("The worker is being stopped.")
        port, token = active.context.control_channel.register(active.flow_run.id)
        control = {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}
        child = await self._forkserver.fork({**environment, **control})
        active.child = child
        if active.task_status is not None:
            active.task_status.started(child.pid)
        return child

    async def wait_for(self, active: _Active, child: Child) -> None:
        """Until the process has ended; what it was killed for is told as the run's state."""
        active.killed_for = await killed_at(self._limits, child)
        if active.killed_for:
            self.get_flow_run_logger(active.flow_run).error(active.killed_for)
            await self._propose_crashed_state(active.flow_run, active.killed_for)

    async def _bury_what_died(self, active: _Active, environment: dict[str, str]) -> None:
        """A process that was killed could not end its run in our database. It is done by a fork, like the run."""
        child = active.child
        if child is None or not child.returncode:
            return
        why = active.killed_for or f"The run's process ended with {child.returncode} before the run did."
        with suppress(ConnectionResetError, PreloadFailed), anyio.move_on_after(_REPORT_SECONDS):
            gravedigger = await self._forkserver.fork(environment, buried=(KILLED, why))
            await gravedigger.ended.wait()

    # --- the end of the worker

    async def drain(self) -> None:
        """Take no more runs and stop those that are active; they go on with the next worker. Takes seconds."""
        self.draining = True
        async with anyio.create_task_group() as group:
            for active in self._active.values():
                group.start_soon(self._stop, active)

    async def _stop(self, active: _Active) -> None:
        child = active.child
        if child is None:  # about to be forked: `start_process` refuses
            return
        told = await active.context.control_channel.signal(active.flow_run.id, "reschedule")
        scope = SessionScope(child)
        if told is ControlSignalStatus.ACKNOWLEDGED and scope.is_alive(child.pid):
            scope.graceful_kill(child.pid)
        if told is not ControlSignalStatus.NOT_ACKNOWLEDGED:
            with anyio.move_on_after(_DRAIN_SECONDS):
                await child.ended.wait()
        if scope.is_alive(child.pid):
            scope.hard_kill(child.pid)
        with anyio.move_on_after(_REPORT_SECONDS):
            await active.over.wait()

    async def _hand_on(self, flow_run: FlowRun) -> None:
        """Let another worker, or this one's successor, go on with the run that we stopped."""
        state = (await self.client.read_flow_run(flow_run.id)).state
        if state is not None and (state.is_crashed() or not (state.is_final() or state.is_cancelling())):
            message = "Its worker was stopped; the run goes on with the next one."
            await propose_state(self.client, AwaitingRetry(message=message), flow_run_id=flow_run.id)

    # --- the next runs

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """One look at a time: what an earlier one has begun must not come again from a later answer."""
        found: list[FlowRun] = []
        async with self._asking:
            if not self.draining:
                async with self._weathering():
                    found = await super().get_and_submit_flow_runs()
        return found

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        begun = await super()._submit_scheduled_flow_runs(flow_run_response)
        self._more_waiting = len(begun) < len(flow_run_response)
        return begun

    def _release_limit_slot(self, flow_run_id: UUID) -> None:
        super()._release_limit_slot(flow_run_id)
        if self._more_waiting and not self.draining and self._runs_task_group is not None:
            self._runs_task_group.start_soon(self._fill_slot)

    async def _fill_slot(self) -> None:
        """A place that is free while runs wait is not left empty until the next look is due."""
        with suppress(httpx.HTTPError):  # that look meets it too, and tells
            await self.get_and_submit_flow_runs()

    # --- while the server is away

    async def sync_with_backend(self) -> None:
        async with self._weathering():
            await super().sync_with_backend()

    async def _submit_run(self, flow_run: FlowRun) -> None:
        async with self._weathering():
            await self._undone_unless(super()._submit_run(flow_run), flow_run)

    async def _undone_unless(self, submitted: Awaitable[None], flow_run: FlowRun) -> None:
        try:
            await submitted
        except BaseException:
            self._submitting_flow_run_ids.discard(flow_run.id)
            self._release_limit_slot(flow_run.id)
            raise

    async def _cancel_run(self, flow_run_id: UUID) -> None:
        async with self._weathering():
            await super()._cancel_run(flow_run_id)

    @asynccontextmanager
    async def _weathering(self) -> AsyncIterator[None]:
        """A server that is away, or busy, is asked again by the next round. Told once, and once when it is back."""
        try:
            yield
        except httpx.TransportError as error:
            self._tell_away(error)
        except httpx.HTTPStatusError as error:
            if not error.response.is_server_error:
                raise
            self._tell_away(error)
        else:
            if self._away:
                self._away = False
                self._logger.info("The Prefect server answers again.")

    def _tell_away(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            self._logger.warning("The Prefect server does not answer (%s); it is asked again.", error)


class _Active:
    """A run in hand, and its process as soon as there is one."""

    def __init__(
        self, flow_run: FlowRun, context: FlowRunExecutorContext, task_status: anyio.abc.TaskStatus[int] | None
    ) -> None:
        self.flow_run = flow_run
        self.context = context
        self.task_status = task_status
        self.child: Child | None = None
        self.killed_for = ""
        self.over = anyio.Event()


class _Starter:
    """Starts a run's process for Prefect's executor, and returns when it has ended."""

    def __init__(self, worker: AutoloaderWorker, active: _Active, environment: dict[str, str]) -> None:
        self._worker = worker
        self._active = active
        self._environment = environment

    async def start(
        self, flow_run: FlowRun, task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        del flow_run
        child = await self._worker.start_process(self._active, self._environment)
        scope = SessionScope(child)
        task_status.started(ProcessHandle(child, termination_scope=scope))  # type: ignore[arg-type] # has what it needs
        try:
            await self._worker.wait_for(self._active, child)
        finally:
            if scope.is_alive(child.pid):  # the worker ends in disorder
                scope.hard_kill(child.pid)


class _NoHooks:
    """Our flow has none; to look would cost the worker the import of the flow."""

    async def run_cancellation_hooks(self, flow_run: FlowRun, state: State[Any]) -> None:
        pass

    async def run_crashed_hooks(self, flow_run: FlowRun, state: State[Any]) -> None:
        pass
