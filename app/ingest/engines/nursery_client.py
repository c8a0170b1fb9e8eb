"""The nursery as the processes that it serves see it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, Self

from app.ingest.engines.nursery import PACKET
from app.ingest.engines.parser_start import UNKNOWN_END, NurseryUnusable, clean_environment

_BIRTH_SECONDS = 20.0  # the first one waits for the nursery's imports
_CLOSE_SECONDS = 5.0
_END_SECONDS = 30.0  # it says at once who has ended; one that is stopped or hangs says nothing


class Nursery:
    """A nursery and the way to it, which forks of this process inherit. `close` it, or use it in `with`.

    Linux only: elsewhere `start` raises NurseryUnusable.
    """

    def __init__(self) -> None:
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if sys.platform != "linux":
            return
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.ingest.engines.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=clean_environment(),
                cwd="/",
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process, None where there is none."""
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        """For the process that has made it."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End it, and what it has forked for this process; it goes on as long as other processes share it."""
        if self._requests is None or self._process is None:
            return
        self._requests.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_SECONDS)

    def start(self, arguments: Sequence[str]) -> Nursed:
        """A parsing child. Raises NurseryUnusable."""
        if self._requests is None:
            raise NurseryUnusable("this system has none.")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipes = [os.pipe() for _ in range(3)]
        handed = [pipes[0][0], pipes[1][1], pipes[2][1]]
        kept = [pipes[0][1], pipes[1][0], pipes[2][0]]
        request = json.dumps({"for": os.getpid(), "arguments": list(arguments)}).encode()
        try:
            with theirs:
                socket.send_fds(self._requests, [request], [*handed, theirs.fileno()])
            return Nursed(_pid(ours), ours, kept)
        except (OSError, NurseryUnusable) as error:
            ours.close()
            for fd in kept:
                os.close(fd)
            raise NurseryUnusable(f"the nursery does not answer ({error}).") from error
        finally:
            for fd in handed:
                os.close(fd)


class Nursed:
    """A parsing child of the nursery, as `subprocess.Popen` shows one."""

    def __init__(self, pid: int, answers: socket.socket, streams: Sequence[int]) -> None:
        self.pid = pid
        self.stdin: IO[bytes] = os.fdopen(streams[0], "wb")
        self.stdout: IO[bytes] = os.fdopen(streams[1], "rb")
        self.stderr: IO[bytes] = os.fdopen(streams[2], "rb")
        self._answers = answers
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its code, None while it runs."""
        if self._code is None and _readable(self._answers, 0):
            return self.wait()
        return self._code

    def wait(self) -> int:
        """Its code, when it has ended; UNKNOWN_END when the nursery says nothing of it within half a minute."""
        if self._code is None:
            said = _hear(self._answers) if _readable(self._answers, _END_SECONDS) else {}
            self._code = int(said.get("code", UNKNOWN_END))
        return self._code

    def end(self) -> None:
        """Kill it and whatever it started. Its number is its own until the answers' socket is closed."""
        if self._answers.fileno() == -1:
            return
        self.poll()
        # What can be heard after the code is the end of the nursery, which frees the number.
        if not _readable(self._answers, 0):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        self._answers.close()


def _pid(answers: socket.socket) -> int:
    if not _readable(answers, _BIRTH_SECONDS):
        raise NurseryUnusable(f"nothing within {_BIRTH_SECONDS:g} s")
    said = _hear(answers)
    if not isinstance(said.get("pid"), int):
        raise NurseryUnusable("no process id")
    return int(said["pid"])


def _readable(answers: socket.socket, seconds: float) -> bool:
    waiting = select.poll()  # unlike `select`, it takes descriptors of any number
    waiting.register(answers, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def _hear(answers: socket.socket) -> dict[str, Any]:
    """One answer; nothing in it when it is no answer, or when nobody is there to give one."""
    try:
        said = json.loads(answers.recv(PACKET) or b"{}")
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
