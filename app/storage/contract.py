"""What every store offers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.errors import AutoloaderError
from app.found_files import FoundFiles
from app.values import BatchFile, FoundFile, Slot

ObjectInfo = FoundFile

# Where a copy goes: a file of its own, or a part of one that holds many.
Target = Path | Slot

# One object version, and where to copy it to.
FetchJob = tuple[BatchFile, Target]


@dataclass(frozen=True, slots=True)
class FetchFault:
    """A file that could not be had for its own reason.

    `error` is FileChanged, FileMissing, SourceAccessDenied or ObjectUnavailable.
    """

    file_id: int
    error: AutoloaderError


class Store(Protocol):
    """One opened address. Paths that go in and out are full raw addresses, as in FoundFile.

    Every method raises SourceNotFound, SourceAccessDenied or SourceUnavailable as the store answers. A store may be
    used from several threads.
    """

    @property
    def base(self) -> str:
        """The address the store was opened with, made absolute, without a trailing slash."""

    @property
    def kind(self) -> str:
        """`local`, `s3`, `az` or `gs`."""

    def list(self, prefix: str = "", *, left_out: Counter[str] | None = None) -> Iterator[FoundFiles]:
        """Everything below `base`/`prefix`, page by page, in no promised order of pages.

        What is no file is counted into `left_out` by reason (`symlink`, `not-a-file`, `bad-name`): the counts only
        grow, also by threads while a page is looked at, and are whole when the listing has ended. A bucket or a folder
        that does not exist raises SourceNotFound; a remote prefix without objects is just empty.
        """

    def stat(self, path: str) -> ObjectInfo:
        """The object at `path` as it is now. Raises FileMissing."""

    def fetch(self, path: str, version: str, target: Target) -> None:
        """Copy exactly that version to `target`. Raises FileChanged or FileMissing and then leaves no file.

        A slot takes its own size and nothing else: an object that has another one raises FileChanged.
        """

    def fetch_many(self, jobs: Sequence[FetchJob], concurrency: int) -> Generator[int | FetchFault]:
        """Copy side by side; answer the id of each file that is there, or its fault, as they finish.

        The first error that is not one file's own stops all and is raised. What a store fails to give, again and again
        while it gives others, is that file's own.
        """

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of the object; fewer than `length` where it ends before. Raises FileMissing."""

    def delete(self, path: str) -> None:
        """Remove the object; one that is not there is no error."""

    def local_path(self, path: str) -> Path | None:
        """The file of this machine behind `path`; None for a remote store."""
