"""The child process itself: start, talk by lines, measure, kill."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
from collections import deque
from pathlib import Path
from typing import IO, cast

from app.errors import ParserDied
from app.ingest.engines.parser_start import UNKNOWN_END, Starter

_LAST_WORDS = 16 * 1024
_READ = 256 * 1024
_DATA_SLACK = 2 * 1024**3  # address space that allocators reserve and do not use


class OutOfMemory(ParserDied):
    """The child had too little memory, or the system killed it, which mostly means the same."""


class NurseryLost(ParserDied):
    """The child has ended with the nursery that forked it: no file is to blame."""


class ChildProcess:
    """A running parsing child in a session of its own. Raises ParserDied when it ends without an answer."""

    def __init__(self, *, memory_bytes: int, file_bytes: int, cpu_seconds: int, start: Starter) -> None:
        arguments = [
            "--memory",
            str(memory_bytes + _DATA_SLACK),
            "--file-size",
            str(file_bytes),
            "--cpu",
            str(cpu_seconds),
        ]
        self._process = start(arguments)
        self._received = bytearray()
        self._said: deque[bytes] = deque()
        self._selector = selectors.DefaultSelector()
        self._stdin, self._stdout, self._stderr = (
            cast("IO[bytes]", pipe) for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        os.set_blocking(self._stdout.fileno(), False)
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, line: bytes) -> None:
        """Hand over one request."""
        try:
            self._stdin.write(line)
            self._stdin.flush()
        except OSError as exc:
            raise self._dead() from exc

    def poll(self, seconds: float) -> bytes | None:
        """The answer's line; None when there is none within `seconds`."""
        if not self._selector.select(seconds):
            return None
        chunk = self._stdout.read(_READ)
        if chunk == b"":
            raise self._dead()
        self._received += chunk or b""
        if not self._received.endswith(b"\n"):
            return None
        line = bytes(self._received)
        self._received.clear()
        return line

    def resident_bytes(self) -> int:
        """Resident memory; 0 where the system does not tell by /proc."""
        try:
            fields = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()
        except OSError:
            return 0
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """End the child and whatever it started; returns when it is gone, or hangs beyond what its starter waits."""
        self._process.end()
        self._listener.join(timeout=5)
        self._selector.close()
        for stream in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()

    def last_words(self) -> str:
        """The end of what the child wrote to standard error, one line."""
        text = b"".join(self._said)[-_LAST_WORDS:].decode(errors="replace").strip()
        return text.splitlines()[-1] if text else ""

    def _listen(self) -> None:
        kept = 0
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stderr.fileno(), _READ):
                self._said.append(chunk)
                kept += len(chunk)
                while kept - len(self._said[0]) > _LAST_WORDS:
                    kept -= len(self._said.popleft())

    def _dead(self) -> ParserDied:
        code = self._process.wait()
        self._listener.join(timeout=5)
        kind = {-signal.SIGKILL: OutOfMemory, UNKNOWN_END: NurseryLost}.get(code, ParserDied)
        return kind(f"The parser died: {_cause(code)}.", hint=self.last_words())


def _cause(code: int) -> str:
    if code == UNKNOWN_END:
        return "the process that had started it died"
    if code >= 0:
        return f"it ended with code {code}"
    name = signal.Signals(-code).name
    if name == "SIGXCPU":
        return "it used too much CPU time (SIGXCPU)"
    if name == "SIGKILL":
        return "it was killed (SIGKILL), by somebody or by the system for lack of memory"
    return f"it crashed ({name})"
