"""The run of this flow, open from its first task to its last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from prefect.exceptions import TerminationSignal

from app import failpoints, log
from app.config import get_settings
from app.database import Database
from app.services.context import STOPS
from app.services.open_runs import OpenRun
from app.services.run_service import RunService

_current: ContextVar[OpenRun] = ContextVar("current_run")


@contextmanager
def opened_run() -> Iterator[OpenRun]:
    """Settings, ledger and steps for one flow run; whatever the run holds is given up with the block."""
    settings = get_settings()
    failpoints.arm(settings.autoloader_failpoints)
    log.configure(settings.log_level, settings.log_format, except_of="prefect")
    database = Database(settings.database_address)
    try:
        with OpenRun(RunService(database, settings, stops=(*STOPS, TerminationSignal))) as run:
            token = _current.set(run)
            try:
                yield run
            finally:
                _current.reset(token)
    finally:
        database.close()


def current_run() -> OpenRun:
    """The run whose flow this is. Raises LookupError outside a flow."""
    return _current.get()
