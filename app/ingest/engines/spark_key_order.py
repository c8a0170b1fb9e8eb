"""In which order records of JSON lines have their keys: told by the begins of some files, which the worker reads."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence

from app.datatypes import can_be_named
from app.errors import SourceError
from app.storage import Store
from app.values import BatchFile

_BYTES, _RECORDS = 64 * 1024, 200  # of each file that is looked at
_GZIP = b"\x1f\x8b"
_MOST, _LONGEST = 200, 64  # keys, and characters of one: records with more are data of their own


def key_order(store: Store, files: Sequence[BatchFile], columns: Sequence[str]) -> tuple[str, ...]:
    """All columns, and the other keys of the records that were seen, each behind those that stand before it there.

    It is a hint: a file that cannot be read or understood tells nothing, and of orders that differ the first counts.
    """
    order: list[str] = []
    for place in sorted({0, len(files) // 2, len(files) - 1} & set(range(len(files)))):
        for keys in _records(store, files[place]):
            _merge(order, keys)
            if len(order) > _MOST:
                return tuple(columns)
    _merge(order, columns)
    return tuple(order)


def _records(store: Store, file: BatchFile) -> Iterator[list[str]]:
    """The keys of each of the first records."""
    try:
        data = store.read(file.path, 0, min(file.size, _BYTES))
        if data.startswith(_GZIP):
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _BYTES)
    except (SourceError, OSError, zlib.error):
        return
    for line in data.splitlines()[:_RECORDS]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield [key for key in record if len(key) <= _LONGEST and can_be_named(key)]


def _merge(order: list[str], keys: Sequence[str]) -> None:
    """Put the keys that are missing behind the last one before them that is there."""
    at = 0
    for key in keys:
        if key in order:
            at = order.index(key) + 1
        else:
            order.insert(at, key)
            at += 1
