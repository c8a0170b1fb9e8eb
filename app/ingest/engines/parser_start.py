"""The two ways to a parsing child: a process started anew, or a fork of the nursery; both behave alike.

A worker's nursery (`nursery`) has imported what parsers need. The processes that it serves know it by `use_starter`;
everybody else, and whoever finds it gone, starts a child anew.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

import app

UNKNOWN_END = 256  # no process can end with it
_PARSER = "app.ingest.engines.parse_child"
# glibc gives each chunk of a file back to the system when it is done with it, which then clears pages for the next one:
# a twentieth of a load. So it keeps some; elsewhere nobody reads these names.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(64 * 1024**2), "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2)}
_NO_POOL = {"OPENBLAS_NUM_THREADS": "1"}  # numpy's linear algebra is not used: its threads only cost 0.1 s at the start

_log = logging.getLogger(__name__)


class Running(Protocol):
    """A parsing child, as `subprocess.Popen` shows it. Its three streams are pipes."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    @property
    def stderr(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None:
        """Its code (negative for a signal, UNKNOWN_END when nobody can tell), None while it runs."""

    def wait(self) -> int:
        """Its code, when it has ended."""

    def end(self) -> None:
        """Kill it and whatever it started, never another process that has its number by now; wait until it is gone."""


Starter = Callable[[Sequence[str]], Running]


class NurseryUnusable(Exception):
    """The nursery is gone, or does not answer as it should: caught here, never told to a person."""


class _Anew(subprocess.Popen[bytes]):
    """A process in a session of its own."""

    def end(self) -> None:
        """Kill it and whatever it started. Who knows how it ended has freed its number."""
        if self.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.wait()


class _Known:
    nursery: Starter | None = None


def use_starter(nursery: Starter | None) -> None:
    """This process, and what is forked from it, gets its parsing children there; None: starts them anew."""
    _Known.nursery = nursery


def start(arguments: Sequence[str]) -> Running:
    """A parsing child with these arguments, in a session of its own: from the nursery if there is one that works."""
    if _Known.nursery is not None:
        try:
            return _Known.nursery(arguments)
        except NurseryUnusable as reason:
            use_starter(None)
            _log.warning("Parsers are started anew, which takes half a second each: %s", reason)
    return start_anew(arguments)


def start_anew(arguments: Sequence[str]) -> Running:
    """A parsing child that imports everything itself."""
    arguments = list(arguments)
    if threading.current_thread() is threading.main_thread():
        # The kernel's signal comes when the *thread* that started the child ends; only the main thread's life
        # is the process's. The end of standard input, which the child watches anyway, covers the other cases.
        arguments += ["--parent", str(os.getpid())]
    return _Anew(
        [sys.executable, "-m", _PARSER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        cwd="/",
        start_new_session=True,
        close_fds=True,
    )


def clean_environment() -> dict[str, str]:
    """Nothing of ours but where the code is, and how to allocate."""
    root = str(Path(app.__file__).resolve().parent.parent)
    python = {"PYTHONPATH": root, "PYTHONSAFEPATH": "1"}
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", **python, **_ALLOCATOR, **_NO_POOL}
