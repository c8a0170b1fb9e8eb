"""A command that does not outlive whoever asked for it: `python -m app.runtime.tied PARENT SECONDS COMMAND…`.

It ends the command, and everything below it, when it is told to (SIGTERM, SIGINT) and when the process PARENT is gone,
also by SIGKILL: SIGTERM first, SIGKILL after SECONDS. When the command ends by itself, what it left behind ends too.
The exit code is the command's; 128 and the signal's number where a signal ended it.

It imports nothing of ours and stays a single thread: it must be there before what it watches, and cost nothing.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LOOK_SECONDS = 1.0  # between looks for a parent that is gone, where no signal tells
_BRIEFLY = 0.05  # between looks for what is about to end
_CANNOT_START = 127
_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None, use_errno=True) if _LINUX else None


def main() -> None:
    """Run the command of the command line to its end."""
    parent, seconds, *command = sys.argv[1:]
    sys.exit(Tied(int(parent), float(seconds)).run(command))


class Tied:
    def __init__(self, parent: int, seconds: float) -> None:
        self._parent = parent
        self._seconds = seconds
        self._told = False
        self._woken, self._wake = os.pipe()

    def run(self, command: list[str]) -> int:
        """The command's exit code, when it and all below it are gone."""
        self._listen()
        # What is orphaned below comes to us instead of to the system's first process, so that nothing is lost sight of.
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        pid = _start(command)
        code = self._until_ended(pid)
        self._end_below()
        return code

    def _listen(self) -> None:
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._tell)

    def _tell(self, *_: object) -> None:
        self._told = True

    def _until_ended(self, pid: int) -> int:
        deadline = 0.0
        while True:
            codes = _reap()
            if pid in codes:
                return codes[pid]
            if not deadline and (self._told or os.getppid() != self._parent):
                deadline = time.monotonic() + self._seconds
                os.kill(pid, signal.SIGTERM)
            left = deadline - time.monotonic() if deadline else _LOOK_SECONDS
            if left <= 0:
                os.kill(pid, signal.SIGKILL)
            self._pause(min(max(left, _BRIEFLY), _LOOK_SECONDS))

    def _end_below(self) -> None:
        """What the command started, in whatever session: a moment to end in order, then the end.

        Only what has lost its parent is asked: the others are their parents' business, and a process that hears twice
        would take it for impatience.
        """
        if not _LINUX:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)  # as much as is known elsewhere: those of the command's group
            return
        deadline, asked = time.monotonic() + self._seconds, set[int]()
        while (children := _alive()).get(os.getpid()):
            late = time.monotonic() >= deadline
            for pid in _below(os.getpid(), children) if late else children[os.getpid()] - asked:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            asked |= children[os.getpid()]
            self._pause(_BRIEFLY)
            _reap()

    def _pause(self, seconds: float) -> None:
        """So long, or until a signal comes: a child's end is one."""
        select.select([self._woken], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)


def _start(command: list[str]) -> int:
    ours = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # if we are killed, nobody is left to end it in order
        if os.getppid() == ours:
            # Whoever started us may ignore them (a shell's background job, Python itself); a command may not.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    finally:
        os._exit(_CANNOT_START)


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


def _reap() -> dict[int, int]:
    """Exit codes of children that have ended."""
    codes = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(found[1])
            codes[found[0]] = code if code >= 0 else 128 - code
    return codes


def _alive() -> dict[int, set[int]]:
    """Processes that live, by their parents."""
    children: dict[int, set[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, parent = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:2]
            if state not in "ZX":
                children.setdefault(int(parent), set()).add(int(path.parent.name))
    return children


def _below(root: int, children: Mapping[int, set[int]]) -> set[int]:
    found, ahead = set[int](), [root]
    while ahead:
        below = children.get(ahead.pop(), set()) - found
        found |= below
        ahead += below
    return found


if __name__ == "__main__":
    main()
