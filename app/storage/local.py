"""A folder of this machine as a store."""

from __future__ import annotations

import errno
import os
import shutil
import stat as stat_module
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.errors import FileChanged, FileMissing, SourceAccessDenied, SourceError, SourceNotFound, SourceUnavailable
from app.found_files import FoundFiles
from app.storage.contract import FetchFault, FetchJob, ObjectInfo, Target
from app.storage.copying import discard, put
from app.values import Slot


@dataclass(frozen=True, slots=True)
class LocalStore:
    """Files below one folder, or one file. Symlinked folders are not followed: a loop must not be a listing."""

    base: str
    page_size: int = 5_000
    kind: str = "local"

    def list(self, prefix: str = "", *, left_out: Counter[str] | None = None) -> Iterator[FoundFiles]:
        root = f"{self.base.rstrip('/')}/{prefix}".rstrip("/") or "/"
        counts = Counter[str]() if left_out is None else left_out
        with _translated(root, missing=SourceNotFound):
            mode = Path(root).stat().st_mode
        if not stat_module.S_ISDIR(mode):
            if stat_module.S_ISREG(mode):
                yield FoundFiles.of([self.stat(root)])
            else:
                counts["not-a-file"] += 1
            return
        page: list[ObjectInfo] = []
        for info in _walk(root, counts):
            page.append(info)
            if len(page) >= self.page_size:
                yield FoundFiles.of(page)
                page = []
        if page:
            yield FoundFiles.of(page)

    def stat(self, path: str) -> ObjectInfo:
        with _translated(path, missing=FileMissing):
            found = Path(path).stat()
        if not stat_module.S_ISREG(found.st_mode):
            message = f"{path} is not a file."
            raise FileMissing(message, hint="A folder or a device took its place.")
        return _info(path, found)

    def fetch(self, path: str, version: str, target: Target) -> None:
        try:
            self._require(path, version)
            with _translated(path, missing=FileMissing):
                if isinstance(target, Slot):
                    put(target, [Path(path).read_bytes()], path)
                else:
                    shutil.copyfile(path, target)
            self._require(path, version)
        except SourceError:
            discard(target)
            raise

    def fetch_many(self, jobs: Sequence[FetchJob], concurrency: int) -> Generator[int | FetchFault]:
        del concurrency  # one disk: copying side by side gains nothing
        for file, target in jobs:
            try:
                self.fetch(file.path, file.version, target)
            except (FileChanged, FileMissing, SourceAccessDenied) as error:
                yield FetchFault(file.file_id, error)
            else:
                yield file.file_id

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        with _translated(path, missing=FileMissing), Path(path).open("rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def delete(self, path: str) -> None:
        with _translated(path, missing=FileMissing):
            Path(path).unlink(missing_ok=True)

    def local_path(self, path: str) -> Path | None:
        return Path(path)

    def _require(self, path: str, version: str) -> None:
        now = self.stat(path).version
        if now != version:
            message = f"{path} changed after it was discovered (was {version}, is {now})."
            raise FileChanged(message, hint="The new version is discovered by the next run.")


def _info(path: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        path=path,
        version=f"{found.st_size}-{found.st_mtime_ns}",
        size=found.st_size,
        modified_at=_moment(found.st_mtime_ns),
    )


def _moment(nanoseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (OverflowError, ValueError, OSError):  # a clock set to the year 60000: late, and no reason to stop
        return datetime.max.replace(tzinfo=UTC)


def _walk(folder: str, counts: Counter[str]) -> Iterator[ObjectInfo]:
    """Depth first, in the byte order of full paths: a folder sorts as its name with a slash."""
    pending: list[Iterator[tuple[bytes, os.DirEntry[str]]]] = [_entries(folder, counts, root=True)]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
        elif entry[0].endswith(b"/"):
            pending.append(_entries(entry[1].path, counts))
        elif info := _listed(entry[1], counts):
            yield info


def _entries(folder: str, counts: Counter[str], *, root: bool = False) -> Iterator[tuple[bytes, os.DirEntry[str]]]:
    found: list[tuple[bytes, os.DirEntry[str]]] = []
    try:
        with _translated(folder, missing=SourceNotFound), os.scandir(folder) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if not _is_utf8(name):
                    counts["bad-name"] += 1
                elif _is_linked_folder(entry):
                    counts["symlink"] += 1
                else:
                    found.append((name + b"/" if entry.is_dir(follow_symlinks=False) else name, entry))
    except SourceNotFound:
        # A folder that went away while we walked holds nothing any more; the root itself must be there.
        if root:
            raise
    except SourceAccessDenied:
        # What else there is counts; that something is missing is told with the run.
        if root:
            raise
        counts["unreadable"] += 1
    found.sort(key=lambda item: item[0])
    return iter(found)


def _listed(entry: os.DirEntry[str], counts: Counter[str]) -> ObjectInfo | None:
    """The entry as a listing shows it; None (counted) when it is no readable file, or is gone already."""
    try:
        found = entry.stat()
    except FileNotFoundError:
        # A dangling link stays and is told of; a file removed while we listed was never there for this run.
        if entry.is_symlink():
            counts["symlink"] += 1
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EACCES}:
            other = "unreadable" if error.errno == errno.EACCES else "not-a-file"
            counts["symlink" if entry.is_symlink() else other] += 1
            return None
        raise SourceUnavailable(
            f"{entry.path} could not be looked at: {error.strerror}.", hint="Is the disk or share healthy? Run again."
        ) from error
    if not stat_module.S_ISREG(found.st_mode):
        counts["not-a-file"] += 1
        return None
    return _info(entry.path, found)


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link to itself: looked at again, and counted, as an entry that is no file
        return False


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def _translated(path: str, *, missing: type[SourceError]) -> Iterator[None]:
    """The operating system's errors as ours."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        message = f"There is no {'folder' if missing is SourceNotFound else 'file'} {path}."
        raise missing(message, hint="Look at the address: is it mounted, is the name right?") from error
    except PermissionError as error:
        message = f"{path} may not be read by this user."
        raise SourceAccessDenied(message, hint="Give the user of this process the right to read it.") from error
    except IsADirectoryError as error:
        message = f"{path} is a folder, not a file."
        raise FileMissing(message, hint="A folder took the file's place.") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            message = f"The disk is full (while {path} was worked on)."
            raise SourceUnavailable(message, hint="Free space, then run again.") from error
        message = f"{path} could not be read: {error.strerror or error}."
        raise SourceUnavailable(message, hint="Is the disk or the network mount healthy?") from error
