"""The worker's side of the zygote: starts it, asks it for forks, and knows how each one ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from app.errors import PreloadFailed

_PRELOAD_SECONDS = 180.0  # minutes on a machine that has compiled nothing yet
_LOST = -signal.SIGKILL


@dataclass(eq=False)
class Child:
    """One fork, as Prefect's process handle wants it. `returncode` is negative for a signal, None while it runs.

    `nursery` is the process that forks its parsers, 0 for none.
    """

    pid: int
    nursery: int = 0
    returncode: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, code: int) -> None:
        self.returncode = code
        self.ended.set()


class SessionScope:
    """How a child is signalled: its end in order is its own business, its end by force takes its parser along."""

    wait_after_graceful_kill = True

    def __init__(self, child: Child) -> None:
        self._child = child

    def is_alive(self, pid: int) -> bool:
        del pid
        return not self._child.ended.is_set()

    def graceful_kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)

    def hard_kill(self, pid: int) -> None:
        os.killpg(pid, signal.SIGKILL)

    def close(self) -> None:
        pass


class Forkserver:
    """One zygote at a time; when it dies its children are ended, and the next fork gets a fresh one.

    Use it in `async with`. Entering raises PreloadFailed.
    """

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._forked: dict[str, asyncio.Future[Child]] = {}
        self._children: dict[int, Child] = {}
        self._requests = 0

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """End the zygote; it ends what still runs."""
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    @property
    def pid(self) -> int | None:
        """Of the zygote, None while there is none."""
        return self._process.pid if self._process else None

    async def fork(self, environment: Mapping[str, str], buried: tuple[str, str] | None = None) -> Child:
        """A process that runs the flow run of the environment, or stores a code and a sentence as its end.

        Raises PreloadFailed when a new zygote cannot begin.
        """
        async with self._starting:
            if self._writer is None:
                await self._start()
        self._requests += 1
        key = str(self._requests)
        answer: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._forked[key] = answer
        request = {"fork": key, "environment": dict(environment), "buried": buried}
        assert self._writer is not None  # noqa: S101 - for the type checker
        self._writer.write(json.dumps(request).encode() + b"\n")
        with suppress(ConnectionError):  # `_lost` answers then
            await self._writer.drain()
        return await answer

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app.prefect.zygote", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a terminal's Ctrl-C is the worker's to handle
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            line = await asyncio.wait_for(reader.readline(), _PRELOAD_SECONDS)
        except TimeoutError:
            line = b""
        said = json.loads(line or b"{}")
        if not said.get("ready"):
            writer.close()
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            raise _failed(str(said.get("failed", "")))
        self._writer = writer
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                self._hear(json.loads(line))
        self._lost()

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "forked" in message:
            child = self._children[message["pid"]] = Child(message["pid"], message["nursery"])
            answer = self._forked.pop(message["forked"])
            if not answer.done():
                answer.set_result(child)
        elif "ended" in message:
            self._children.pop(message["ended"]).end(int(message["code"]))

    def _lost(self) -> None:
        """Nobody can tell any more how the children end: so they end here."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        for child in self._children.values():
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.end(_LOST)
        self._children.clear()
        for answer in self._forked.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("The process that forks runs has died."))
        self._forked.clear()


def _failed(trace: str) -> PreloadFailed:
    last = trace.strip().splitlines()[-1] if trace.strip() else "it died, or took too long"
    return PreloadFailed(
        f"The worker cannot import the flow ({last}).",
        hint="See where: python -c 'import app.prefect.flows.run_ingestion'",
    )
