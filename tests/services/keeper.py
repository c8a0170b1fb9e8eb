"""Run a server for as long as another process lives: `python keeper.py PID FOLDER SIGNAL -- COMMAND…`.

When the process PID is gone, the server gets SIGNAL, five seconds later SIGKILL, and FOLDER is removed. A test run that
is killed thus leaves no server behind, and nobody has to count who still needs it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_LOOK_SECONDS = 0.3
_PATIENCE_SECONDS = 5.0


def started_at(pid: int) -> str:
    """The process's start in clock ticks (a number may be used again for another process); empty when it is gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    return ""


def main(pid: int, folder: str, ending: signal.Signals, command: list[str]) -> int:
    begun = started_at(pid)
    server = subprocess.Popen(command, cwd=folder, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        while begun and started_at(pid) == begun and server.poll() is None:
            time.sleep(_LOOK_SECONDS)
        return server.poll() or 0
    finally:
        _end(server, ending)
        shutil.rmtree(folder, ignore_errors=True)


def _end(server: subprocess.Popen[bytes], ending: signal.Signals) -> None:
    for each in (ending, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, each)
        with suppress(subprocess.TimeoutExpired):
            server.wait(_PATIENCE_SECONDS)


if __name__ == "__main__":
    at = sys.argv.index("--")
    pid_text, folder_text, signal_name = sys.argv[1:at]
    sys.exit(main(int(pid_text), folder_text, signal.Signals[signal_name], sys.argv[at + 1 :]))
