"""One part of `autoloader up`: how it is started and looked at, and its process while there is one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from app.errors import PartFailed

_KEPT_LINES = 200
_LONGEST_LINE = 64 * 1024
_KILLED_SECONDS = 5.0  # for the system to take away what was killed

Lines = Sequence[str]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A part, before it runs.

    `ready` is asked again and again with the lines that the part has said since its start, for at most `ready_seconds`.
    `alive` is asked while it is ready; None: that its process lives is enough. `advice` is the next step for a person
    when it does not get ready. No secret may stand in `command`: everybody on the machine can read it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    ready: Callable[[Lines], bool]
    ready_seconds: float
    alive: Callable[[], bool] | None = None
    folder: Path | None = None
    address: str = ""
    advice: str = ""


class Child:
    """The process of a part, in a session of its own and tied to ours. `hear` gets each line that it says.

    Raises PartFailed when it cannot be started at all.
    """

    def __init__(self, spec: ChildSpec, hear: Callable[[str], None], stop_seconds: float) -> None:
        self._hear = hear
        self._stop_seconds = stop_seconds
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        tied = (sys.executable, "-m", "app.runtime.tied", str(os.getpid()), f"{stop_seconds:g}")
        try:
            self._process = subprocess.Popen(
                [*tied, *spec.command],
                env=dict(spec.environment),
                cwd=spec.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is ours to handle
            )
        except OSError as error:
            raise PartFailed(f"{spec.name} cannot be started: {error}.", hint=spec.advice) from error
        self._listener = threading.Thread(target=self._listen, name=f"hear-{spec.name}", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Of the process that ties it to us; the part is below it."""
        return self._process.pid

    def code(self) -> int | None:
        """How it ended, None while it runs. When it has ended, all its lines have been heard."""
        code = self._process.poll()
        if code is not None:
            self._listener.join(timeout=_KILLED_SECONDS)
        return code

    def ask_to_end(self) -> None:
        """It and what is below it get SIGTERM, and SIGKILL after `stop_seconds`. Returns at once."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """What is left of its session ends now."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it; returns when it and what was below it are gone."""
        self.ask_to_end()
        try:
            # Twice the time: once for the part, once for what it leaves behind.
            self._process.wait(2 * self._stop_seconds + _KILLED_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self.code()

    def _listen(self) -> None:
        with cast("IO[bytes]", self._process.stdout) as said, suppress(ValueError):
            while line := said.readline(_LONGEST_LINE):
                text = line.decode("utf-8", "replace").rstrip()
                if text:
                    self.lines.append(text)
                    self._hear(text)
