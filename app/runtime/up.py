"""`autoloader up`: all parts for one home, from the first look to the last one's end."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.config import Settings
from app.database import Database
from app.errors import InvalidInput, PartFailed
from app.runtime import running
from app.runtime.child import ChildSpec
from app.runtime.part import PartStatus
from app.runtime.parts import PREFECT_HOST, api_url, parts, prefect_url
from app.runtime.ports import Listener
from app.runtime.prefect_auth import auth_string
from app.runtime.running import Running
from app.runtime.supervisor import Supervisor
from app.runtime.uplog import UpLog

_LEFT_SECONDS = 30.0  # the parts of an `up` that was killed end by themselves within so long


@dataclass(frozen=True, slots=True)
class Told:
    """What a person hears of: each change of a part, and, once, that all are ready."""

    part: Callable[[PartStatus], None]
    ready: Callable[[Running, Path], None]
    note: Callable[[str], None]


def up(settings: Settings, workers: int, told: Told) -> None:
    """Start all parts and keep them running. Never returns: a signal's exception ends it, when all parts are gone.

    A port that is 0 becomes a free one. Raises AlreadyUp, PortTaken, InvalidInput, PartFailed, and what opening the
    database raises.
    """
    with running.only_one(settings.home) as ended_badly, UpLog(settings.home / "up.log") as log:
        auth = auth_string(settings)
        _prepare_database(settings)
        if ended_badly:
            told.note("The last `up` did not end in order; waiting for its ports.")
        settings = _with_ports(settings, _LEFT_SECONDS if ended_badly else 0.0)
        (settings.home / "prefect").mkdir(mode=0o700, exist_ok=True)
        _Up(settings, log, told).run(parts(settings, auth, workers=workers, log=log.path))


class _Up:
    """One `up`, telling of itself: to a person, in the log, and in `up.json`."""

    def __init__(self, settings: Settings, log: UpLog, told: Told) -> None:
        self._settings = settings
        self._log = log
        self._told = told
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._statuses: dict[str, PartStatus] = {}

    def run(self, specs: Sequence[ChildSpec]) -> None:
        supervisor = Supervisor(specs, self._tell, self._log.write)
        self._statuses = {one.name: one for one in supervisor.statuses()}
        self._store()
        try:
            supervisor.start()
            self._told.ready(self._running(), self._log.path)
            supervisor.watch()
        except PartFailed as error:
            self._log.write("up", str(error))
            raise
        finally:
            supervisor.stop()

    def _tell(self, status: PartStatus) -> None:
        detail = f" ({status.detail})" if status.detail else ""
        self._log.write("up", f"{status.name} is {status.state}{detail}")
        self._statuses[status.name] = status
        self._store()
        self._told.part(status)

    def _store(self) -> None:
        with suppress(OSError):  # a disk that is full: the parts run on, and the next change is told
            running.write(self._settings.home, self._running())

    def _running(self) -> Running:
        urls = api_url(self._settings), prefect_url(self._settings)
        return Running(os.getpid(), self._started, *urls, tuple(self._statuses.values()))


def _prepare_database(settings: Settings) -> None:
    """Here, because an API on a database of another version would only say that it is not ready."""
    database = Database(settings.database_address)
    try:
        if settings.database_url:
            database.require_current()
        else:
            database.upgrade()
    finally:
        database.close()


def _with_ports(settings: Settings, seconds: float) -> Settings:
    """The settings with ports that are free, or become so within `seconds`."""
    api, prefect = settings.autoloader_api_port, settings.autoloader_prefect_port
    host = settings.autoloader_api_host
    if prefect and prefect == api:
        raise InvalidInput(
            f"API and Prefect server cannot both listen on port {api}.",
            hint="Give one of them another: --api-port or --prefect-port.",
        )
    prefect_server = Listener("The Prefect server", PREFECT_HOST, "--prefect-port", "AUTOLOADER_PREFECT_PORT")
    api_server = Listener("The API", host, "--api-port", "AUTOLOADER_API_PORT", "AUTOLOADER_API_HOST")
    for server, port in ((prefect_server, prefect), (api_server, api)):
        if port:
            server.require_free(port, seconds)
    prefect = prefect or prefect_server.free_port(but=api)
    chosen = {"autoloader_api_port": api or api_server.free_port(but=prefect), "autoloader_prefect_port": prefect}
    return settings.model_copy(update=chosen)
