"""Parsing in a child process that may crash, hang or grow without harm to this one.

The child has a clean environment, no secrets, no database and no network connection of ours; its limits are memory,
time, output and CPU. It is started by the first request and serves the later ones; after a death the next request gets
a fresh one. It never outlives this process.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from app.errors import InvalidInput, ParserDied, SourceUnavailable
from app.ingest.engines import parse_wire, parser_start
from app.ingest.engines.parser_start import Starter
from app.ingest.engines.sandbox_process import ChildProcess, NurseryLost, OutOfMemory
from app.ingest.formats.contract import InferRequest, InferResult, ParseLimits, ParseRequest, ParseResult

OnProgress = Callable[[int], None]

_POLL_SECONDS = 0.05
_SIZE_SECONDS = 0.25  # pause between measurements of the output
_MEMORY_FACTOR = 1.5
_MEMORY_LEAST = 512 * 1024 * 1024  # an idle child with its libraries takes about a quarter of this
_BUSY_FACTOR = 8  # a child is replaced after this many timeouts' worth of work


class Sandbox:
    """One parsing child at a time. Not for use by several threads at once; `close` it, or use it in `with`."""

    def __init__(self, limits: ParseLimits, *, timeout_seconds: float, start: Starter = parser_start.start) -> None:
        self._limits = limits
        self._timeout = timeout_seconds
        self._start = start
        self._child: ChildProcess | None = None
        self._busy = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._child.pid if self._child else None

    def parse(self, request: ParseRequest, on_progress: OnProgress | None = None) -> ParseResult:
        """Parse the files; `on_progress` is told the bytes written so far, now and then and once at the end.

        Raises ParserDied (the message tells the signal or the limit), InvalidInput, and SourceUnavailable when the
        disk is full.
        """
        return parse_wire.parse_result_from_json(self._ask(request, on_progress))

    def infer(self, request: InferRequest) -> InferResult:
        """Infer a schema. Raises as `parse` does."""
        if request.output_dir:
            return parse_wire.infer_result_from_json(self._ask(request, None))
        with tempfile.TemporaryDirectory(prefix="autoloader-infer-") as folder:
            return self.infer(replace(request, output_dir=folder))

    def close(self) -> None:
        """Kill the child, if there is one."""
        if self._child:
            self._child.kill()
            self._child = None

    def _ask(self, request: ParseRequest | InferRequest, on_progress: OnProgress | None) -> parse_wire.Message:
        """The answer. What had too little memory is tried once more with one thread: each thread takes its own, and
        a table of many columns on a machine of many cores is no reason to blame a file. What ended with the nursery
        is asked again of a child that has none.
        """
        try:
            return self._ask_once(request, on_progress)
        except NurseryLost:
            again = replace(request, output_dir=str(Path(request.output_dir) / "again"))
            self._start = parser_start.start_anew
            return self._ask(again, on_progress)
        except OutOfMemory:
            folder = str(Path(request.output_dir) / "one-thread")
            alone = replace(request, output_dir=folder, limits=replace(request.limits, threads=1))
            return self._ask_once(alone, on_progress)

    def _ask_once(self, request: ParseRequest | InferRequest, on_progress: OnProgress | None) -> parse_wire.Message:
        Path(request.output_dir).mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        child = self._ready()
        try:
            child.send(parse_wire.encode(parse_wire.request_to_json(request)))
            answer = parse_wire.decode(self._wait(child, request.output_dir, on_progress))
        except BaseException:
            self.close()
            raise
        self._busy += time.monotonic() - started
        return _result(answer, child)

    def _ready(self) -> ChildProcess:
        if self._child and (not self._child.alive or self._busy > _BUSY_FACTOR * self._timeout):
            self.close()
        if not self._child:
            self._busy = 0.0
            self._child = ChildProcess(
                memory_bytes=self._memory_ceiling,
                file_bytes=self._limits.max_output_bytes,
                cpu_seconds=int(self._timeout * (_BUSY_FACTOR + 1) * 64),
                start=self._start,
            )
        return self._child

    @property
    def _memory_ceiling(self) -> int:
        """Resident bytes at which the child is killed: the parser's own limit should have stopped it before."""
        return max(int(self._limits.memory_bytes * _MEMORY_FACTOR), _MEMORY_LEAST)

    def _wait(self, child: ChildProcess, folder: str, on_progress: OnProgress | None) -> bytes:
        started = measured = time.monotonic()
        while (line := child.poll(_POLL_SECONDS)) is None:
            now = time.monotonic()
            if now - started > self._timeout:
                raise self._died(child, f"it took longer than {self._timeout:g} seconds (time)")
            if (used := child.resident_bytes()) > self._memory_ceiling:
                why = f"it used {used:,} bytes of memory (memory limit {self._limits.memory_bytes:,})"
                raise self._died(child, why, OutOfMemory)
            if now - measured >= _SIZE_SECONDS:
                measured = now
                self._measure(child, folder, on_progress)
        self._measure(child, folder, on_progress)
        return line

    def _measure(self, child: ChildProcess, folder: str, on_progress: OnProgress | None) -> None:
        size = _folder_bytes(Path(folder))
        if size > self._limits.max_output_bytes:
            raise self._died(child, f"its output passed {self._limits.max_output_bytes:,} bytes (output size)")
        if on_progress:
            on_progress(size)

    @staticmethod
    def _died(child: ChildProcess, why: str, kind: type[ParserDied] = ParserDied) -> ParserDied:
        child.kill()
        return kind(f"The parser was stopped: {why}.", hint="Split the batch, or raise the parser's limits.")


def _result(answer: parse_wire.Message, child: ChildProcess) -> parse_wire.Message:
    kind = answer.get("error")
    if not kind:
        result: parse_wire.Message = answer["result"]
        return result
    if kind == "invalid":
        raise InvalidInput(answer["message"], hint=answer["hint"])
    if kind in {"memory", "output", "disk"}:
        child.kill()  # what a failed allocation left behind is not worth knowing
    if kind == "disk":  # whatever file was read, none is to blame
        message = f"The disk is full: the parser could not write ({answer['message']})."
        raise SourceUnavailable(message, hint="Free space in AUTOLOADER_HOME, then run again.")
    names = {"memory": "it ran out of memory (memory limit)", "output": "its output was too large (output size)"}
    why = names.get(str(kind), "it failed")
    died = OutOfMemory if kind == "memory" else ParserDied
    raise died(f"The parser died: {why}: {answer['message']}.", hint=child.last_words())


def _folder_bytes(folder: Path) -> int:
    """Bytes of all regular files below; files and folders may vanish meanwhile, links count nothing."""
    total = 0
    for place, _, names in os.walk(folder):  # passes over a folder that is gone, which `rglob` does not
        for name in names:
            with suppress(OSError):
                found = Path(place, name).lstat()
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total
