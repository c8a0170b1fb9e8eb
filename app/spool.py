"""Remote files on local disk, for as long as a batch is read: bounded, pinned to their versions, side by side.

A spool is a folder of its own below the one it is given (`app.own_folder`), gone with it or with its process.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from app.errors import (
    AutoloaderError,
    FileChanged,
    FileMissing,
    Interrupted,
    InvalidInput,
    ObjectUnavailable,
    SourceAccessDenied,
    SourceUnavailable,
)
from app.own_folder import FolderLock, own_folder
from app.values import BatchFile, Slot

_SMALL = 256 * 1024  # up to this many bytes a file is put into a pack, where the reader can take it from one
_REASONS: dict[type[AutoloaderError], str] = {
    FileChanged: "changed",
    FileMissing: "missing",
    SourceAccessDenied: "denied",
    ObjectUnavailable: "not-given",
}


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """`offset`: the copy is a part of `local_path`, a pack of many files; None: it is all of it."""

    file_id: int
    local_path: Path
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class SpoolFault:
    """One file that could not be had. `reason`: `changed`, `missing`, `denied`, `not-given` or `too-large`."""

    file_id: int
    reason: str
    error: str


class Fault(Protocol):
    """A store's word about one file that it could not give, for that file's own reason."""

    @property
    def file_id(self) -> int: ...

    @property
    def error(self) -> AutoloaderError: ...


class Source(Protocol):
    """What the spool needs of a store (`app.storage.Store` is one): it answers ids or faults, as they finish."""

    def fetch_many(self, jobs: Sequence[tuple[BatchFile, Path | Slot]], concurrency: int) -> Generator[int | Fault]: ...


class _OpenFile:
    """Closed once nobody has it any more: a thread that a second interrupt left behind must not write by a number that
    belongs to another file by then.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def fileno(self) -> int:
        return self._handle

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)


class _Pack:
    """One file for many small ones, each in a slot of its listed size, one behind the other.

    Files of their own cost more than the fetch itself: of 20,000 objects of 16 KB, 4 to 9 s of system time in place of
    0.3 s (measured).
    """

    def __init__(self, path: Path, files: Sequence[BatchFile]) -> None:
        self.path = path
        self.file_ids = [file.file_id for file in files]
        self.left = set(self.file_ids)  # not released yet

    def slots(self, files: Sequence[BatchFile]) -> dict[int, Slot]:
        """Where each file goes to. The pack is open as long as somebody has one of them."""
        handle, offset, slots = _OpenFile(self.path), 0, {}
        for file in files:
            slots[file.file_id] = Slot(handle, offset, file.size)
            offset += file.size
        return slots


class Spool:
    """Space for `max_bytes` of files. Use it as a context manager; closing removes every file."""

    def __init__(self, folder: Path, max_bytes: int, concurrency: int) -> None:
        self._folder, lock = own_folder(folder)
        self._lock: FolderLock | None = lock
        self._max_bytes = max_bytes
        self._concurrency = concurrency
        self._held: dict[int, int] = {}
        self._packs: dict[int, _Pack] = {}
        self._packs_made = 0
        self._counting = threading.Lock()

    @property
    def folder(self) -> Path:
        """The spool's own folder; it goes with the spool, and all that is below it."""
        return self._folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fetch(
        self,
        store: Source,
        files: Sequence[BatchFile],
        stopped: Callable[[], bool] = lambda: False,
        *,
        packs: bool = False,
    ) -> list[SpooledFile | SpoolFault]:
        """Copy the files; one answer for each, in their order. A fault is one file's own and stops no other.

        `packs`: small files come as parts of one; it is removed with the last of them.
        `stopped` is asked after each: once it says so, Interrupted is raised. One fetch at a time, but others may be
        released meanwhile.

        Raises InvalidInput when the files together do not fit, SourceUnavailable when the store does not answer or
        the disk is full; then nothing of this call is kept.
        """
        answers: dict[int, SpooledFile | SpoolFault] = {
            file.file_id: self._too_large(file) for file in files if file.size > self._max_bytes
        }
        wanted = [file for file in files if file.file_id not in answers]
        self._take_room(wanted)
        try:
            targets = self._targets(wanted, packs=packs)
            jobs = [(file, targets[file.file_id]) for file in wanted]
            with closing(store.fetch_many(jobs, self._concurrency)) as fetched:
                for answer in fetched:
                    if isinstance(answer, int):
                        answers[answer] = self._copied(answer, targets[answer])
                    else:
                        answers[answer.file_id] = _fault(answer)
                        self.release([answer.file_id])
                    _go_on(stopped)
        except BaseException as error:
            self.release(file.file_id for file in wanted)
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                message = f"The disk of the spool {self._folder.parent} is full."
                raise SourceUnavailable(message, hint="Free space, or set SPOOL_MAX_BYTES lower.") from error
            raise
        return [answers[file.file_id] for file in files]

    def release(self, file_ids: Iterable[int]) -> None:
        """Remove these files; their space can be used again. That of a pack when all its files were released."""
        for file_id in list(file_ids):
            with self._counting:
                pack = self._packs.pop(file_id, None)
                if pack is not None:
                    pack.left.discard(file_id)
                    if pack.left:
                        continue
            (pack.path if pack else self._folder / str(file_id)).unlink(missing_ok=True)
            self._free(pack.file_ids if pack else [file_id])

    def close(self) -> None:
        """Remove everything. May be called twice."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock = None
        self._held.clear()
        self._packs.clear()

    def _targets(self, files: Sequence[BatchFile], *, packs: bool) -> dict[int, Path | Slot]:
        """Where each file is to be copied to."""
        alone: dict[int, Path | Slot] = {file.file_id: self._folder / str(file.file_id) for file in files}
        small = [file for file in files if packs and file.size <= _SMALL]
        if len(small) < 2:  # noqa: PLR2004 a pack of one saves nothing
            return alone
        self._packs_made += 1
        pack = _Pack(self._folder / f"pack-{self._packs_made}", small)
        self._packs |= dict.fromkeys(pack.file_ids, pack)
        return alone | pack.slots(small)

    def _copied(self, file_id: int, target: Path | Slot) -> SpooledFile:
        if isinstance(target, Slot):
            return SpooledFile(file_id, self._packs[file_id].path, target.offset)
        return SpooledFile(file_id, target)

    def _take_room(self, files: Sequence[BatchFile]) -> None:
        needed = sum(file.size for file in files)
        with self._counting:
            held = sum(self._held.values())
            if held + needed <= self._max_bytes:
                self._held.update({file.file_id: file.size for file in files})
                return
            free = self._max_bytes - held
        message = f"{len(files)} files of {needed} bytes do not fit into the spool: {free} bytes are free."
        raise InvalidInput(message, hint="Set SPOOL_MAX_BYTES higher, or batch_max_bytes lower.")

    def _free(self, file_ids: Iterable[int]) -> None:
        with self._counting:
            for file_id in file_ids:
                self._held.pop(file_id, None)

    def _too_large(self, file: BatchFile) -> SpoolFault:
        text = (
            f"{file.path} has {file.size} bytes; the spool holds {self._max_bytes}."
            " Set SPOOL_MAX_BYTES higher, then retry the file."
        )
        return SpoolFault(file.file_id, "too-large", text)


def _go_on(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise Interrupted("The fetch was stopped.")


def _fault(answer: Fault) -> SpoolFault:
    reason = next(word for kind, word in _REASONS.items() if isinstance(answer.error, kind))
    return SpoolFault(answer.file_id, reason, str(answer.error))
