"""One server for all workers of a test run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEEPER = Path(__file__).with_name("keeper.py")
_STARTS = 3  # another process may take a free port before the server does


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start a server.

    `command` makes the arguments from its folder and its ports; `ready` raises until it is up.
    """

    name: str
    ports: int
    command: Callable[[Path, Sequence[int]], list[str]]
    ready: Callable[[Sequence[int]], None]
    install: str
    seconds: float = 60.0
    ending: str = "SIGKILL"


def serve(recipe: Recipe, run_folder: Path) -> list[int]:
    """The server's ports. The first worker to ask starts it; the others wait for it."""
    run_folder.mkdir(parents=True, exist_ok=True)
    with (run_folder / f"{recipe.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = run_folder / f"{recipe.name}.json"
        if known.exists():
            state: Mapping[str, object] = json.loads(known.read_text(encoding="utf-8"))
            if state.get("error"):
                pytest.fail(str(state["error"]))
            return [int(str(port)) for port in list(state["ports"])]  # type: ignore[call-overload]
        try:
            ports = _start(recipe, run_folder)
        except StartFailed as failure:
            known.write_text(json.dumps({"error": str(failure)}), encoding="utf-8")
            pytest.fail(str(failure))
        known.write_text(json.dumps({"ports": ports}), encoding="utf-8")
        return ports


class StartFailed(Exception):
    pass


def _start(recipe: Recipe, run_folder: Path) -> list[int]:
    log = run_folder / f"{recipe.name}.log"
    for _ in range(_STARTS):
        ports = free_ports(recipe.ports)
        # Short and apart from the run's folder: a socket's path is limited, and PostgreSQL runs as another user.
        folder = Path(tempfile.mkdtemp(prefix=f"autoloader-{recipe.name}-"))
        try:
            command = recipe.command(folder, ports)
        except FileNotFoundError as missing:
            shutil.rmtree(folder, ignore_errors=True)
            raise StartFailed(f"{recipe.name} is not installed ({missing}). {recipe.install}") from None
        keeper = _keep(recipe, folder, command, log)
        if _is_up(recipe, ports, keeper):
            return ports
        keeper.terminate()
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise StartFailed(f"{recipe.name} did not start in {recipe.seconds:.0f} s. {recipe.install}\n{tail}")


def _keep(recipe: Recipe, folder: Path, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    run = [sys.executable, str(_KEEPER), str(run_pid()), str(folder), recipe.ending, "--", *command]
    with log.open("ab") as output:
        return subprocess.Popen(run, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def _is_up(recipe: Recipe, ports: Sequence[int], keeper: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + recipe.seconds
    while time.monotonic() < until and keeper.poll() is None:
        try:
            recipe.ready(ports)
        except Exception:  # noqa: BLE001 - whatever a server says while it starts
            time.sleep(0.05)
        else:
            # Popen's destructor warns of a child that still runs; this one is meant to.
            keeper.returncode = 0
            return True
    return False


def run_pid() -> int:
    """The process whose end is the end of the test run: the controller of xdist's workers, or this one."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
