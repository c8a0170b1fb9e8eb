"""`up.log`: what all parts say, one line after the other, under their names."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from app.config import MIB
from app.log import one_line, redact

_MOST_BYTES = 10 * MIB
_OLDER_FILES = 3


class UpLog:
    """Threads share it. No secret gets in, and nothing that steers a terminal. Only its owner can read it.

    Past `most_bytes` it becomes `up.log.1`, and so on up to three. A disk that is full loses lines and stops nobody.
    """

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._size = 0

    def write(self, part: str, text: str) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = f"{moment} {part:<8} {one_line(redact(text))}\n".encode("utf-8", "backslashreplace")
        with self._lock, suppress(OSError, ValueError):
            if self._file is None:
                self._open()
            elif self._size + len(line) > self._most_bytes:
                self._turn_over()
            if self._file is not None:
                self._size += self._file.write(line)

    def close(self) -> None:
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(handle, "ab", buffering=0)  # a line that was said is there, whatever happens next
        self._size = os.fstat(handle).st_size

    def _turn_over(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        for number in range(_OLDER_FILES - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._older(number).replace(self._older(number + 1))
        self.path.replace(self._older(1))
        self._open()

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
