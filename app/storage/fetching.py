"""Copies of exactly one version of an object, one or many at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, MutableSet, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import obstore

from app.errors import FileChanged, FileMissing, ObjectUnavailable, SourceAccessDenied
from app.storage.arrow_pages import version_of
from app.storage.contract import FetchFault, FetchJob, Target
from app.storage.copying import changed, write_copy
from app.storage.faults import translated
from app.storage.threads import side_by_side

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store
    from typing_extensions import Buffer

    from app.storage.signed_s3 import SignedS3

_CHUNK = 4 * 1024 * 1024  # what one fetch holds in memory of a large object
_MOST_UNSERVED = 5  # objects that an opened store fails to give; with more of them it is the store that is ill
_LONGEST_SIZE = 19  # digits of the largest 64-bit number


def fetch_plain(
    native: S3Store | AzureStore | GCSStore, key: str, file: tuple[str, str], target: Target, secrets: Sequence[str]
) -> None:
    """Copy `file`, a path and its version, through the library. Raises FileChanged, and what the store answers."""
    path, version = file
    with translated(path, secrets):
        answer = obstore.get(native, key, options={"if_match": f'"{version}"'} if _is_strong(version) else {})
        meta = answer.meta
        whole = answer.bytes() if meta["size"] <= _CHUNK else None
    if version_of(meta["e_tag"], meta["size"], meta["last_modified"]) != version:
        raise changed(path)
    chunks = _chunks(answer, path, secrets) if whole is None else iter([whole])
    write_copy(target, chunks, meta["size"], path)


def fetch_signed(signed: SignedS3, key: str, file: tuple[str, str], target: Target) -> None:
    """The same by a signed URL."""
    path, version = file
    with signed.get(key, {"If-Match": f'"{version}"'} if _is_strong(version) else {}) as answer:
        etag = (answer.headers.get("ETag") or "").strip('"')
        if _is_strong(version) and etag != version:
            raise changed(path)
        chunks = iter(lambda: answer.read(_CHUNK), b"")
        write_copy(target, chunks, int(answer.headers.get("Content-Length", -1)), path)


def fetch_side_by_side(
    fetch: Callable[[str, str, Target], None],
    jobs: Sequence[FetchJob],
    concurrency: int,
    serves_others: Callable[[Collection[str]], bool],
    blamed: MutableSet[str],
) -> Generator[int | FetchFault]:
    """Run the jobs in threads. The first error that is not one file's own stops all and is raised.

    An object that the store fails to give is asked for again when all others are there. It is at fault itself where the
    store fails again and still gives others: one of these jobs, or `serves_others`, which gets the paths of those that
    it fails to give. `blamed` is the store's own list of those that were at fault before.

    Threads over the library's blocking calls beat its async ones here: they release the GIL for the whole
    request, and nothing of an event loop is paid for each object.
    """
    unserved: list[FetchJob] = []

    def one(job: FetchJob) -> Iterator[int | FetchFault]:
        try:
            yield _answer(fetch, job)
        except ObjectUnavailable:
            if len(unserved) + len(blamed) >= _MOST_UNSERVED:
                raise
            unserved.append(job)

    serves = False
    with closing(side_by_side(one, jobs, concurrency, bounded=False)) as answers:
        for answer in answers:
            serves = serves or isinstance(answer, int)
            yield answer
    for job in unserved:
        try:
            yield _answer(fetch, job)
        except ObjectUnavailable as error:
            serves = serves or serves_others({file.path for file, _ in unserved} | blamed)
            if not serves or len(blamed) >= _MOST_UNSERVED:
                raise
            blamed.add(job[0].path)
            yield FetchFault(job[0].file_id, error)


def _answer(fetch: Callable[[str, str, Target], None], job: FetchJob) -> int | FetchFault:
    file, target = job
    try:
        fetch(file.path, file.version, target)
    except (FileChanged, FileMissing, SourceAccessDenied) as error:
        return FetchFault(file.file_id, error)
    return file.file_id


def _chunks(answer: obstore.GetResult, path: str, secrets: Sequence[str]) -> Iterator[Buffer]:
    stream = iter(answer.stream(min_chunk_size=_CHUNK))
    while True:
        with translated(path, secrets):
            chunk = next(stream, None)
        if chunk is None:
            return
        yield chunk


def _is_strong(version: str) -> bool:
    """Whether the version is an ETag that If-Match can compare: not a weak one, and not our `size-mtime`."""
    return not version.startswith("W/") and not _is_size_and_time(version)


def _is_size_and_time(version: str) -> bool:
    size, dash, seconds = version.partition("-")
    # A multipart ETag is 32 hex digits and a part count; no object is 10^31 bytes large.
    return bool(dash) and size.isdecimal() and seconds.isdecimal() and len(size) <= _LONGEST_SIZE
