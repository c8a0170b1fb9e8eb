"""Packed files that Spark reads without a word although they are broken, or fails over without saying why.

It looks for blocks of bzip2 wherever they are, and takes bytes before, behind and between them, a block whose begin is
damaged too, for nothing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from app.errors import FileMissing, SourceAccessDenied, SourceError
from app.ingest.engines.bzip2_marks import flaw_of
from app.ingest.engines.spark_source import CHANGED, not_there
from app.schemas.ingestion import FormatShape
from app.storage import Store
from app.values import BatchFile, FileOutcome, FileState

_AT_ONCE = 8
_CHUNK = 4 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_GZIP_BITS = 31  # zlib's word for a stream with gzip's header and checksum
_MOST_PACKED, _MOST_UNPACKED = 1 << 30, 4 << 30  # bytes that are looked through: some fifteen seconds
_FIRST, _LAST = 10, 11  # bytes that are looked at before all others are fetched
# A stream begins with its name and block size, then a block or, in an empty one, its end.
_BEGINS = re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)")
_END, _END_BITS, _SUM_BITS = 0x177245385090, 48, 32  # what a checksum follows, then less than a byte of nothing


def unsound(store: Store, files: Iterable[BatchFile], shape: FormatShape) -> Sequence[FileOutcome]:
    """Outcomes of bzip2 files that are not whole: each is read once, and none unpacked. Others are not looked at."""
    return _of_each(_bzip2, store, [file for file in files if shape.type != "parquet" and file.path.endswith(".bz2")])


def not_gzip(store: Store, files: Iterable[BatchFile]) -> Sequence[FileOutcome]:
    """Outcomes of files called `.gz` that do not begin as gzip does: Spark fails over one, and does not say why."""
    return _of_each(_gzip, store, [file for file in files if file.path.endswith(".gz")])


def told_by_bytes(store: Store, culprit: FileOutcome, files: Iterable[BatchFile]) -> FileOutcome:
    """The outcome of a file that Spark could not read, or what its own bytes say: of most flaws of a `.gz` Spark tells
    no more than the name. A store that does not give them tells nothing: others of the batch must not wait for it.
    """
    if culprit.reason == CHANGED:
        return culprit
    try:
        told = next((unsound_gzip(store, file) for file in files if file.file_id == culprit.file_id), None)
    except SourceError:
        return culprit
    return told or culprit


def unsound_gzip(store: Store, file: BatchFile) -> FileOutcome | None:
    """The outcome of a file called `.gz` over which Spark failed, and that is no whole gzip file; None for any other,
    and where it is too large to be looked through. It is read and unpacked, and nothing of it is kept.
    """
    if not file.path.endswith(".gz"):
        return None
    found = _gzip(store, file)
    if found is not None or file.size > _MOST_PACKED:
        return found
    try:
        flaw = gzip_flaw(_chunks(store, file))
    except (FileMissing, SourceAccessDenied) as error:
        return not_there(file, error)
    return _broken(file, *flaw) if flaw else None


def gzip_flaw(chunks: Iterable[bytes]) -> tuple[str, str] | None:
    """The reason why these bytes are no whole gzip file, and what is wrong in half a sentence; None for those that
    are, and where they unpack to more than anybody waits for.
    """
    stream, begun, produced = zlib.decompressobj(_GZIP_BITS), False, 0
    for chunk in chunks:
        rest = chunk
        while rest:
            begun = True
            try:
                produced += len(stream.decompress(rest, _CHUNK))
            except zlib.error as error:
                said = str(error).rpartition(": ")[2]
                return "undecodable", f"is not a sound gzip stream: {said}"
            rest = stream.unused_data if stream.eof else stream.unconsumed_tail
            if stream.eof:  # another may follow
                stream, begun = zlib.decompressobj(_GZIP_BITS), False
            if produced > _MOST_UNPACKED:
                return None
    return ("truncated", "ends before its gzip stream does") if begun else None


def _of_each(
    look: Callable[[Store, BatchFile], FileOutcome | None], store: Store, files: Sequence[BatchFile]
) -> Sequence[FileOutcome]:
    if not files:
        return ()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="packed") as pool:
        return [outcome for outcome in pool.map(lambda file: look(store, file), files) if outcome]


def _gzip(store: Store, file: BatchFile) -> FileOutcome | None:
    try:
        first = store.read(file.path, 0, min(len(_GZIP), file.size))
    except (FileMissing, SourceAccessDenied) as error:
        return not_there(file, error)
    if first == _GZIP:
        return None
    if _GZIP.startswith(first):
        return _broken(file, "truncated", "ends before its gzip stream does")
    return _broken(file, "undecodable", "is not a gzip stream: it begins as none does")


def _bzip2(store: Store, file: BatchFile) -> FileOutcome | None:
    try:
        first = store.read(file.path, 0, min(_FIRST, file.size))
        last = store.read(file.path, max(0, file.size - _LAST), min(_LAST, file.size))
        if not _BEGINS.match(first):
            return _broken(file, "undecodable", "is not a bzip2 stream")
        if not ends_a_stream(last):
            return _broken(file, "truncated", "is cut, or has something behind its bzip2 stream")
        flaw = flaw_of(_chunks(store, file))
    except (FileMissing, SourceAccessDenied) as error:
        return not_there(file, error)
    return _broken(file, "undecodable", flaw) if flaw else None


def _chunks(store: Store, file: BatchFile) -> Iterator[bytes]:
    for begin in range(0, file.size, _CHUNK):
        yield store.read(file.path, begin, min(_CHUNK, file.size - begin))


def ends_a_stream(last: bytes) -> bool:
    """Whether a bzip2 stream ends with the last of these bytes: the end is of bits, and may begin within a byte."""
    bits = int.from_bytes(last, "big")
    return any((bits >> (unused + _SUM_BITS)) & ((1 << _END_BITS) - 1) == _END for unused in range(8))


def _broken(file: BatchFile, reason: str, what: str) -> FileOutcome:
    return FileOutcome(file.file_id, FileState.FAILED, reason=reason, error=f"{file.path} {what}.")
