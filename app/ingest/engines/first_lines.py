"""The first lines of some files of a batch, as the worker reads them by itself: a hint how a cluster reads the rest."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from app.errors import SourceError
from app.storage import Store
from app.values import BatchFile

_BYTES, _LONG_BYTES = 256 * 1024, 4 * 1024 * 1024  # of each file; the second where no line ends in the first
_LINES = 500
_STREAMS = 200  # one behind the other; what is left is copied for each
_GZIP, _BZIP2, _ZSTD = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"


def first_lines(store: Store, files: Sequence[BatchFile], encoding: str) -> list[list[str]]:
    """At most 500 lines that are not blank, each of the first file, one in the middle and the last: what is new comes
    late. A file that cannot be read or unpacked has none, and nor has one whose first line is longer than 4 MiB.
    """
    places = sorted({0, len(files) // 2, len(files) - 1} & set(range(len(files))))
    return [_lines(store, files[place], encoding) for place in places]


def _lines(store: Store, file: BatchFile, encoding: str) -> list[str]:
    for most in (_BYTES, _LONG_BYTES):
        try:
            data = store.read(file.path, 0, min(file.size, most))
            text = _unpacked(data, most)
        except (SourceError, OSError, EOFError, ValueError, zlib.error, pa.ArrowException):
            return []
        whole = len(text) < most and len(data) == file.size
        lines = text.decode(encoding, "replace").removeprefix("\ufeff").split("\n")
        found = [line for line in (lines if whole else lines[:-1]) if line.strip()]
        if found or whole:
            return found[:_LINES]
    return []


def _unpacked(data: bytes, most: int) -> bytes:
    """At most so many bytes of what is packed in `data`, which may be cut anywhere."""
    if data.startswith(_GZIP):
        return _joined(data, most, lambda: zlib.decompressobj(zlib.MAX_WBITS | 16))
    if data.startswith(_BZIP2):
        return _joined(data, most, bz2.BZ2Decompressor)
    if data.startswith(_ZSTD):
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            return bytes(stream.read(most))
    return data


def _joined(data: bytes, most: int, begin: Callable[[], Any]) -> bytes:
    """Of a file that may be several streams, one behind the other."""
    found, rest = b"", data
    for _ in range(_STREAMS):
        stream = begin()
        try:
            found += stream.decompress(rest, most - len(found))
        except (OSError, zlib.error):
            if found:  # what stands behind a stream is none: the file's reader says what comes of that
                break
            raise
        rest = stream.unused_data if stream.eof else b""
        if not rest or len(found) >= most:
            break
    return found
