"""Starts `autoloader` processes quickly: one process imports everything once, and every run is a fork of it.

What runs is a process of its own, with its own pid, environment and standard streams; it can be killed and stopped.
Only the seconds of importing are saved. Requests come as JSON lines on standard input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

POLL_SECONDS = 0.02
# What commands import when they run. Not the client of Spark: its import starts threads.
_IMPORTED = (
    "app.cli.main",
    "app.services.batch_orchestrator",
    "app.services.resolve_service",
    "app.catalog.open",
    "app.ingest.engines.spark",
    "pandas",
    "pyspark.sql.connect.proto",
)


@dataclass(frozen=True)
class Ran:
    """How a process ended; `code` is negative for a signal."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


class Forked:
    """One forked run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid = int(_when_there(folder / "pid"))

    @property
    def ended(self) -> bool:
        return (self.folder / "code").exists()

    def result(self, timeout: float = 120) -> Ran:
        """Wait for its end."""
        code = int(_when_there(self.folder / "code", timeout))
        out, err = ((self.folder / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err"))
        return Ran(code, out, err)


class Zygote:
    """The process that forks. Use it in `with`."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.behaviour.zygote"], stdin=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(BrokenPipeError):
            self.process.communicate(timeout=180)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Forked:
        """Run `autoloader` with these arguments."""
        folder = Path(mkdtemp(dir=self.scratch))
        request = {"folder": str(folder), "arguments": list(arguments), "environment": dict(environment)}
        assert self.process.stdin
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return Forked(folder)


def _when_there(path: Path, timeout: float = 60) -> str:
    deadline = time.monotonic() + timeout
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} of {path.parent} never came"
        time.sleep(POLL_SECONDS)
    return path.read_text(encoding="ascii")


# --- the process -----------------------------------------------------------------------------


def main() -> None:
    """Serve requests. Imports start no thread that a fork would lose."""
    for name in _IMPORTED:
        import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        if os.fork() == 0:
            _supervise(request)
            os._exit(0)
        _reap()


def _supervise(request: dict[str, Any]) -> None:
    """Fork the run, say its pid, and say its end."""
    folder = Path(request["folder"])
    pid = os.fork()
    if pid == 0:
        _run(folder, request["arguments"], request["environment"])
    _tell(folder / "pid", pid)
    _, status = os.waitpid(pid, 0)
    _tell(folder / "code", os.waitstatus_to_exitcode(status))


def _run(folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(handle, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["autoloader", *arguments]
    code: object = 1
    try:
        from app.cli.main import main as autoloader

        autoloader()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 - this is the process's end: say what it was
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _tell(path: Path, number: int) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(str(number), encoding="ascii")
    draft.rename(path)


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main()
