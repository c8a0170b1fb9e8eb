"""S3, Azure Blob and Google Cloud Storage as stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from app.errors import FileChanged, FileMissing, InvalidInput, SourceError
from app.found_files import FoundFiles
from app.storage.address import Address, join
from app.storage.arrow_pages import version_of
from app.storage.contract import FetchFault, FetchJob, ObjectInfo, Target
from app.storage.copying import discard
from app.storage.faults import translated
from app.storage.fetching import fetch_plain, fetch_side_by_side, fetch_signed
from app.storage.keys import is_plain
from app.storage.listing import Lister
from app.storage.signed_s3 import SignedS3

_MOST_ASKED = 3

NativeStore = S3Store | AzureStore | GCSStore


@dataclass(frozen=True, slots=True)
class RemoteStore:
    """One bucket or container, seen from `address`. `signed` serves the keys the library cannot carry (S3 only).

    `reading` is `native` as it asks for objects, not for listings. `blamed` are objects that it fails to give, while it
    gives others.
    """

    address: Address
    native: NativeStore
    reading: NativeStore
    signed: SignedS3 | None
    secrets: tuple[str, ...] = field(repr=False)
    page_size: int = 5_000
    list_concurrency: int = 8
    blamed: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def base(self) -> str:
        return self.address.base

    @property
    def kind(self) -> str:
        return self.address.kind

    def list(self, prefix: str = "", *, left_out: Counter[str] | None = None) -> Generator[FoundFiles]:
        key = join(self.address.key, prefix).rstrip("/")
        counts = Counter[str]() if left_out is None else left_out
        lister = Lister(
            native=self.native,
            signed=self.signed,
            root=self.address.root,
            secrets=self.secrets,
            exists=self._exists,
            page_size=self.page_size,
            concurrency=self.list_concurrency,
        )
        some = False
        for page in lister.pages(key, counts):
            some = True
            yield page
        if not some and key:
            # Nothing lies below it: the address may be one object.
            try:
                yield FoundFiles.of([self.stat(self.address.root + key)])
            except FileMissing:
                return

    def stat(self, path: str) -> ObjectInfo:
        key = self._key(path)
        if not is_plain(key):
            return self._stat_signed(path, key)
        with self._translated(path):
            meta = obstore.head(self.reading, key)
        modified = meta["last_modified"]
        return ObjectInfo(path, version_of(meta["e_tag"], meta["size"], modified), meta["size"], modified)

    def fetch(self, path: str, version: str, target: Target) -> None:
        key = self._key(path)
        try:
            if is_plain(key):
                fetch_plain(self.reading, key, (path, version), target, self.secrets)
            else:
                fetch_signed(self._signed(path), key, (path, version), target)
        except FileChanged:
            discard(target)
            self.stat(path)  # Azure refuses If-Match for an object that is gone, too: then this raises FileMissing
            raise
        except SourceError:
            discard(target)
            raise

    def fetch_many(self, jobs: Sequence[FetchJob], concurrency: int) -> Generator[int | FetchFault]:
        return fetch_side_by_side(self.fetch, jobs, concurrency, self._serves_others, self.blamed)

    def _serves_others(self, paths: Collection[str]) -> bool:
        """Whether the store gives a byte of some object that is not among the paths."""
        with closing(self.list()) as pages:
            others = (found for page in pages for found in page if found.size and found.path not in paths)
            for other in islice(others, _MOST_ASKED):
                with suppress(SourceError):
                    self.read(other.path, 0, 1)
                    return True
        return False

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        key = self._key(path)
        if length == 0:
            return b""
        if not is_plain(key):
            span = f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
            with self._signed(path).get(key, {"Range": span} if start or length is not None else {}) as answer:
                return answer.read()
        with self._translated(path):
            if length is None and not start:
                return bytes(obstore.get(self.reading, key).bytes())
            # The end is asked for first: a range that begins past it is an error on every store.
            size = obstore.head(self.reading, key)["size"]
            end = size if length is None else min(size, start + length)
            return bytes(obstore.get_range(self.reading, key, start=start, end=end)) if start < end else b""

    def delete(self, path: str) -> None:
        try:
            with self._translated(path):
                obstore.delete(self.native, self._plain(path))
        except FileMissing:
            return

    def local_path(self, path: str) -> Path | None:
        del path
        return None

    def _key(self, path: str) -> str:
        if not path.startswith(self.address.root):
            message = f"{path} does not lie in {self.address.root}."
            raise InvalidInput(message, hint="Open the store of that address.")
        return path.removeprefix(self.address.root)

    def _plain(self, path: str) -> str:
        key = self._key(path)
        if not is_plain(key):
            message = f"{path!r} cannot be written: it has control characters or empty parts."
            raise InvalidInput(message, hint="Choose a name without them.")
        return key

    def _signed(self, path: str) -> SignedS3:
        if self.signed is None:
            message = f"{path!r} cannot be read from {self.kind}: its name has control characters or empty parts."
            raise FileMissing(message, hint="Rename the object.")
        return self.signed

    def _stat_signed(self, path: str, key: str) -> ObjectInfo:
        for page in self._signed(path).pages(key):
            for item in page.keys:
                if item.key == key:
                    version = version_of(item.etag, item.size, item.modified_at)
                    return ObjectInfo(path, version, item.size, item.modified_at)
            break  # the key itself sorts first among those it is a prefix of
        message = f"{path!r} is not there (any more)."
        raise FileMissing(message, hint="It was removed or renamed after it was discovered.")

    def _exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except FileMissing:
            return False
        except SourceError:
            return True  # it may be listed but not looked at: then it is no marker that we know of
        return True

    def _translated(self, path: str) -> AbstractContextManager[None]:
        return translated(path, self.secrets)
