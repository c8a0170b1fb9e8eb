"""A run asked for from a server, which Prefect hands to a worker, and watched from here to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import UUID

from app.errors import AutoloaderError, Interrupted, ServerUnavailable
from app.remote.http import Server
from app.remote.problems import error_of
from app.remote.runs import RemoteRuns
from app.services.metrics import RunSummary
from app.services.run_view_service import RunView
from app.values import RunState, Trigger

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
_WAITS_SECONDS = 10.0  # without a worker before it is told
_COLLISION = "Deployment concurrency"  # how Prefect begins to say that another run of the deployment is active
_ENDED_EARLY = {"CRASHED", "FAILED"}
_AWAY_SECONDS = 120.0  # the server may be restarted meanwhile


class Watching(Protocol):
    """Who is told how the run goes on; as in `app.ingest.ports`."""

    def step(self, name: str) -> None: ...

    def advance(
        self, name: str, count: int, size: int = 0, total: int | None = None, total_size: int | None = None
    ) -> None: ...

    def note(self, text: str) -> None: ...


class Following:
    """One run that was asked for. The run goes on whatever becomes of who watches it."""

    def __init__(self, server: Server, wish: dict[str, Any], ingestion: str, progress: Watching) -> None:
        self._server = server
        self._runs = RemoteRuns(server)
        self._wish = wish
        self._ingestion = ingestion
        self._progress = progress
        self._run_id: UUID | None = None
        self._done = (0, 0)
        self._told: set[str] = set()

    def to_its_end(self) -> RunSummary:
        """How it ended. Raises what the run failed with, and Interrupted, which says how to end it, on Ctrl-C."""
        try:
            self._run_id = self._begun()
            view = self._ended(self._run_id)
        except Interrupted as stop:
            stop.hint = self._goes_on()
            raise
        if view.state in {RunState.FAILED, RunState.CANCELLED}:
            hint = f"See it: autoloader runs show {view.id}"
            raise error_of(view.error_code or "internal", view.error or f"Run {view.id} ended {view.state}.", hint)
        return RunSummary(view.id, RunState(view.state), view.metrics)

    # --- until it begins ---------------------------------------------------------------------

    def _begun(self) -> UUID:
        """The run that the wish became. When another run is active, it is the one that follows it."""
        self._progress.step("wait")
        asked, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            wish = self._patient(f"/v1/triggers/{self._wish['id']}")
            if wish.get("run_id"):
                return self._server.read(UUID, wish["run_id"])
            if wish.get("state") == "delivered" and not wish.get("flow_run_id"):
                raise AutoloaderError(
                    f"The run of {self._ingestion} was not begun. {wish.get('error') or ''}".rstrip(),
                    hint="See how it stands: autoloader ingestions list",
                )
            if (later := self._since(str(wish.get("created_at")))) is not None:
                return later
            self._require_wanted(wish)
            if wish.get("flow_state") in _ENDED_EARLY:
                self._tell(
                    f"Prefect ended the flow run {wish.get('flow_run_id')} before its run began"
                    f" ({wish['flow_state']}): {wish.get('flow_message') or 'it does not say why'}."
                    " Another one is asked for; the worker's log says more."
                )
            elif time.monotonic() - asked > _WAITS_SECONDS:
                self._tell(_why_it_waits(wish))
            pause = _slept(pause)

    def _require_wanted(self, wish: dict[str, Any]) -> None:
        """Raise for a flow run that somebody cancelled; one that met another run is followed by a run of its own."""
        message = str(wish.get("flow_message") or "")
        if wish.get("flow_state") == "CANCELLED" and not message.startswith(_COLLISION):
            raise AutoloaderError(
                f"The flow run {wish.get('flow_run_id')} of {self._ingestion} was cancelled before its run began."
                f" {message}".rstrip(),
                hint=f"Ask again: autoloader ingestions run {self._ingestion}",
            )

    def _since(self, moment: str) -> UUID | None:
        """A run that began after the wish was made: it has seen whatever was there."""
        wanted = {"ingestion_id": self._wish["ingestion_id"], "since": moment, "limit": 200}
        found = self._patient("/v1/runs", wanted)["items"]
        begun = [one for one in reversed(found) if one.get("trigger") != Trigger.DECISION]
        return self._server.read(UUID, begun[0]["id"]) if begun else None

    # --- while it goes on --------------------------------------------------------------------

    def _ended(self, run_id: UUID) -> RunView:
        pause = _FIRST_PAUSE
        while True:
            found = self._patient(f"/v1/runs/{run_id}")
            view = self._runs.view(found["run"])
            if view.state != RunState.RUNNING:
                return view
            if not view.alive:
                self._tell(f"Nobody runs {run_id} at this moment: its process is gone, or was stopped for a while.")
            self._show(found.get("progress") or {})
            pause = _slept(pause)

    def _show(self, now: dict[str, Any]) -> None:
        step = str(now.get("step", "load"))
        files, size = int(now.get("files_done") or 0), int(now.get("bytes_done") or 0)
        self._progress.step(step)
        more, self._done = (files - self._done[0], size - self._done[1]), (files, size)
        self._progress.advance(step, *more, now.get("files_total"), now.get("bytes_total"))

    # --- on the way --------------------------------------------------------------------------

    def _patient(self, path: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer, though the server is away for a while: the run needs it less than we do."""
        until = time.monotonic() + _AWAY_SECONDS
        while True:
            try:
                found: dict[str, Any] = self._server.get(path, params)
            except ServerUnavailable as error:
                if time.monotonic() > until:
                    error.hint = f"{self._goes_on()} {error.hint}"
                    raise
                self._tell(f"{error.message} Asking again.")
                time.sleep(_LONGEST_PAUSE)
            else:
                return found

    def _goes_on(self) -> str:
        if self._run_id is not None:
            run = self._run_id
            return f"The run goes on. See it: autoloader runs show {run}. End it: autoloader runs cancel {run}"
        return (
            f"The run is asked for all the same, and begins without us. See it: autoloader runs list {self._ingestion}"
        )

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._progress.note(sentence)


def _why_it_waits(wish: dict[str, Any]) -> str:
    if wish.get("state") == "waiting":
        return f"It waits for Prefect. {wish.get('error') or ''}".rstrip()
    return (
        "It waits for a worker, or for another run of the ingestion to end. A worker is started by: autoloader worker"
    )


def _slept(pause: float) -> float:
    """Sleep, and answer how long to sleep the next time."""
    time.sleep(pause)
    return min(_LONGEST_PAUSE, pause * 1.5)


@contextmanager
def perhaps_asked(ingestion: str) -> Iterator[None]:
    """A run is being asked for. Who is stopped before the answer is told that it may begin all the same."""
    try:
        yield
    except Interrupted as stop:
        stop.hint = f"A run may have been asked for, and begins without us. See it: autoloader runs list {ingestion}"
        raise


def asked(server: Server, ingestion_id: UUID) -> dict[str, Any]:
    """The wish for a run, stored by the server. Raises NotFound, and Conflict for a paused ingestion."""
    wish: dict[str, Any] = server.post(f"/v1/ingestions/{ingestion_id}/run", once=True)
    return wish


def asked_again(server: Server, run_id: UUID, *, quarantined: bool) -> dict[str, Any]:
    """The wish for another run, after one that did not load all. Raises NotFound, Conflict."""
    wish: dict[str, Any] = server.post(f"/v1/runs/{run_id}/retry", params={"quarantined": quarantined}, once=True)
    return wish
