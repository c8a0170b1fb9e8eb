"""Listings of remote stores: page by page, and side by side where the first level has folders."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import obstore

from app.errors import InvalidInput, SourceError, SourceNotFound
from app.found_files import FoundFiles
from app.storage.arrow_pages import to_objects, version_of, without_markers
from app.storage.contract import ObjectInfo
from app.storage.faults import UnusableName, translated
from app.storage.keys import is_plain
from app.storage.threads import side_by_side

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

    from app.storage.signed_s3 import ListedKey, SignedS3

_MARKERS_LOOKED_AT = 50  # requests spent on one page's empty objects
_DEEPEST = 4  # single folders to go through before the level to split at
_GROUPS_PER_THREAD = 4
_REPLACED = "\ufffd"  # what some stores write for a character that XML does not allow, unless asked to encode names

# One piece of a split listing, in byte order: an object of the level itself, or a prefix to list.
_Piece = ObjectInfo | str


@dataclass(frozen=True, slots=True)
class Lister:
    """Lists one bucket. Pages come sorted by bytes of path, in no order among themselves, each from one
    stretch of keys: the ledger compares a page by the range from its first to its last path.
    """

    native: S3Store | AzureStore | GCSStore
    signed: SignedS3 | None
    root: str
    secrets: tuple[str, ...] = field(repr=False)
    exists: Callable[[str], bool]
    page_size: int
    concurrency: int

    def pages(self, key: str, counts: Counter[str]) -> Iterator[FoundFiles]:
        """Everything below `key` (no slash at its end). Raises SourceNotFound for a bucket that does not exist."""
        folder = f"{key}/" if key else ""
        pieces = self._split(folder, counts) if self.signed and self.concurrency > 1 else None
        if pieces is None:
            yield from self._prefix(folder, counts)
        else:
            yield from self._side_by_side(pieces, counts)

    def _prefix(self, folder: str, counts: Counter[str]) -> Iterator[FoundFiles]:
        """One prefix (empty, or with its slash), by the library; from a key it cannot carry on, by signed requests."""
        last = ""
        if not folder or is_plain(folder[:-1]):
            try:
                for page in self._library_pages(folder):
                    if self.signed and any(_REPLACED in path for path in page.paths):
                        break
                    last = page.paths[-1].removeprefix(self.root)  # in the store's own order
                    yield self._clean(page, folder, counts)
                else:
                    return
            except UnusableName:
                if self.signed is None:
                    raise
        for page in self._signed_pages(folder, last, counts):
            yield page.in_order()

    def _library_pages(self, folder: str) -> Iterator[FoundFiles]:
        stream = obstore.list(self.native, folder[:-1] or None, chunk_size=self.page_size, return_arrow=True)
        while True:
            with translated(self.root + folder, self.secrets, missing=SourceNotFound):
                batch = next(stream, None)
            if batch is None:
                return
            if batch.num_rows:
                yield to_objects(batch, self.root)

    def _signed_pages(self, folder: str, after: str, counts: Counter[str]) -> Iterator[FoundFiles]:
        if self.signed is None:
            message = f"{self.root}{folder!r} cannot be listed: its name has control characters or empty parts."
            raise InvalidInput(message, hint="Choose an address without them.")
        page = FoundFiles()
        for answer in self.signed.pages(folder, start_after=after):
            page.extend(FoundFiles.of(info for item in answer.keys if (info := self._listed(item, counts))))
            if len(page) >= self.page_size:
                yield page
                page = FoundFiles()
        if page:
            yield page

    def _listed(self, item: ListedKey, counts: Counter[str]) -> ObjectInfo | None:
        if item.key.endswith("/"):
            counts["not-a-file"] += 1
            return None
        if not _is_text(item.key):
            counts["bad-name"] += 1
            return None
        version = version_of(item.etag, item.size, item.modified_at)
        return ObjectInfo(self.root + item.key, version, item.size, item.modified_at)

    def _clean(self, page: FoundFiles, folder: str, counts: Counter[str]) -> FoundFiles:
        looks = iter(range(_MARKERS_LOOKED_AT))

        def exists(path: str) -> bool:
            return next(looks, None) is None or self.exists(path)

        return without_markers(page, self.root + folder[:-1], exists, counts)

    def _split(self, folder: str, counts: Counter[str]) -> list[_Piece] | None:
        """The first level below `folder` that has more than one entry; None where it is too wide to be of use.

        One bounded request a level: the library's own listing with a delimiter would read a flat folder to its end.
        """
        if self.signed is None:
            return None
        for _ in range(_DEEPEST):
            try:
                page = next(self.signed.pages(folder, delimiter="/"))
            except SourceError:  # the listing itself decides what is wrong, if anything is
                return None
            if page.after:
                return None
            own = Counter[str]()
            objects = [info for item in page.keys if (info := self._listed(item, own))]
            if len(page.prefixes) == 1 and not objects and not own:
                folder = page.prefixes[0]
                continue
            counts.update(own)
            pieces: list[_Piece] = [*objects, *page.prefixes]
            pieces.sort(key=lambda piece: piece.path if isinstance(piece, ObjectInfo) else self.root + piece)
            return pieces
        return [folder]

    def _side_by_side(self, pieces: list[_Piece], counts: Counter[str]) -> Iterator[FoundFiles]:
        """Groups of neighbouring pieces, one group a thread at a time; at most two pages a thread are held."""
        groups = _groups(pieces, self.concurrency * _GROUPS_PER_THREAD)

        def one(group: list[_Piece]) -> Iterator[FoundFiles]:
            own: Counter[str] = Counter()
            yield from self._group(group, own)
            with counting:
                counts.update(own)

        counting = threading.Lock()
        return side_by_side(one, list(groups), self.concurrency, bounded=True)

    def _group(self, pieces: list[_Piece], counts: Counter[str]) -> Iterator[FoundFiles]:
        """The pieces one after the other, small ones put together into one page."""
        page = FoundFiles()
        for piece in pieces:
            if isinstance(piece, ObjectInfo):
                page.append(piece)
                continue
            for part in self._prefix(piece, counts):
                page.extend(part)
                if len(page) >= self.page_size:
                    yield page
                    page = FoundFiles()
        if page:
            yield page


def _groups(pieces: list[_Piece], wanted: int) -> Iterator[list[_Piece]]:
    """Runs of neighbours with about the same number of prefixes each: those are what costs."""
    prefixes = sum(isinstance(piece, str) for piece in pieces)
    most = max(1, prefixes // wanted)
    group: list[_Piece] = []
    held = 0
    for piece in pieces:
        if isinstance(piece, str):
            if held == most:
                yield group
                group, held = [], 0
            held += 1
        group.append(piece)
    if group:
        yield group


def _is_text(key: str) -> bool:
    """Whether a ledger can hold it: PostgreSQL has no place for NUL."""
    if "\0" in key:
        return False
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
