"""The process that forks a run: it has imported the flow and all that a run needs, so that a run begins at once.

`python -m app.prefect.zygote FD`: requests come as JSON lines on the socket FD, and so do the answers. It stays a
single thread, holds no connection and opens no file of a run; each fork is a session of its own, with the environment
that the request names. When the worker is gone, whatever the reason, the runs get a moment to end in order, and end.
A second process, the nursery, is started beside it and forks the runs' parsers: those must know nothing of this one.

    → {"fork": KEY, "environment": {…}, "buried": null | [CODE, MESSAGE]}
    ← {"ready": true} | {"failed": TRACEBACK}     once, at the beginning
    ← {"forked": KEY, "pid": PID, "nursery": PID | 0}
    ← {"ended": PID, "code": CODE}                negative for a signal
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from app.garbage import collect_seldom
from app.services.nursery_service import KeptNursery

ENTRYPOINT = "app.prefect.flows.run_ingestion.run_ingestion_flow"
PRELOADED = (
    "app.prefect.flows.run_ingestion",
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.task_engine",
    "app.catalog.datafile",
    "app.catalog.open",
    "app.catalog.rejects",
    "app.ingest.engines.embedded",
    "app.ingest.formats.widest",
    "app.services.burial_service",
    "obstore.store",
    "pyiceberg.catalog.sql",
    "pyiceberg.io.pyarrow",
)
# What a run imports when it gets there. Others may name these modules differently in their next release: that costs a
# run the time of its imports, and no worker its start.
AHEAD = (
    "anyio._backends._asyncio",
    "encodings.ascii",
    "encodings.idna",
    "prefect._internal.observers",
    "prefect.concurrency._asyncio",
    "prefect.concurrency._sync",
    "prefect.utilities.visualization",
    "rich._emoji_codes",
)
_GRACE_SECONDS = 20.0  # between SIGTERM and SIGKILL, when the worker is gone
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is to do: be the flow run of its environment, or store how that ended."""

    environment: dict[str, str]
    buried: tuple[str, str] | None = None


class Zygote:
    """Serves one worker. `serve` also returns in every child, with what the child is to do."""

    def __init__(self, worker: socket.socket) -> None:
        self.worker = worker
        self.running: set[int] = set()
        self._read, self._write = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._buffer = b""
        self._stopped = False
        self._nursery = KeptNursery()

    def serve(self) -> Order | None:
        """Fork until the worker is gone. Answers the order in a child, None in the zygote."""
        self._listen()
        while not self._stopped:
            for key, _ in self._selector.select():
                if key.fileobj is not self.worker:
                    os.read(self._read, _CHUNK)
                    self._reap()
                elif (found := self._requests()) is not None:
                    return found
        self._end_all()
        return None

    def tell(self, **message: object) -> None:
        with suppress(OSError):  # the worker is gone: the next read says so
            self.worker.sendall(json.dumps(message).encode() + b"\n")

    # --- in the zygote

    def _listen(self) -> None:
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._stop)
        self._selector.register(self.worker, selectors.EVENT_READ)
        self._selector.register(self._read, selectors.EVENT_READ)

    def _stop(self, *_: object) -> None:
        self._stopped = True

    def _requests(self) -> Order | None:
        data = self.worker.recv(_CHUNK)
        self._stopped = self._stopped or not data
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            request: dict[str, Any] = json.loads(line)
            nursery = self._nursery.tend()
            pid = os.fork()
            if pid == 0:
                self._leave()
                buried = request.get("buried")
                return Order(dict(request["environment"]), tuple(buried) if buried else None)
            self.running.add(pid)
            self.tell(forked=request["fork"], pid=pid, nursery=nursery)
        return None

    def _reap(self) -> None:
        for pid in list(self.running):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self.running.discard(pid)
                with suppress(ProcessLookupError):  # what the run left behind; its parser has a session of its own
                    os.killpg(pid, signal.SIGKILL)
                self.tell(ended=pid, code=os.waitstatus_to_exitcode(status))

    def _end_all(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.running:
                with suppress(ProcessLookupError):
                    (os.kill if number is signal.SIGTERM else os.killpg)(pid, number)
            until = time.monotonic() + _GRACE_SECONDS
            while self.running and time.monotonic() < until:
                self._reap()
                time.sleep(0.05)
        self._nursery.close()

    # --- in a child

    def _leave(self) -> None:
        """Nothing of the zygote stays: no socket, no handler, no terminal."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        self.worker.close()
        os.close(self._read)
        os.close(self._write)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)


def import_all() -> None:
    """Import PRELOADED, and of AHEAD what there is. Raises what importing PRELOADED raises."""
    for name in PRELOADED:
        importlib.import_module(name)
    for name in AHEAD:
        with suppress(ImportError):
            importlib.import_module(name)


def preload() -> None:
    """Import what runs need. Raises what the import raises, and RuntimeError when one has started a thread."""
    collect_seldom()
    import_all()
    importlib.import_module("app.prefect.certificates").share()
    # A fork would lose it, and wait for its locks for ever. (Those of OpenBLAS and jemalloc know of forks.)
    if threading.active_count() > 1:
        names = ", ".join(thread.name for thread in threading.enumerate())
        raise RuntimeError(f"Importing the flow has started threads: {names}.")
    gc.collect()
    gc.freeze()  # a collection in a child must not copy every page it shares with us


def obey(order: Order) -> int:
    """Do what the child is there for; answers its exit code."""
    os.environ.clear()
    os.environ.update(order.environment)
    from prefect.context import refresh_global_settings_context

    from app.config import get_settings

    refresh_global_settings_context()
    get_settings.cache_clear()
    flow_run_id = order.environment["PREFECT__FLOW_RUN_ID"]
    return _run(flow_run_id) if order.buried is None else _bury(flow_run_id, *order.buried)


def _run(flow_run_id: str) -> int:
    """Be the run: Prefect's engine on the flow run."""
    from prefect import flow_engine
    from prefect.engine import handle_engine_signals

    # A run that is over would wait for the thread that tells Prefect of its life, which looks up once a second: its
    # place on the worker is empty so long. The thread ends with this process; Prefect's asynchronous flows do the same.
    beats = getattr(flow_engine, "_send_heartbeats", None)  # its own: a later release may call it otherwise
    if beats is not None:
        flow_engine._send_heartbeats = partial(beats, join_on_exit=False)  # noqa: SLF001
    try:
        with handle_engine_signals(UUID(flow_run_id)):
            flow_run = flow_engine.load_flow_run(UUID(flow_run_id))
            flow_engine.run_flow(flow_engine.load_flow(flow_run), flow_run=flow_run)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _bury(flow_run_id: str, code: str, message: str) -> int:
    """Store in our own database how the flow run's process ended; what cannot be stored now, the next run stores."""
    from app.config import get_settings
    from app.database import Database
    from app.errors import AutoloaderError
    from app.services.burial_service import bury
    from app.services.run_records import Ending

    settings = get_settings()
    database = Database(settings.database_address)
    with suppress(AutoloaderError):
        bury(database, settings, flow_run_id, Ending(code, message))
    database.close()
    return 0


def main(fd: int) -> int:
    zygote = Zygote(socket.socket(fileno=fd))
    try:
        preload()
    except BaseException:  # noqa: BLE001 - the worker tells it, whatever it is
        zygote.tell(failed=traceback.format_exc())
        return 1
    zygote.tell(ready=True)
    order = zygote.serve()
    return 0 if order is None else obey(order)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
