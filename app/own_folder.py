"""A folder of one process below one that many share, locked as long as the process lives.

It is named after its process; what a dead process left there is removed when the next folder is made. Of containers
that share the upper folder none sees another's processes: there the lock alone tells who lives.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.errors import InvalidInput

_PREFIX = "spool-"


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder below `folder` for the length of the block. What a killed process leaves goes as a spool's does."""
    own, lock = own_folder(folder)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        del lock


def own_folder(folder: Path) -> tuple[Path, FolderLock]:
    """Locked until nobody has the lock any more. Raises InvalidInput where `folder` cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        while True:
            path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{_started_at(os.getpid())}-", dir=folder))
            with suppress(FileNotFoundError):  # another container took it for a leftover before it was locked
                lock = FolderLock(path, fcntl.LOCK_SH)
                path.stat()
                return path, lock
    except OSError as error:
        raise InvalidInput(
            f"{folder} cannot be written: {error.strerror or error}.",
            hint="Set AUTOLOADER_HOME to a folder that can be written; what is read is put there for a while.",
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Remove the spools below `folder` whose process is gone; nothing else."""
    for path in folder.glob(f"{_PREFIX}*-*-*"):
        pid, _, rest = path.name.removeprefix(_PREFIX).partition("-")
        if pid.isdecimal() and _started_at(int(pid)) != rest.partition("-")[0]:
            with suppress(BlockingIOError, FileNotFoundError):  # it lives in another container; another one was faster
                lock = FolderLock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
                del lock


class FolderLock:
    """A lock on a folder as long as the object lives, or its process. Raises BlockingIOError and FileNotFoundError."""

    def __init__(self, path: Path, kind: int) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._handle, kind)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks on folders
            return

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)


def _started_at(pid: int) -> str:
    """The process's start: a number that is used again names another process. `0` where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _without_proc(pid)
    return text.rpartition(")")[2].split()[19]


def _without_proc(pid: int) -> str:
    """The same on a system without /proc: alive (`1`) or not (`0`) is all it tells."""
    if Path("/proc/self").exists():
        return "0"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "0"
    except PermissionError:
        return "1"
    return "1"
